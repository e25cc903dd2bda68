# SPDX-License-Identifier: GPL-2.0-or-later
"""A host of the test's own: systemd as PID 1 of new namespaces (processes, mounts, network, cgroups,
names), on an overlay of this machine's files. It starts in a second or two; everything in it ends with
its PID 1, and nothing that it writes outlives it.

What would reach the machine around it is taken away: rights to set the clock, to load modules and to
touch hardware; /dev but for a few harmless nodes; /proc/sys but for the network's own.
"""

import subprocess
from pathlib import Path

from . import cgroups
from .env import wait_for
from .process import ENV, run

# Units: a journal and temporary files as on any host, and nothing else that is installed here. Man pages
# are not indexed, and what is unpacked is not synced.
UNITS = """
rm -rf etc/systemd/system usr/lib/systemd/system-generators usr/lib/systemd/system/*.wants
mkdir -p etc/systemd/system/sysinit.target.wants
for unit in journald.socket journald-dev-log.socket journald.service tmpfiles-setup.service; do
	ln -s /usr/lib/systemd/system/systemd-$unit etc/systemd/system/sysinit.target.wants/
done
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' >etc/systemd/system/test.target
: >etc/fstab
rm -rf var/log/journal var/lib/man-db/auto-update
echo force-unsafe-io >etc/dpkg/dpkg.cfg.d/test
"""

INSIDE = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
%s
mount -t proc none proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro none sys
mount -t cgroup2 none sys/fs/cgroup
mount -t bpf -o mode=700 none sys/fs/bpf
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=755 none dev
for node in null zero full random urandom tty; do
	: >dev/$node
	mount --bind /dev/$node dev/$node
done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 none dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
mkdir -p run/old
pivot_root . run/old
umount --lazy /run/old
rmdir /run/old
exec env -i container=ksplit-test PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
	--bounding-set -sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm \
	/usr/lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no
""" % UNITS


class Host:
    """`folder` becomes a mount point in there; it stays empty here."""

    NEEDS = ("unshare", "nsenter", "pivot_root", "setpriv", "systemctl", "journalctl")

    def __init__(self, folder):
        self._cgroup = cgroups.Cgroup(cgroups.own_name("systemd"))
        self._holder = subprocess.Popen(
            [*self._cgroup.prefix, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net",
             "--uts", "--ipc", "--cgroup", "sh", "-c", INSIDE, "sh", str(folder)], env=ENV,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self._await_start()
        except BaseException:
            self.close()
            raise

    def _await_start(self):
        children = Path("/proc/{0}/task/{0}/children".format(self._holder.pid))

        def init():
            if self._holder.poll() is not None:
                raise AssertionError("no systemd: %s" % self._holder.stderr.read().decode())
            # The shell that is to become systemd has its number already.
            started = [int(word) for word in children.read_text().split()]
            return started[0] if started and Path(
                "/proc/%d/comm" % started[0]).read_text() == "systemd\n" else None

        self.pid = wait_for(init, "systemd to be started")
        self.root = Path("/proc/%d/root" % self.pid)
        wait_for(lambda: self.systemctl("is-active", "test.target", check=False).returncode == 0,
                 lambda: "systemd to be up:\n" + self.journal())
        self.run("ip", "link", "set", "lo", "up")

    def close(self):
        if self._holder.poll() is None:
            self._holder.kill() # and with it PID 1, and with that everything
        self._holder.wait()
        self._holder.stderr.close()
        self._cgroup.remove()

    def enter(self, *argv):
        """A command line for the inside."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--uts", "--ipc",
                "--cgroup", "--root", "--wd", *[str(a) for a in argv]]

    def run(self, *argv, **more):
        return run(*self.enter(*argv), **more)

    def text(self, *argv):
        """What a command prints; its exit code does not matter."""
        done = self.run(*argv, check=False)
        return (done.stdout + done.stderr).decode(errors="replace")

    def systemctl(self, *words, check=True):
        return self.run("systemctl", *words, check=check)

    def show(self, unit, name):
        """A property of a unit (systemctl(1), show)."""
        return self.systemctl("show", "--value", "--property=" + name, unit).stdout.decode().strip()

    def journal(self, unit=None):
        return self.text("journalctl", "--no-pager", "--output=cat",
                         *(["--unit=" + unit] if unit else []))

    def processes(self):
        """{number inside: name} of all that run."""
        lines = self.run("ps", "-e", "-o", "pid=,comm=").stdout.decode().splitlines()
        return {int(pid): name for pid, name in (line.split(None, 1) for line in lines)}
