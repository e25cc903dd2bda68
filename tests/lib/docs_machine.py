# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine to try commands of the documentation on: this one's files in an overlay, processes and
network of its own. Whatever is done there ends with it."""

import subprocess
from pathlib import Path

from . import env
from .process import Program, run

TREE = "/src/ksplit"

# $1: folder for a tmpfs; $2: the source tree; $3: what was built of it.
INSIDE = r"""
set -e
mount -t tmpfs none "$1"
machine=$1/machine
mkdir "$machine"
lay() {
	mkdir -p "$1/$2-upper" "$1/$2-work" "$4"
	mount -t overlay none -o "lowerdir=$3,upperdir=$1/$2-upper,workdir=$1/$2-work" "$4"
}
lay "$1" all / "$machine"
lay "$1" tree "$2" "$machine/src/ksplit"
lay "$1" build "$3" "$machine/src/ksplit/build"
mount --rbind /dev "$machine/dev"
mount --rbind /sys "$machine/sys"
! grep -q "bpf$" /proc/filesystems || mount -t bpf bpf "$machine/sys/fs/bpf"
mount -t tmpfs none "$machine/run"
read -r pid rest </proc/self/stat
mount -t proc none "$machine/proc"
cd /
# This shell is the machine's init: it reaps whatever nobody else does.
exec chroot "$machine" bash -c 'echo '"$pid"'; while :; do sleep 3600 & wait $!; done'
"""

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb"}


class Machine:
    """`netns`: the network namespace that it lives in, made by somebody else (lib/netns.py)."""

    def __init__(self, folder, netns):
        folder.mkdir(parents=True)
        self.folder = TREE
        self._init = subprocess.Popen(
            ["nsenter", "--net=/run/netns/" + netns, "unshare", "--mount", "--pid", "--ipc",
             "--fork", "--kill-child", "bash", "-c", INSIDE, "bash", folder, env.ROOT, env.BUILD],
            stdout=subprocess.PIPE, env=ENVIRONMENT)
        self.pid = self._init.stdout.readline().decode().strip()
        if not self.pid:
            self.close()
            raise AssertionError("the machine did not start")
        self.root = Path("/proc/%s/root" % self.pid)

    def close(self):
        self._init.kill()
        self._init.wait()
        self._init.stdout.close()

    def _enter(self, command):
        return ["nsenter", "--target=" + self.pid, "--mount", "--pid", "--net", "--ipc", "--root",
                "--wd=%s%s" % (self.root, self.folder), "--", "bash", "-c", command]

    def path(self, name):
        """A file of the machine, as the test sees it."""
        return self.root / str(Path(self.folder) / name)[1:]

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(self, command, check=True):
        """A command line for bash; its output, standard error behind it, is text."""
        done = run(*self._enter(command), check=False, env=ENVIRONMENT)
        done.text = (done.stdout + done.stderr).decode(errors="replace")
        assert not check or done.returncode == 0, "%s\nexit code %d\n%s" % (
            command, done.returncode, done.text)
        return done

    def program(self, command):
        """A command that goes on until the machine ends."""
        return Program(*self._enter("exec " + command), env=ENVIRONMENT)

    def listeners(self):
        """Ports that something listens on."""
        return set(self.run("ss -Hltn").stdout.decode().split()[3::5])

    def serve(self, command):
        """A command that goes on; returned once it is ready: a daemon of ours says so, of others a
        port is there that was not."""
        before = self.listeners()
        program = self.program(command)
        if "ksplitd" in command:
            program.expect("ready: ")
        else:
            env.wait_for(lambda: self.listeners() - before, "%s to listen" % command)
        return program
