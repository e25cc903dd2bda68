# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs run by tests: always bounded in time, always ended by their own pid."""

import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

from .env import PATIENCE, wait_for

ENV = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin", LC_ALL="C.UTF-8")


def run(*argv, stdin=b"", check=True, timeout=None, env=None, cwd=None):
    """Run to the end. Returns CompletedProcess with bytes; told in full when it fails."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, cwd=cwd,
                          timeout=timeout or PATIENCE, env=env or ENV)
    if check and done.returncode != 0:
        raise AssertionError("%s\nexit code %d\n%s%s" % (
            " ".join(str(a) for a in argv), done.returncode,
            done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")))
    return done


def unread(pipe):
    """Bytes in a pipe that its reader has not taken (FIONREAD of pipe(7))."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


class Program:
    """A program in the background whose output can be read while it runs.

    Its standard input is a pipe that the test writes commands to (`say`), its output is
    collected by a thread. As a context manager it is ended when the block is left.
    """

    def __init__(self, *argv, env=None, cwd=None, group=False, pass_fds=()):
        self.argv = [str(a) for a in argv]
        self._lock = threading.Lock()
        self._output = bytearray()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=env or ENV, cwd=cwd,
                                        start_new_session=group, pass_fds=pass_fds)
        self._group = group
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            with self._lock:
                self._output += data

    def output(self):
        """Everything that it wrote so far (bytes)."""
        with self._lock:
            return bytes(self._output)

    def text(self):
        return self.output().decode(errors="replace")

    def say(self, data):
        """Write to its standard input, once it has read what was said before: openssl takes for
        a command only what begins a read."""
        pipe = self.process.stdin.fileno()
        wait_for(lambda: unread(pipe) == 0 or self.process.poll() is not None,
                 lambda: "%s to read its input; it said:\n%s" % (self.argv[:2], self.text()))
        self.process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self.process.stdin.flush()

    def close_input(self):
        self.process.stdin.close()

    def expect(self, needle, timeout=None):
        """Wait until `needle` is in its output."""
        needle = needle if isinstance(needle, bytes) else needle.encode()

        def seen():
            ended = self.process.poll() is not None
            if needle in self.output():
                return True
            if ended:
                self._reader.join(PATIENCE)
                if needle in self.output():
                    return True
                raise AssertionError("%s ended with %s, without saying %r:\n%s" % (
                    self.argv[0], self.process.returncode, needle, self.text()))
            return False

        wait_for(seen, lambda: "%r from %s, which said:\n%s" % (
            needle, " ".join(self.argv), self.text()), timeout)

    def wait(self, timeout=None):
        """Wait for its end by itself; the exit code."""
        try:
            code = self.process.wait(timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s does not end; it said:\n%s" % (
                " ".join(self.argv), self.text())) from None
        self._reader.join(PATIENCE)
        return code

    def end(self):
        """End it: SIGTERM, then SIGKILL."""
        if self.process.poll() is None:
            try:
                if self._group:
                    os.killpg(self.pid, signal.SIGTERM)
                else:
                    self.process.terminate()
                self.process.wait(5)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                self.process.kill()
                self.process.wait(PATIENCE)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self._reader.join(5)
        self.process.stdout.close()


def proc_fds(pid):
    """What the open descriptors of a process are: {number: link target}."""
    found = {}
    for entry in Path("/proc/%d/fd" % pid).iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            continue
    return found


def proc_rss_kib(pid):
    """Resident memory of a process in KiB (proc(5), VmRSS)."""
    for line in Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("process %d has no VmRSS" % pid)


def proc_cpu_seconds(pid):
    """User and system CPU time of a process in seconds (proc(5), stat fields 14 and 15)."""
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


TCP_LISTEN = "0A"


def _proc_tcp(pid):
    """(local port, state, inode) of every TCP socket in a process's network namespace."""
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/%d/net/%s" % (pid, name)).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            yield int(fields[1].rpartition(":")[2], 16), fields[3], fields[9]


def proc_listens(pid, port):
    """Is a TCP socket of this process's network namespace listening on the port?"""
    return any(local == port and state == TCP_LISTEN for local, state, _ in _proc_tcp(pid))


def proc_connections(pid):
    """How many TCP sockets that are no listeners does the process hold?"""
    held = {link for link in proc_fds(pid).values() if link.startswith("socket:")}
    return sum("socket:[%s]" % inode in held
               for _, state, inode in _proc_tcp(pid) if state != TCP_LISTEN)


class ServerProgram:
    """Somebody's server: a program that listens on `port` of 127.0.0.1, from then on until close()."""

    def __init__(self, name, port, *argv, env=None):
        self.port = port
        self._name = name
        self._program = Program(*argv, env=env)
        try:
            wait_for(self._listening, lambda: "%s to listen: %s" % (name, self.text()))
        except BaseException:
            self.close()
            raise

    def _listening(self):
        if self._program.process.poll() is not None:
            raise AssertionError("%s ended:\n%s" % (self._name, self.text()))
        return proc_listens(self._program.pid, self.port)

    def text(self):
        return self._program.text()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._program.end()
