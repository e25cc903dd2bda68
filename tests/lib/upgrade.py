# SPDX-License-Identifier: GPL-2.0-or-later
"""A ksplitd that others take over from: which process it is changes."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .daemon import Ksplitd
from .env import BUILD, PATIENCE, wait_for
from .process import ENV

STATUS = BUILD / "ksplit-status"


def is_alive(pid):
    """Is there such a process, and not only its remains?"""
    try:
        stat = Path("/proc/%d/stat" % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children(pid):
    """Its child processes: {number: name}."""
    found = {}
    for task in Path("/proc/%d/task" % pid).iterdir():
        for child in map(int, (task / "children").read_text().split()):
            try:
                found[child] = Path("/proc/%d/comm" % child).read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


class Upgrading(Ksplitd):
    """`pid` is the process that serves now; `retired` are those that have handed over."""

    def launch(self):
        super().launch()
        self.now, self.retired = self.process.pid, []
        return self

    @property
    def pid(self):
        return self.now

    def running(self):
        return self.process is not None and is_alive(self.now)

    def terminate(self):
        os.kill(self.now, signal.SIGTERM)

    def wait_exit(self, timeout=None):
        """Only the first one's exit code can be had."""
        for pid in [*self.retired, self.now]:
            if pid != self.process.pid:
                wait_for(lambda pid=pid: not is_alive(pid),
                         lambda pid=pid: "process %d to end\n%s" % (pid, self.tail()), timeout)
        return super().wait_exit(timeout)

    def kill(self):
        super().kill()
        for pid in [*self.retired, self.now] if self.process else []:
            if pid != self.process.pid and is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def ask_upgrade(self):
        """ksplit-status upgrade: exit code and what it says, decoded."""
        done = subprocess.run([STATUS, "--json", "--control", self.control_path, "upgrade"],
                              text=True, env=ENV, capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=2 * PATIENCE)
        assert done.stdout, done.stderr + self.tail()
        told = json.loads(done.stdout)
        if told["upgraded"]:
            assert told["old_pid"] == self.now, told
            self.retired.append(self.now)
            self.now = told["pid"]
        return done.returncode, told

    def upgrade(self):
        code, told = self.ask_upgrade()
        assert code == 0 and told["upgraded"], (code, told, self.tail())
        assert self.summary()["pid"] == self.now
        return told

    def launcher(self):
        """The launcher's number."""
        return next(pid for pid, name in children(self.now).items() if name == "ksplit-launcher")
