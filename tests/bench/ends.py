# SPDX-License-Identifier: GPL-2.0-or-later
"""The measuring ends (tests/bench/load) as processes of the harness."""

import ctypes
import json
import os
import signal
import socket
import subprocess

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
CIPHER = "TLS_AES_128_GCM_SHA256"


class BenchError(Exception):
    """Something did not work; the message is for the user."""


def die_with_parent():
    """For preexec_fn: nothing outlives the harness, however it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def port_free():
    """A port that nobody listens on now, below the range that connect() draws from."""
    for port in range(20000 + os.getpid() % 8000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in port_free.given:
                port_free.given.add(port)
                return port
    raise BenchError("no free port")


port_free.given = set()


def process_end(process, limit=5.0):
    """SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class End:
    """One running load program; input and output are the harness's."""

    def __init__(self, program, mode, *words, ciphers=CIPHER, plain=False):
        command = [program, mode, *words]
        if plain:
            command.append("--plain")
        if ciphers:
            command += ["--ciphers", ciphers]
        self.mode = mode
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, bufsize=1, preexec_fn=die_with_parent)

    def line(self):
        """The next line it says."""
        text = self.process.stdout.readline()
        if not text:
            error = self.process.stderr.read().strip()
            raise BenchError(f"{self.mode}: {error or 'ended too early'}")
        return text.strip()

    def say(self, text):
        self.process.stdin.write(text + "\n")

    def close(self):
        """Ends its input, which ends it, and waits."""
        try:
            self.process.stdin.close()
            self.process.wait(30)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            pass
        process_end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()


class Origin(End):
    """The origin that all proxies lead to; TLS, unless plain. connections and requests are sums
    over its life."""

    def __init__(self, program, pki, ciphers=CIPHER, plain=False):
        self.port = port_free()
        self.connections = 0
        self.requests = 0
        cert, key = pki.origin
        super().__init__(program, "origin", "--address", f"127.0.0.1:{self.port}",
                         "--cert", cert, "--key", key, ciphers=ciphers, plain=plain)
        self.line()

    def counters(self):
        """Handshakes and requests since the last call, connections open now, cipher and group."""
        self.say("?")
        now = json.loads(self.line())
        self.connections += now["full"] + now["resumed"]
        self.requests += now["requests"]
        return now


class Client(End):
    """One load on one address: ready() once set up, work() does it, close() hangs up."""

    def __init__(self, program, port, ca, mode, count, connections=1, ciphers=CIPHER,
                 plain=False, seconds=180):
        super().__init__(program, mode, "--address", f"127.0.0.1:{port}", "--ca", ca,
                         "--count", str(count), "--connections", str(connections),
                         "--seconds", str(seconds), ciphers=ciphers, plain=plain)

    def ready(self):
        self.line()

    def work(self):
        self.say("go")
        return json.loads(self.line())
