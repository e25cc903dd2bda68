# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups (v2) of a test's own, and programs that are started in them."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from .env import wait_for
from .process import run


def mount():
    """The root of cgroup v2, beside version 1 or alone (proc(5), mountinfo)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 ") and fields.split()[3] == "/":
            return Path(fields.split()[4])
    raise AssertionError("cgroup v2 is not mounted")


class Cgroup:
    """A folder `name` below the root of cgroup v2; removed at the end, when its last process has
    gone."""

    def __init__(self, name):
        self.name, self.path = name, mount() / name
        self.path.mkdir(parents=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()

    @property
    def prefix(self):
        """What comes before a command that is to run in it."""
        return ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(self.path)]

    def remove(self):
        def gone():
            with suppress(FileNotFoundError):
                for path in sorted(self.path.rglob("*/"), reverse=True):
                    if path.is_dir():
                        path.rmdir()
                self.path.rmdir()
            return not self.path.exists()

        def tried():
            try:
                return gone()
            except OSError:
                return False

        wait_for(tried, "cgroup %s to be empty" % self.path)


def own_name(tag):
    return "ksplit-test-%d-%s" % (os.getpid(), tag)


def connect_inside(group, port):
    """Connect to a port of 127.0.0.1 from a process in that cgroup: 0 or the error. That the
    socket's peer is another port than was called is EADDRNOTAVAIL."""
    code = ("import errno, os, socket, sys\n"
            "port = int(sys.argv[1])\n"
            "with socket.socket() as s:\n"
            "    error = s.connect_ex(('127.0.0.1', port))\n"
            "    told = error or s.getpeername()[1] == port\n"
            "    sys.exit(error if told else errno.EADDRNOTAVAIL)\n")
    return run(*group.prefix, sys.executable, "-c", code, port, check=False).returncode
