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
	server {
		listen %s:443 ssl;
		ssl_certificate /srv/origin/cert.pem;
		ssl_certificate_key /srv/origin/key.pem;
		location / { return 200 "origin\\n"; }
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
        return self.host.run("dpkg", "--install", "/srv/ksplit.deb").stdout.decode()

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
        if self.show("ActiveState") != "active":
            self.make_ca()
            self.configure()
            self.systemctl("reset-failed", UNIT, check=False)
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

    def issuer(self):
        """Whose certificate a call to the origin is shown: "ksplit", "origin", or curl's words."""
        said = self.host.text(
            "curl", "-sS", "--max-time", "10", "--cacert", "/srv/both.pem", "--resolve",
            "origin.test:443:" + ORIGIN, "-o", "/dev/null", "-w", "%{http_code} %{certs}",
            "https://origin.test/")
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
        site.host.run("kill", "-STOP", before)
        site.await_main_other_than(before)
        assert "ksplit.service: Watchdog timeout" in site.host.journal(UNIT)
        site.await_issuer("ksplit")


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
