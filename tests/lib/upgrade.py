# SPDX-License-Identifier: GPL-2.0-or-later
"""A ksplitd that others take over from: which process it is changes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from .capturing import Capturing
from .daemon import Ksplitd
from .env import BUILD, PATIENCE, wait_for
from .process import ENV, Program

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
        # A thread or a child may end while it is looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, (task / "children").read_text().split()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found[child] = Path("/proc/%d/comm" % child).read_text().strip()
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
        assert code == 0 and told["upgraded"], "%s %s\n%s" % (code, told, self.tail())
        assert self.summary()["pid"] == self.now
        return told

    def launcher(self):
        """The launcher's number."""
        return next(pid for pid, name in children(self.now).items() if name == "ksplit-launcher")


class UpgradingCapture(Upgrading, Capturing):
    """With rules, in a namespace."""

    def reload(self, **members):
        """Write these into the configuration (None takes one out) and have it taken: by the process
        that runs, or by another. What ksplit-status says, decoded."""
        for key, value in members.items():
            self.config.pop(key, None)
            if value is not None:
                self.config[key] = value
        self.config_path.write_text(json.dumps(self.config, indent=1))
        code, told = self.tool_json("reload")
        assert told["old_pid"] == self.now, told
        if told["pid"] != self.now:
            self.retired.append(self.now)
            self.now = told["pid"]
        assert code == (0 if told["reloaded"] else 1), told
        return told


CALLS = """
import datetime, socket, ssl, sys, threading

host, port, authority = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=authority)
over, answered, failures = threading.Event(), 0, []
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
print("begun", flush=True)

def fail(what):
    failures.append("%s at %s:" % (what, datetime.datetime.utcnow().time()))

while not over.is_set():
    try:
        with socket.create_connection((host, port), 20) as plain:
            peer = plain.getpeername()
            with context.wrap_socket(plain, server_hostname="origin.test") as sock:
                sock.sendall(b"GET / HTTP/1.0\\r\\nHost: origin.test\\r\\n\\r\\n")
                answer = sock.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200") or peer[1] != port:
            fail("%r %r" % (answer[:60], peer))
        answered += 1
    except OSError as exc:
        fail(repr(exc))
print("answered", answered, "failed", len(failures), *failures[:3], flush=True)
"""


class Calls:
    """TLS calls one after the other, each on a connection of its own, by a program in another namespace
    or cgroup (`prefix`), for which the certificate has to be `authority`'s."""

    def __init__(self, prefix, host, port, authority):
        self._program = Program(*prefix, sys.executable, "-c", CALLS, host, port, authority.cert)
        self.answered = self.failed = None

    def __enter__(self):
        self._program.expect("begun")
        return self

    def __exit__(self, *exc):
        self._program.close_input()
        try:
            self._program.wait()
        finally:
            self._program.end()
        self.told = self._program.text().partition("\n")[2].strip()
        words = self.told.split()
        self.answered, self.failed = int(words[1]), int(words[3])
