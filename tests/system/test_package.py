# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package: made, installed, removed and purged on this machine as it is, but in an overlay
of it, whose upper layer then shows what was left behind."""

import contextlib
import os
import shutil
import subprocess

import pytest

from lib import env
from lib.process import run

pytestmark = pytest.mark.needs("make", "dpkg-deb", "dpkg-shlibdeps", "unshare", "mount")

# What dpkg and ldconfig keep for themselves, and what no package manager cleans.
OF_DPKG = ("var/lib/dpkg/", "var/cache/", "var/log/", "etc/ld.so.cache")

INSIDE = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"
mount --bind /dev "$1/root/dev"
cp "$2" "$1/root/ksplit.deb"
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
                      if name != "ksplit.deb" and not name.startswith(OF_DPKG))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What `make deb` makes of the programs under test."""
    folder = tmp_path_factory.mktemp("package")
    build = os.path.relpath(env.BUILD, env.ROOT)
    # Nothing is built here: the programs are there, and are what `all` stands for.
    made = ["-o", "all"]
    for program in sorted(env.BUILD.iterdir()):
        if program.is_file() and os.access(program, os.X_OK):
            made += ["-o", "%s/%s" % (build, program.name)]
    run("make", "-C", env.ROOT, "BUILD=" + build, *made, "deb")
    found = list(env.BUILD.glob("ksplit_*.deb"))
    assert len(found) == 1
    return shutil.move(found[0], folder)


@pytest.fixture
def machine(tmp_path, package):
    with contextlib.closing(Machine(tmp_path, package)) as made:
        yield made


def test_it_names_what_it_needs(package):
    fields = dict(line.split(": ", 1) for line in
                  run("dpkg-deb", "--field", package).stdout.decode().splitlines() if ": " in line)
    assert {"libssl3", "libbpf1", "libcjson1", "libc6"} <= {
        word.split()[0] for word in fields["Depends"].split(", ")}
    assert fields["Version"].encode() in run(env.BUILD / "ksplitd", "--version").stdout


def test_installed_is_not_started(machine):
    machine.run("dpkg", "--install", "/ksplit.deb")
    assert machine.run("ksplitd", "--version").stdout.startswith(b"ksplitd ")
    said = machine.run("systemctl", "--root=/", "is-enabled", "ksplit.service", check=False)
    assert said.stdout.decode().strip() == "disabled"
    assert machine.run("systemd-analyze", "verify", "--man=no", "ksplit.service").stderr == b""
    # Until there is a CA it says so, instead of doing half of its work.
    refused = machine.run("ksplitd", "--check", check=False)
    assert refused.returncode != 0 and b"/etc/ksplit/ca.pem" in refused.stderr


def test_removed_leaves_the_configuration_and_purged_nothing(machine):
    machine.run("dpkg", "--install", "/ksplit.deb")
    machine.run("sh", "-c", "mkdir -p /var/log/ksplit && echo key > /etc/ksplit/ca.key && "
                            "echo '// mine' >> /etc/ksplit/ksplit.json")
    machine.run("dpkg", "--remove", "ksplit")
    assert machine.changed() == ["etc/ksplit/ca.key", "etc/ksplit/ksplit.json"]
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


def test_unit_is_hardened(machine):
    """The score that docs/operations.md tells, or better."""
    machine.run("dpkg", "--install", "/ksplit.deb")
    said = machine.run("systemd-analyze", "security", "--offline=true", "--threshold=44",
                       "/usr/lib/systemd/system/ksplit.service")
    assert b"Overall exposure level" in said.stdout
