# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplitd under test: started with a configuration of its own, watched, ended and judged."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .env import BUILD, PATIENCE, free_port, wait_for
from .process import (ENV, proc_connections, proc_cpu_seconds, proc_fds, proc_listens,
                      proc_rss_kib)

PROGRAM = BUILD / "ksplitd"
CONTROL_VERSION = 1
RELAYS = ("splice", "copy", "user", "auto")


def sanitizer_env(log_prefix):
    """Environment in which a sanitizer build writes its reports to files."""
    common = "log_path=%s:halt_on_error=1" % log_prefix
    return {"ASAN_OPTIONS": common + ":detect_leaks=1:abort_on_error=0:exitcode=99",
            "UBSAN_OPTIONS": common + ":print_stacktrace=1"}


def ask_control(path, request, timeout=None):
    """One request line to a control socket, its answer decoded. `request`: bytes or an object."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout or PATIENCE)
        sock.connect(str(path))
        line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        sock.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            piece = sock.recv(65536)
            if not piece:
                raise AssertionError("control socket closed after %r" % answer)
            answer += piece
    return json.loads(answer)


class Ksplitd:
    """One daemon. `to` is a destination or a list of them: a listener each, `ports` in the same
    order (OWN_PORT in it is the listener's own; a dictionary is a listener with more members). `settings`: members of the configuration file, nested as there.

    As a context manager it starts, and at the end it is stopped and judged (see `stop`).
    """

    def __init__(self, pki, to, settings=None, host="127.0.0.1", options=(), prefix=(),
                 ca=None, folder=None, env=None):
        self._own_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="ksplit-test-"))
        self.control_path = self.folder / "control.sock"
        self.access_log_path = self.folder / "access.log"
        self.stderr_path = self.folder / "stderr.log"
        self.config_path = self.folder / "ksplit.json"
        self.to = list(to) if isinstance(to, list) else [to]
        self.host = host
        self.ports = [free_port(host if host != "::" else "::1") for _ in self.to]
        self.config = self._configuration(pki, ca or pki.ca, settings or {})
        self.options, self.prefix = [str(o) for o in options], [str(p) for p in prefix]
        self.env = dict(ENV, **sanitizer_env(self.folder / "sanitizer"), **(env or {}))
        self.process = None

    def _configuration(self, pki, ca, settings):
        host = "[%s]" % self.host if ":" in self.host else self.host
        config = {
            "ca": {"cert": str(ca.cert), "key": str(ca.key)},
            "listeners": [dict(to if isinstance(to, dict) else
                               {"to": to.replace("OWN_PORT", str(port))},
                               listen="%s:%d" % (host, port))
                          for port, to in zip(self.ports, self.to)],
            "upstream": {"ca": str(pki.origin_ca.cert)},
            "control": str(self.control_path),
            "access_log": str(self.access_log_path),
            "log_level": "debug",
            "workers": 2,
            # Tests share one client address and one name: what one client refuses must not be
            # remembered for the next. Those of learned passes switch it on.
            "limits": {"learned_pass": 0},
        }
        for key, value in settings.items():
            if isinstance(value, dict) and isinstance(config.get(key), dict):
                config[key].update(value)
            else:
                config[key] = value
        return config

    # -- life --------------------------------------------------------------------------------

    @property
    def port(self):
        return self.ports[0]

    @property
    def address(self):
        return self.host, self.port

    @property
    def pid(self):
        return self.process.pid

    def launch(self):
        """Start without waiting."""
        self.config_path.write_text(json.dumps(self.config, indent=1))
        argv = self.prefix + [str(PROGRAM), "--foreground", "-c", str(self.config_path)]
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(argv + self.options, stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr, env=self.env)
        return self

    def start(self):
        """Start and wait until every listener and the control socket answer."""
        self.launch()
        try:
            wait_for(self._up, "ksplitd to listen")
        except BaseException:
            self.kill()
            raise
        return self

    def _up(self):
        if self.process.poll() is not None:
            raise AssertionError("ksplitd ended with %d:\n%s" % (
                self.process.returncode, self.stderr()))
        if not all(proc_listens(self.pid, port) for port in self.ports):
            return False
        try:
            return self.ask("summary") is not None
        except OSError:
            return False

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, timeout=None):
        """Wait for its end; the exit code."""
        try:
            return self.process.wait(timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("ksplitd does not end:\n%s" % self.tail()) from None

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait(PATIENCE)

    def stop(self):
        """SIGTERM; it must end with 0 and leave neither a report nor a socket behind."""
        try:
            if self.running():
                self.terminate()
            code = self.wait_exit()
        finally:
            self.kill()
        reports = self.sanitizer_reports()
        assert not reports, reports
        assert code == 0, "ksplitd ended with %d:\n%s" % (code, self.tail())
        assert not self.control_path.exists(), "the control socket was left behind"
        # What went wrong can be looked into; what went well leaves nothing.
        if self._own_folder:
            shutil.rmtree(self.folder)

    # -- what it tells -----------------------------------------------------------------------

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def tail(self, lines=60):
        return "\n".join(self.stderr().splitlines()[-lines:])

    def sanitizer_reports(self):
        return "\n".join(path.read_text(errors="replace")
                         for path in sorted(self.folder.glob("sanitizer.*")))

    def ask(self, command):
        """The data of a control command."""
        answer = ask_control(self.control_path, {"version": CONTROL_VERSION, "command": command})
        assert answer["ok"], answer
        return answer["data"]

    def summary(self):
        return self.ask("summary")

    def connections(self):
        return self.ask("connections")["connections"]

    def open_count(self):
        return len(self.connections())

    def reason_count(self, name):
        """How often a reason (of whatever class) was counted."""
        return sum(group.get(name, 0) for group in self.summary()["reasons"].values())

    def _log_lines(self, kind):
        if not self.access_log_path.exists():
            return []
        text = self.access_log_path.read_text()
        lines = [json.loads(line) for line in text.splitlines(keepends=True)
                 if line.endswith("\n")]
        return [line for line in lines if line["type"] == kind]

    def access_log(self):
        """Every line of a connection in the access log, decoded."""
        return self._log_lines("connection")

    def request_log(self):
        """Every line of a request."""
        return self._log_lines("request")

    def mark(self):
        """A place in the access log: what was written before does not count."""
        return len(self.access_log())

    def wait_log(self, mark=0, count=1):
        """The `count` lines of connections that ended after the mark."""
        return wait_for(lambda: (lambda lines: len(lines) >= count and lines)(
            self.access_log()[mark:]),
            lambda: "%d access log lines; there are %s\n%s" % (
                count, self.access_log()[mark:], self.tail()))

    # -- what it uses ------------------------------------------------------------------------

    def fd_count(self):
        return len(proc_fds(self.pid))

    def rss_kib(self):
        return proc_rss_kib(self.pid)

    def cpu_seconds(self):
        return proc_cpu_seconds(self.pid)

    def socket_count(self):
        """TCP sockets that are no listeners: two for each connection."""
        return proc_connections(self.pid)

    def settle(self):
        """Wait until no connection is open and no socket is left of those that were."""
        wait_for(lambda: self.open_count() == 0,
                 lambda: "connections to end: %s\n%s" % (self.connections(), self.tail()))
        wait_for(lambda: self.socket_count() == 0,
                 lambda: "sockets to be closed: %s\n%s" % (proc_fds(self.pid), self.tail()))


def run_to_end(options, env=None, timeout=None):
    """ksplitd with these options until it ends by itself (bad configuration, --check)."""
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as folder:
        full = dict(ENV, **sanitizer_env(os.path.join(folder, "sanitizer")), **(env or {}))
        done = subprocess.run([str(PROGRAM)] + [str(o) for o in options], env=full,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout or PATIENCE, text=True)
        reports = "".join(p.read_text(errors="replace")
                          for p in Path(folder).glob("sanitizer.*"))
        assert not reports, reports
    return done
