# SPDX-License-Identifier: GPL-2.0-or-later
"""The package and its unit under a real systemd: installed, started, called, ended, removed. Each test
has the service in the state that it needs, whatever the others did."""

import contextlib
import json
import os
import re
import shutil

import pytest

from lib import deb
from lib.env import wait_for
from lib.process import Program
from lib.systemd import Host

pytestmark = pytest.mark.needs("nginx", "curl", "nft", "ip", "make", "dpkg-deb", "dpkg-shlibdeps",
                               *Host.NEEDS)

UNIT = "ksplit.service"
ORIGIN = "198.51.100.10"
CONFIG = "/etc/ksplit/ksplit.json"
NGINX = """
user root;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path /srv/origin/body;
	server {
		listen %s:443 ssl;
		ssl_certificate /srv/origin/cert.pem;
		ssl_certificate_key /srv/origin/key.pem;
		location / { return 200 "origin\\n"; }
		location /put/ {
			root /srv/origin;
			dav_methods PUT;
			create_full_put_path on;
		}
	}
}
""" % ORIGIN


class Site:
    """The host with an origin at an address of its own."""

    def __init__(self, folder, package, pki):
        self.host = Host(folder)
        self.package = package
        try:
            self._origin(pki)
        except BaseException:
            self.host.close()
            raise

    def close(self):
        self.host.close()

    def path(self, name):
        return self.host.root / name.lstrip("/")

    def _origin(self, pki):
        files = self.path("/srv/origin")
        files.mkdir(parents=True)
        for name, source in (("cert.pem", pki.origin.cert), ("key.pem", pki.origin.key),
                             ("ca.pem", pki.origin_ca.cert)):
            (files / name).write_bytes(source.read_bytes())
        (files / "nginx.conf").write_text(NGINX)
        self.host.run("ip", "address", "add", ORIGIN + "/32", "dev", "lo")
        self.host.run("systemd-run", "--quiet", "--unit=origin", "--property=Type=forking",
                      "nginx", "-e", "stderr", "-c", "/srv/origin/nginx.conf")

    def install(self, package=None):
        self.path("/srv/ksplit.deb").write_bytes((package or self.package).read_bytes())
        done = self.host.run("dpkg", "--install", "/srv/ksplit.deb")
        return (done.stdout + done.stderr).decode()

    def make_ca(self):
        self.host.run("ksplit-ca", "init", "--days", "30", "--force")
        self.path("/srv/both.pem").write_bytes(self.path("/etc/ksplit/ca.pem").read_bytes() +
                                               self.path("/srv/origin/ca.pem").read_bytes())

    def configure(self, **changes):
        """What the package brings, and more."""
        config = {
            "ca": {"cert": "/etc/ksplit/ca.pem", "key": "/etc/ksplit/ca.key"},
            "listeners": [{"listen": "127.0.0.1:8443", "to": "original"}],
            "capture": {"outgoing": {}},
            "upstream": {"ca": "/srv/origin/ca.pem"},
            "access_log": "/var/log/ksplit/access.json",
            "user": "ksplit", "workers": 1, "limits": {"deadlines_ms": {"drain": 1000}},
        }
        config.update(changes)
        config = {key: value for key, value in config.items() if value is not None}
        self.path(CONFIG).write_text(json.dumps(config))

    def systemctl(self, *words, check=True):
        return self.host.systemctl(*words, check=check)

    def show(self, name):
        return self.host.show(UNIT, name)

    def main(self):
        return int(self.show("MainPID"))

    def told(self):
        """For a message: what is known of the service."""
        return self.host.text("systemctl", "status", "--no-pager", UNIT) + self.host.journal(UNIT)

    def running(self):
        """Active and capturing, on a configuration that is good; the main process."""
        # Starts are counted: other tests' are not this one's.
        self.systemctl("reset-failed", UNIT, check=False)
        if self.show("ActiveState") != "active":
            self.make_ca()
            self.configure()
            assert self.systemctl("start", UNIT, check=False).returncode == 0, self.told()
        self.await_issuer("ksplit")
        return self.main()

    def stopped(self):
        self.systemctl("stop", UNIT)
        self.systemctl("reset-failed", UNIT, check=False)

    @contextlib.contextmanager
    def drop_in(self, *lines):
        """The unit with these lines in [Service], for a service that is started meanwhile."""
        folder = self.path("/run/systemd/system/%s.d" % UNIT)
        folder.mkdir()
        (folder / "test.conf").write_text("\n".join(("[Service]", *lines, "")))
        self.systemctl("daemon-reload")
        try:
            yield
        finally:
            self.stopped()
            shutil.rmtree(folder)
            self.systemctl("daemon-reload")

    @staticmethod
    def curl(path="/", to=ORIGIN + ":443"):
        """A command line: a call to the origin, by name."""
        return ["curl", "-sS", "--cacert", "/srv/both.pem", "--connect-to", "origin.test:443:" + to,
                "https://origin.test" + path]

    def issuer(self, to=ORIGIN + ":443"):
        """Whose certificate such a call is shown: "ksplit", "origin", or curl's words."""
        said = self.host.text(*self.curl(to=to), "--max-time", "20", "-o", "/dev/null", "-w",
                              "%{http_code} %{certs}")
        issuer = re.search("^Issuer:(.*)$", said, re.MULTILINE)
        if not said.startswith("200 ") or not issuer:
            return said
        return "ksplit" if "ksplit CA" in issuer.group(1) else "origin"

    def await_issuer(self, whose):
        wait_for(lambda: self.issuer() == whose,
                 lambda: "a call to be shown a leaf of %s: %s\n%s" % (
                     whose, self.issuer(), self.told()))

    def await_main_other_than(self, *old):
        """The main process that systemd has after these have gone, once the service is active."""
        def another():
            pid = self.main()
            return pid if pid not in (0, *old) and self.show("ActiveState") == "active" else None

        return wait_for(another, lambda: "another main process:\n" + self.told())

    def hang(self, pid):
        """Stop a process until systemd notices."""
        already = len(self.host.journal(UNIT))
        self.host.run("kill", "-STOP", pid)
        wait_for(lambda: "Watchdog timeout" in self.host.journal(UNIT)[already:],
                 lambda: "the watchdog:\n" + self.told())

    def ours(self):
        return {pid: name for pid, name in self.host.processes().items() if "ksplit" in name}

    def tables(self):
        return [line for line in self.host.text("nft", "list", "tables").splitlines()
                if "ksplit" in line]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return deb.make(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def made(tmp_path_factory, package, pki):
    with contextlib.closing(Site(tmp_path_factory.mktemp("host"), package, pki)) as site:
        yield site


@pytest.fixture
def site(made):
    """With the package installed."""
    if not made.path("/usr/sbin/ksplitd").exists():
        made.install()
    return made


def test_installed_it_waits_for_the_administrator(site):
    site.stopped()
    assert site.host.text("systemctl", "is-enabled", UNIT) == "disabled\n"
    assert site.host.text("systemctl", "is-active", UNIT) == "inactive\n"
    assert site.host.run("id", "-un", "ksplit").stdout == b"ksplit\n"
    assert site.ours() == {}


def test_without_a_ca_the_start_fails_and_says_why(site):
    site.stopped()
    for name in ("ca.pem", "ca.key"):
        site.path("/etc/ksplit/" + name).unlink(missing_ok=True)
    site.configure()
    assert site.systemctl("start", UNIT, check=False).returncode != 0
    assert "/etc/ksplit/ca.pem" in site.host.journal(UNIT)
    site.stopped()


def test_a_wrong_configuration_is_not_tried_again(site):
    site.stopped()
    site.make_ca()
    site.configure(relay="fast")
    assert site.systemctl("start", UNIT, check=False).returncode != 0
    assert (site.show("ActiveState"), site.show("NRestarts")) == ("failed", "0"), site.told()
    assert '"relay": is "fast"' in site.host.journal(UNIT)
    site.stopped()


def test_started_it_is_ready_and_is_its_own_user(site):
    site.stopped()
    site.make_ca()
    site.configure()
    site.systemctl("start", UNIT)
    # At once: "active" is a promise.
    site.host.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8443")
    assert "pid %d" % site.main() in site.host.run("ksplit-status").stdout.decode()
    site.await_issuer("ksplit")
    status = site.path("/proc/%d/status" % site.main()).read_text()
    uid = site.host.run("id", "-u", "ksplit").stdout.decode().strip()
    assert re.search(r"^Uid:\s+%s\s+%s\s+%s\s+%s$" % ((uid,) * 4), status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    log = site.path("/var/log/ksplit/access.json")
    assert str(log.stat().st_uid) == uid
    assert site.path("/sys/fs/bpf/ksplit/%d/processes" % site.main()).exists(), site.told()


def test_killed_it_comes_back(site):
    before = site.running()
    site.host.run("kill", "-KILL", before)
    after = site.await_main_other_than(before)
    assert site.show("NRestarts") != "0" and after != before
    site.await_issuer("ksplit")


def test_hanging_it_is_started_again(site):
    site.running()
    assert site.show("WatchdogUSec") == "20s"
    with site.drop_in("WatchdogSec=2"):
        site.stopped()
        before = site.running()
        site.hang(before)
        site.await_main_other_than(before)
        site.await_issuer("ksplit")


def test_after_an_upgrade_systemd_watches_the_new_one(site):
    with site.drop_in("WatchdogSec=2"):
        site.stopped()
        before = site.running()
        site.host.run("ksplit-status", "upgrade")
        after = site.main()
        assert after != before
        for _ in range(2):
            last = site.show("WatchdogTimestampMonotonic")
            wait_for(lambda: site.show("WatchdogTimestampMonotonic") != last,
                     lambda: "a sign of life:\n" + site.told())
        site.hang(after)
        site.await_main_other_than(before, after)
        site.await_issuer("ksplit")


def test_reloaded_it_has_the_new_configuration_and_the_same_process(site):
    before = site.running()
    site.configure(**{"pass": [{"sni": ["origin.test"]}]})
    site.systemctl("reload", UNIT)
    assert site.issuer() == "origin"
    # curl trusts the CA that is made here alone; its key is root's.
    site.make_ca()
    site.configure()
    site.systemctl("reload", UNIT)
    assert (site.issuer(), site.main()) == ("ksplit", before)


def test_a_reload_with_a_wrong_configuration_fails_and_says_why(site):
    before = site.running()
    already = len(site.host.journal(UNIT))
    site.configure(relay="fast")
    try:
        assert site.systemctl("reload", UNIT, check=False).returncode != 0
    finally:
        site.configure()
    assert '"relay": is "fast"' in site.host.journal(UNIT)[already:]
    assert (site.issuer(), site.main(), site.show("ActiveState")) == ("ksplit", before, "active")


def test_a_newer_package_takes_over_without_a_gap(site, tmp_path):
    """A transfer that is under way ends in order, calls go on, and the service stays active."""
    before = site.running()
    version = ("dpkg-query", "-W", "-f", "${Version}", "ksplit")
    old = site.host.text(*version)
    try:
        with Program(*site.host.enter(*site.curl("/put/it"), "--upload-file", "-")) as upload:
            upload.say("begun by the one before, ")
            wait_for(lambda: "origin.test" in site.host.text("ksplit-status", "connections"),
                     lambda: "the upload: " + site.host.text("ksplit-status", "connections"))
            said = site.install(deb.newer(site.package, tmp_path))
            assert site.main() != before, said + site.told()
            assert (site.issuer(), site.show("ActiveState")) == ("ksplit", "active")
            upload.say("ended with the next")
            upload.close_input()
            assert upload.wait() == 0, upload.text()
        assert site.path("/srv/origin/put/it").read_text() == (
            "begun by the one before, ended with the next")
        assert site.host.text(*version) != old
        after = site.main()
        wait_for(lambda: before not in site.ours(), lambda: "the old one to end:\n" + site.told())
        # systemd has the new one as if it had started it itself.
        site.host.run("kill", "-KILL", after)
        site.await_main_other_than(before, after)
    finally:
        site.install()
    site.stopped()
    assert (site.ours(), site.tables()) == ({}, [])


def test_an_upgrade_that_fails_leaves_the_service_as_it_is(site):
    before = site.running()
    site.configure(relay="fast")
    try:
        said = site.install()
    finally:
        site.configure()
    assert '"relay": is "fast"' in said
    assert (site.issuer(), site.main(), site.show("ActiveState")) == ("ksplit", before, "active")


def test_by_the_socket_unit_it_is_started_when_it_is_called(site):
    site.stopped()
    site.make_ca()
    site.configure(capture=None, listeners=[{"listen": "127.0.0.1:8443", "to": ORIGIN + ":443"},
                                            {"listen": "[::1]:8443", "to": ORIGIN + ":443"}])
    site.systemctl("start", "ksplit.socket")
    try:
        for _ in range(2):
            assert site.show("ActiveState") == "inactive"
            assert site.issuer("127.0.0.1:8443") == "ksplit", site.told()
            site.stopped()
    finally:
        site.systemctl("stop", "ksplit.socket", UNIT)


def test_the_hook_takes_the_calls_of_a_unit(site):
    """Of that unit alone, also when it is started again; within what the hardened unit may do."""
    site.stopped()
    site.make_ca()
    site.configure(capture={"hook": {"units": ["app.service"]}})
    site.systemctl("start", UNIT)
    issuer = site.path("/srv/app/issuer")
    issuer.parent.mkdir(exist_ok=True)
    loop = ("while :; do %s -o /dev/null -w '%%{certs}' | grep Issuer >/srv/app/next; "
            "mv /srv/app/next /srv/app/issuer; sleep 0.1; done" % " ".join(site.curl()))
    try:
        for _ in range(2):
            site.host.run("systemd-run", "--quiet", "--unit=app", "sh", "-c", loop)
            wait_for(lambda: issuer.exists() and "ksplit CA" in issuer.read_text(),
                     lambda: "the unit's calls to be taken:\n" + site.told())
            assert site.issuer() == "origin"
            site.systemctl("stop", "app.service")
            issuer.unlink(missing_ok=True)
    finally:
        site.systemctl("stop", "app.service", check=False)
        site.stopped()


def test_stopped_nothing_of_it_runs_or_captures(site):
    site.running()
    already = len(site.host.journal(UNIT))
    site.systemctl("stop", UNIT)
    assert "Deactivated successfully" in site.host.journal(UNIT)[already:], site.told()
    assert (site.ours(), site.tables()) == ({}, [])
    assert not site.path("/run/ksplit").exists()
    assert site.issuer() == "origin"


def test_removed_and_purged_nothing_is_left(site):
    site.running()
    site.systemctl("enable", UNIT)
    site.host.run("dpkg", "--remove", "ksplit")
    assert (site.ours(), site.tables()) == ({}, [])
    assert site.issuer() == "origin"
    assert site.path(CONFIG).exists()
    assert "could not be found" in site.host.text("systemctl", "status", UNIT)
    site.host.run("dpkg", "--purge", "ksplit")
    for name in ("/etc/ksplit", "/var/log/ksplit", "/run/ksplit", "/sys/fs/bpf/ksplit",
                 "/etc/systemd/system/multi-user.target.wants/ksplit.service"):
        assert not os.path.lexists(site.path(name)), name
    # Files may belong to it somewhere, and its number must not become somebody else's.
    site.host.run("id", "ksplit")
