# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package: made, installed, removed and purged on this machine as it is, but in an overlay
of it, whose upper layer then shows what was left behind."""

import contextlib
import re
import subprocess

import pytest

from lib import deb, env
from lib.process import run

pytestmark = pytest.mark.needs("make", "dpkg-deb", "dpkg-shlibdeps", "unshare", "mount")

# What dpkg and ldconfig keep for themselves, and what no package manager cleans.
OF_DPKG = ("var/lib/dpkg/", "var/cache/", "var/log/", "etc/ld.so.cache", "etc/dpkg/dpkg.cfg.d/test",
           "var/lib/man-db/auto-update")
# Where users are: one more, which stays. What it owns somewhere must not become somebody else's.
OF_USERS = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/.pwd.lock",
            "etc/subuid", "etc/subgid")

INSIDE = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"
mount --bind /dev "$1/root/dev"
cp "$2" "$1/root/ksplit.deb"
# Man pages are indexed at each step otherwise, and nothing that is written here is worth a sync.
rm -f "$1/root/var/lib/man-db/auto-update"
echo force-unsafe-io >"$1/root/etc/dpkg/dpkg.cfg.d/test"
shift 2
cd /
exec "$@"
"""


class Machine:
    """This machine's files, with changes that end with the object."""

    def __init__(self, folder, package):
        self.folder = folder
        ready = "echo ready; exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", INSIDE, "sh", folder, package,
                                         "sh", "-c", ready], stdout=subprocess.PIPE)
        assert self._holder.stdout.readline() == b"ready\n"

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()

    def outside(self, *argv, check=True):
        return run("nsenter", "--mount", "--target", self._holder.pid, *argv, check=check)

    def run(self, *argv, check=True):
        return self.outside("chroot", "%s/root" % self.folder, *argv, check=check)

    def changed(self):
        """Files that are not as they are on this machine (deleted ones, too)."""
        found = self.outside("find", "%s/upper" % self.folder, "-not", "-type", "d",
                             "-printf", "%P\\n").stdout.decode().split()
        return sorted(name for name in found
                      if name != "ksplit.deb" and not name.startswith(OF_DPKG + OF_USERS))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What `make deb` makes of the programs under test."""
    return deb.make(tmp_path_factory.getbasetemp())


@pytest.fixture
def machine(tmp_path, package):
    with contextlib.closing(Machine(tmp_path, package)) as made:
        yield made


def test_it_names_what_it_needs(package):
    fields = dict(line.split(": ", 1) for line in
                  run("dpkg-deb", "--field", package).stdout.decode().splitlines() if ": " in line)
    assert {"libssl3", "libbpf1", "libcjson1", "libc6"} <= {
        word.split()[0] for word in fields["Depends"].split(", ")}
    assert "adduser | systemd" in fields["Depends"]
    assert fields["Version"].encode() in run(env.BUILD / "ksplitd", "--version").stdout


def test_installed_is_not_started(machine):
    machine.run("dpkg", "--install", "/ksplit.deb")
    assert machine.run("ksplitd", "--version").stdout.startswith(b"ksplitd ")
    for unit in ("ksplit.service", "ksplit.socket"):
        said = machine.run("systemctl", "--root=/", "is-enabled", unit, check=False)
        assert said.stdout.decode().strip() == "disabled"
        assert machine.run("systemd-analyze", "verify", "--man=no", unit).stderr == b""
    # Until there is a CA it says so, instead of doing half of its work.
    refused = machine.run("ksplitd", "--check", check=False)
    assert refused.returncode != 0 and b"/etc/ksplit/ca.pem" in refused.stderr


def test_removed_leaves_the_configuration_and_purged_nothing(machine):
    machine.run("dpkg", "--install", "/ksplit.deb")
    machine.run("sh", "-c", "mkdir -p /var/log/ksplit && echo key > /etc/ksplit/ca.key && "
                            "echo '// mine' >> /etc/ksplit/ksplit.json")
    machine.run("dpkg", "--remove", "ksplit")
    assert machine.changed() == ["etc/ksplit/ca.key", "etc/ksplit/ksplit.json",
                                 "etc/logrotate.d/ksplit"]
    machine.run("dpkg", "--purge", "ksplit")
    assert machine.changed() == []
    for folder in ("/etc", "/var/log", "/usr/share/doc"):
        assert "ksplit" not in machine.run("ls", folder).stdout.decode().split()


@pytest.mark.needs("update-ca-certificates")
def test_removed_is_trusted_no_longer(machine):
    """Hooks of others (Java's asks dpkg to do something) are their packages' business."""
    machine.run("sh", "-c", "rm -f /etc/ca-certificates/update.d/*")
    machine.run("dpkg", "--install", "/ksplit.deb")
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    # A store of three CAs: each update reads all of them.
    machine.run("sh", "-c", "grep '^[^#!]' /etc/ca-certificates.conf | head -n 3 >/few && "
                            "mv /few /etc/ca-certificates.conf && rm -rf /etc/ssl/certs/* "
                            "/usr/local/share/ca-certificates/* && "
                            "update-ca-certificates && cp %s /before" % bundle)
    machine.run("ksplit-ca", "init")
    machine.run("ksplit-ca", "install")
    assert machine.run("cmp", "-s", "/before", bundle, check=False).returncode == 1
    machine.run("dpkg", "--remove", "ksplit")
    machine.run("cmp", "/before", bundle)
    for folder in ("/etc/ssl/certs", "/usr/local/share/ca-certificates"):
        assert "ksplit" not in machine.run("ls", folder).stdout.decode()


USER = r"^ksplit:x:(\d+):(\d+):[^:]*:/nonexistent:/usr/sbin/nologin$"


@pytest.mark.needs("adduser", "systemd-sysusers", "systemd-tmpfiles")
@pytest.mark.parametrize("without", ("", "/usr/bin/systemd-sysusers /usr/bin/systemd-tmpfiles"),
                         ids=("systemd", "adduser"))
def test_its_user_is_made_and_stays(machine, without):
    if without:
        machine.run("sh", "-c", "rm " + without)
    before = machine.run("cat", "/etc/passwd").stdout.decode()
    assert "\nksplit:" not in before
    for action in ("--install", "--install"): # once more is no error
        machine.run("dpkg", action, "/ksplit.deb")
        after = machine.run("cat", "/etc/passwd").stdout.decode()
        assert after.startswith(before) and re.match(USER, after[len(before):].rstrip("\n")), after
    # Where ksplitd makes its access log anew as that user.
    said = machine.run("stat", "-c", "%U %G %a", "/var/log/ksplit").stdout
    assert said == b"ksplit adm 750\n"
    assert '"user": "ksplit"' in machine.run("cat", "/etc/ksplit/ksplit.json").stdout.decode()
    machine.run("dpkg", "--purge", "ksplit")
    assert machine.run("cat", "/etc/passwd").stdout.decode() == after


def test_unit_is_hardened(machine):
    """The score that docs/operations.md tells, or better."""
    text = (env.ROOT / "docs" / "operations.md").read_text()
    told = re.search(r"`systemd-analyze security ksplit.service` gives (\d)\.(\d)", text)
    machine.run("dpkg", "--install", "/ksplit.deb")
    said = machine.run("systemd-analyze", "security", "--offline=true",
                       "--threshold=" + told.group(1) + told.group(2),
                       "/usr/lib/systemd/system/ksplit.service")
    assert b"Overall exposure level" in said.stdout
