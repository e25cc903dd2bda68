# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status against a control socket that answers what the test says. Needs: nothing."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("KSPLIT_BUILD", "build") / "ksplit-status"

SUMMARY = {
    "version": "0.1.0", "pid": 4711, "start_time": "2026-01-31T12:00:00.000Z", "uptime_s": 11520,
    "workers": 2, "draining": False, "degraded": None, "openssl": "OpenSSL 3.0.17 1 Jul 2025",
    "config": {"relay": "auto", "ktls": "auto", "verify": "mimic", "max_connections": 1000},
    "connections": {
        "open": 12, "passed_open": 2,
        "by_state": {"peek": 1, "resolve": 0, "connect": 2, "relay": 9},
        "accepted": 1234567, "intercepted": 1234000, "passed": 30, "closed": 1234555,
        "accept_paused": 0},
    "handshakes": {"client_completed": 1200, "client_failed": 3, "client_resumed": 50,
                   "upstream_completed": 1210, "upstream_failed": 7},
    "ktls": {"client_rx": 1000, "client_tx": 1100, "upstream_rx": 900, "upstream_tx": 950},
    "user_tls": {"client_rx": 200, "client_tx": 100, "upstream_rx": 300, "upstream_tx": 250},
    "bytes": {"to_origin": 5000, "to_client": 9007199254740993, "spliced": 4096,
              "copied": 1048576, "user": 0, "raw": 1},
    "records": {"alerts_forwarded": 5, "tickets_swallowed": 2420, "key_updates": 0, "rekeys": 0,
                "record_limits": 0},
    "access_log": {"dropped": 0},
    "reasons": {"end": {"closed": 1200, "unexpected_record_from_client": 3, "from_the_future": 1},
                "pass": {"not_tls": 30}, "fallback": {"ktls_cipher": 850}},
    "leaf_cache": {"entries": 3, "hits": 1197, "misses": 3, "forged": 3, "failed": 0, "waited": 19,
                   "evicted": 0},
}

SOCKET = {"ulp": "tls", "version": "TLSv1.3", "cipher": "AES-GCM-128", "rxconf": "sw",
          "txconf": "sw", "rx_no_pad": False, "tx_zerocopy": False,
          "tcp": {"rtt_us": 120, "retransmits": 3}}

CONNECTIONS = {
    "socket_diagnostics_error": None,
    "connections": [
        {"time": "2026-01-31T12:00:00.000Z", "id": 42, "client": "192.0.2.1:54321",
         "local": "192.0.2.7:8443", "upstream_local": "192.0.2.7:40000",
         "upstream": "203.0.113.5:443", "state": "relay", "age_ms": 182000, "mode": "intercept",
         "pass_reason": None, "sni": "www.example.com", "alpn": "h2",
         "client_tls": {"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256",
                        "resumed": True, "ktls": {"rx": True, "tx": "ktls_tx_refused"},
                        "alert_received": None, "alert_sent": None},
         "upstream_tls": {"version": "TLSv1.2",
                          "cipher": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                          "resumed": False, "ktls": {"rx": True, "tx": True},
                          "alert_received": None, "alert_sent": None},
         "to_origin": {"relay": "splice", "bytes": 1280, "spliced": 1280, "records_in": 1},
         "to_client": {"relay": "splice", "bytes": 4000, "spliced": 1000, "records_in": 2},
         "kernel": {"client": SOCKET, "upstream": None}},
        {"id": 43, "client": "[2001:db8::1]:1", "state": "peek", "age_ms": 5, "sni": None,
         "client_tls": None, "upstream_tls": None},
    ],
}

KERNEL = {
    "release": "6.12.117",
    "ktls": {"ulp": True, "error": None, "rekey": False,
             "tx": {"TLSv1.2": ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"],
                    "TLSv1.3": ["AES-128-GCM"]},
             "rx": {"TLSv1.2": [], "TLSv1.3": ["AES-128-GCM"]}},
    "tls_stat": {"TlsCurrTxSw": 2, "TlsDecryptError": 0},
}

ANSWERS = {"summary": SUMMARY, "connections": CONNECTIONS, "kernel": KERNEL}


def answer(data):
    return json.dumps({"version": 1, "ok": True, "data": data}).encode() + b"\n"


def answer_what_was_asked(client, request):
    client.sendall(answer(ANSWERS[request["command"]]))


class Server:
    """Listens on a Unix socket and lets `behave(client, request)` answer each connection."""

    def __init__(self, path, behave):
        self.requests = []
        self.behave = behave
        self.over = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.listener.settimeout(0.1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.over.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(10)
                line = client.makefile("rb").readline()
                request = json.loads(line)
                self.requests.append(request)
                # A client that has seen enough hangs up, and may.
                with contextlib.suppress(ConnectionError):
                    self.behave(client, request)

    def close(self):
        self.over.set()
        self.thread.join()
        self.listener.close()


@pytest.fixture
def path():
    # A Unix socket's path holds 107 bytes; the test's own folder may be longer.
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder) / "control.sock"


@pytest.fixture
def serve(path):
    servers = []

    def start(behave=answer_what_was_asked):
        if callable(behave):
            servers.append(Server(path, behave))
        else:
            servers.append(Server(path, lambda client, _: client.sendall(behave)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def run(path, *arguments, timeout=20):
    return subprocess.run([TOOL, "--control", path, *arguments], text=True, timeout=timeout,
                          capture_output=True, stdin=subprocess.DEVNULL)


def unreachable(path, *arguments):
    """The one line of an exit with 2."""
    result = run(path, *arguments)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.startswith("ksplit-status: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


# What a person sees.

def test_summary(serve, path):
    server = serve()
    result = run(path)
    assert result.returncode == 0, result
    assert result.stderr == ""
    assert server.requests == [{"version": 1, "command": "summary"}]
    lines = result.stdout.splitlines()
    assert lines[0] == "ksplitd 0.1.0, up 3 h 12 min, pid 4711, 2 workers"
    assert "Configured    relay auto  ktls auto  verify mimic  max connections 1,000" in lines
    assert "Connections   open 12  of them passed 2" in lines
    assert "  by state    peek 1  connect 2  relay 9" in lines
    assert "  since start accepted 1,234,567  intercepted 1,234,000  passed 30" in lines
    assert "Bytes         to origin 4.88 KiB  to client 8.00 PiB" in lines
    kernel = next(line for line in lines if line.startswith("  in kernel")).split()
    assert kernel == ["in", "kernel", "1,000", "1,100", "900", "950"]
    assert any(line.split() == "30 not_tls first bytes are not a TLS ClientHello".split()
               for line in lines)
    assert any(line.split() == ["1", "from_the_future"] for line in lines)


@pytest.mark.parametrize("command", ["summary", "connections", "kernel"])
def test_fits_80_columns(serve, path, command):
    serve()
    result = run(path, command)
    assert result.returncode == 0
    for line in result.stdout.splitlines():
        assert len(line) < 80, line
        assert line == line.rstrip(), line


def test_degraded(serve, path):
    serve(answer({**SUMMARY, "degraded": "worker 1 has not moved for 12 s", "draining": True}))
    result = run(path)
    assert result.returncode == 1
    assert "DEGRADED      worker 1 has not moved for 12 s\n" in result.stdout
    assert "2 workers, draining\n" in result.stdout


def test_connections(serve, path):
    serve()
    result = run(path, "connections")
    assert result.returncode == 0
    text = " ".join(result.stdout.split())
    assert text.startswith("2 open connections #42 relay for 3 min 2 s, www.example.com, h2 ")
    assert "client 192.0.2.1:54321, TLSv1.3 TLS_AES_128_GCM_SHA256, resumed " \
        "records rx kernel, tx user (ktls_tx_refused)" in text
    assert "socket tls TLSv1.3 AES-GCM-128, rx sw, tx sw, rtt 0.12 ms, retransmits 3" in text
    assert "to origin 1.25 KiB by splice to client 3.91 KiB by splice, 25.0 % of it spliced" in text
    assert "#43 peek for 5 ms client [2001:db8::1]:1" in text


def test_no_connections(serve, path):
    serve(answer({"connections": [], "socket_diagnostics_error": "Operation not permitted"}))
    assert run(path, "connections").stdout == \
        "0 open connections\nno socket diagnostics: Operation not permitted\n"


def test_kernel(serve, path):
    serve()
    result = run(path, "kernel")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "Kernel        6.12.117",
        "Kernel TLS    yes, keys cannot be replaced (KeyUpdate)",
        "  tx TLSv1.2  AES-128-GCM, AES-256-GCM, CHACHA20-POLY1305",
        "  tx TLSv1.3  AES-128-GCM",
        "  rx TLSv1.2  none",
        "  rx TLSv1.3  AES-128-GCM",
        "",
        "/proc/net/tls_stat (whole network namespace)",
        "  TlsCurrTxSw                   2",
        "  TlsDecryptError               0",
    ]


def test_kernel_without_ktls(serve, path):
    serve(answer({"release": "6.18.5", "tls_stat": None,
                  "ktls": {"ulp": False, "error": "No such file or directory", "rekey": False}}))
    result = run(path, "kernel")
    assert result.stdout.splitlines() == [
        "Kernel        6.18.5",
        "Kernel TLS    no: No such file or directory",
        "",
        "/proc/net/tls_stat is not there (module tls not loaded)",
    ]


# What a program reads.

@pytest.mark.parametrize("command", ["summary", "connections", "kernel"])
def test_json_is_the_data(serve, path, command):
    serve()
    result = run(path, "--json", command)
    assert result.returncode == 0
    assert json.loads(result.stdout) == ANSWERS[command]
    assert result.stdout.startswith('{\n  "')


def test_json_keeps_numbers_and_hides_controls(serve, path):
    raw = b'{"ok":true,"version":1,"x":["data"],"data":{"n":18446744073709551615,' \
        b'"f":0.10,"e":{},"l":[ ],"t":"a\\"}\xc2\x9b2J\xe2\x80\xae\xc3\xa4"}}\n'
    serve(raw)
    result = run(path, "--json")
    assert result.stdout == '{\n  "n": 18446744073709551615,\n  "f": 0.10,\n  "e": {},\n' \
        '  "l": [],\n  "t": "a\\"}\\u009b2J\\u202eä"\n}\n'


def test_json_tells_degraded_too(serve, path):
    serve(answer({"degraded": "no"}))
    assert run(path, "--json").returncode == 1


# Daemons that are older, newer or hostile.

@pytest.mark.parametrize("command", ["summary", "connections", "kernel"])
def test_missing_members(serve, path, command):
    serve(answer({}))
    result = run(path, command)
    assert result.returncode == 0, result
    assert "(null)" not in result.stdout


@pytest.mark.parametrize("command", ["summary", "connections", "kernel"])
@pytest.mark.parametrize("wrong", [None, 1, -1.5, "text", [], {}, [[1]], {"a": {"b": []}}, True])
def test_members_of_other_types(serve, path, command, wrong):
    data = {name: wrong for name in ANSWERS[command]}
    if command == "connections":
        one = {name: wrong for name in CONNECTIONS["connections"][0]}
        data["connections"] = [wrong, one]
    serve(answer(data))
    assert run(path, command).returncode in (0, 1)


def test_unknown_members_are_ignored(serve, path):
    serve(answer({**SUMMARY, "new": {"deep": [1]}, "bytes": {"to_origin": 1, "new": "x"}}))
    assert run(path).returncode == 0


def test_names_do_not_reach_the_terminal_raw(serve, path):
    evil = "evil\x1b[2J\x9b\n\u202e" + 300 * "x"
    connection = {**CONNECTIONS["connections"][0], "sni": evil, "alpn": evil, "state": evil,
                  "client": evil}
    serve(answer({"connections": [connection]}))
    result = run(path, "connections")
    assert result.returncode == 0
    for code in "\x1b\x9b\u202e":
        assert code not in result.stdout
    assert "evil\\x1b[2J\\xc2\\x9b\\x0a\\xe2\\x80\\xae" in result.stdout


# No answer.

def test_no_socket(path):
    assert "no such socket: is ksplitd running?" in unreachable(path)


def test_nobody_listens(path):
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(path))
    assert "nobody listens there" in unreachable(path)


def test_path_too_long(path):
    assert "longer than the path of a Unix socket" in unreachable("/tmp/" + 200 * "x")


@pytest.mark.parametrize("sent", [b"", b'{"version":1,"ok":true,"da'])
def test_closed_early(serve, path, sent):
    serve(sent)
    assert "closed before the answer was complete" in unreachable(path)


@pytest.mark.parametrize("sent", [b"hello\n", b"\n", b"{}{}\n", b'{"version":1\0,"ok":true}\n',
                                  b'{"version":1}\0\n'])
def test_not_json(serve, path, sent):
    serve(sent)
    assert "not JSON" in unreachable(path)


@pytest.mark.parametrize("sent", [b"[]\n", b"1\n", b'{"ok":true,"data":{}}\n',
                                  b'{"version":"1","ok":true,"data":{}}\n',
                                  b'{"version":1,"ok":1,"data":{}}\n'])
def test_not_ksplitd(serve, path, sent):
    serve(sent)
    assert "not one of ksplitd" in unreachable(path)


def test_wrong_version(serve, path):
    serve(b'{"version":2,"ok":true,"data":{}}\n')
    assert "speaks version 2 of the protocol, this tool 1" in unreachable(path, "--json")


@pytest.mark.parametrize("data", [b"", b',"data":null', b',"data":[]'])
def test_no_data(serve, path, data):
    serve(b'{"version":1,"ok":true' + data + b"}\n")
    assert "has no data" in unreachable(path)


def test_refused(serve, path):
    serve(b'{"version":1,"ok":false,"error":"unknown\\u001b[2J command"}\n')
    assert "ksplitd refused: unknown\\x1b[2J command" in unreachable(path)


def test_silence_ends_after_five_seconds(serve, path):
    over = threading.Event()
    serve(lambda client, _: over.wait(15))
    before = time.monotonic()
    message = unreachable(path)
    over.set()
    assert "no answer within 5 s" in message
    assert 4.5 < time.monotonic() - before < 9


def test_large_answer(serve, path):
    many = [{**CONNECTIONS["connections"][0], "id": i} for i in range(5000)]
    serve(answer({"connections": many}))
    result = run(path, "connections", timeout=60)
    assert result.returncode == 0
    assert result.stdout.startswith("5,000 open connections\n")
    assert result.stdout.count("\n#") == 5000


def test_endless_answer(serve, path):
    def babble(client, _):
        client.sendall(b'{"version":1,"ok":true,"data":{"x":"')
        for _ in range(80):
            client.sendall(1024 * 1024 * b"x")

    serve(babble)
    assert "longer than 64 MiB" in unreachable(path)


def test_answer_byte_by_byte(serve, path):
    def drip(client, _):
        for byte in answer({"pid": 1}):
            client.sendall(bytes([byte]))
            time.sleep(0.002)

    serve(drip)
    assert run(path).returncode == 0


# Usage.

@pytest.mark.parametrize("arguments, message", [
    (["endpoints"], "endpoints: not supported yet by this version"),
    (["requests"], "requests: not supported yet by this version"),
    (["certs"], "certs: not supported yet by this version"),
    (["foo"], "foo: unknown command, expected summary, connections or kernel"),
    (["kernel", "summary"], "summary: one command at a time"),
    (["--jsn"], "--jsn: unknown option"),
    (["-w"], "-w: unknown option"),
    (["--control"], "--control: expected the path of a socket"),
    (["--control="], "--control: expected the path of a socket"),
    (["--watch", "0"], "--watch: expected a whole number of seconds"),
    (["--watch=1.5"], "--watch: expected a whole number of seconds"),
    (["--watch=99999"], "--watch: expected a whole number of seconds"),
])
def test_wrong_usage(arguments, message):
    result = subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=10)
    assert result.returncode == 64
    assert result.stdout == ""
    assert result.stderr.startswith("ksplit-status: " + message)
    assert result.stderr.count("\n") == 1


def test_help_and_version():
    result = subprocess.run([TOOL, "--help"], capture_output=True, text=True, timeout=10)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ksplit-status ")
    result = subprocess.run([TOOL, "--version"], capture_output=True, text=True, timeout=10)
    assert result.returncode == 0
    assert result.stdout.startswith("ksplit-status ")


def test_full_disk(serve, path):
    serve()
    with open("/dev/full", "w") as full:
        result = subprocess.run([TOOL, "--control", path], stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=10)
    assert result.returncode == 2
    assert "No space left" in result.stderr


# Watching.

def read_until(fd, text, timeout=10):
    """What comes from a descriptor up to and with `text`."""
    got = b""
    end = time.monotonic() + timeout
    while text not in got:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert ready, got
        data = os.read(fd, 65536)
        assert data, got
        got += data
    return got


def test_watch_in_a_pipe(serve, path):
    serve()
    tool = subprocess.Popen([TOOL, "--control", path, "--watch", "1", "--json", "kernel"],
                            stdout=subprocess.PIPE)
    got = read_until(tool.stdout.fileno(), b"\n}\n\n{")
    tool.send_signal(signal.SIGTERM)
    rest = tool.stdout.read()
    assert tool.wait(10) == 0
    tool.stdout.close()
    assert b"\x1b" not in got + rest
    first = (got + rest).decode().split("\n\n")[0]
    assert json.loads(first) == KERNEL


class Terminal:
    """The tool on a pseudo terminal of the given size."""

    def __init__(self, path, rows, columns, *arguments):
        self.fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(inner)
        self.inner = inner
        self.tool = subprocess.Popen([TOOL, "--control", path, "--watch=1", *arguments],
                                     stdin=inner, stdout=inner, stderr=inner,
                                     start_new_session=True,
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read_until(self, text):
        return read_until(self.fd, text)

    def interrupt(self):
        """Ctrl-C; the exit code and what was still drawn."""
        os.write(self.fd, b"\x03")
        rest = read_until(self.fd, b"\x1b[?1049l")
        code = self.tool.wait(10)
        assert termios.tcgetattr(self.inner) == self.before
        os.close(self.fd)
        os.close(self.inner)
        return code, rest


def test_watch_on_a_terminal(serve, path):
    serve()
    terminal = Terminal(path, 50, 100)
    first = terminal.read_until(b"\x1b[J")
    assert first.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H")
    assert b"ksplitd 0.1.0, up 3 h 12 min" in first
    assert b"\x1b[H" in terminal.read_until(b"\x1b[J")
    code, rest = terminal.interrupt()
    assert code == 0
    assert rest.endswith(b"\x1b[?25h\x1b[?1049l")


def test_watch_cuts_to_the_screen(serve, path):
    serve()
    terminal = Terminal(path, 5, 20)
    drawn = terminal.read_until(b"\x1b[J").decode().split("\x1b[H")[1]
    terminal.interrupt()
    lines = drawn.replace("\x1b[J", "").replace("\x1b[K", "").split("\r\n")
    assert len(lines) == 5
    assert lines[0] == "ksplitd 0.1.0, up 3 "
    assert lines[4] == "..."
    assert all(len(line) <= 20 for line in lines)


def test_watch_survives_a_restart(serve, path):
    server = serve()
    terminal = Terminal(path, 50, 100)
    terminal.read_until(b"ksplitd 0.1.0")
    server.close()
    terminal.read_until(b"nobody listens there")
    path.unlink()
    terminal.read_until(b"no such socket")
    serve(answer({**SUMMARY, "version": "0.2.0", "degraded": "just back"}))
    terminal.read_until(b"ksplitd 0.2.0")
    assert terminal.interrupt()[0] == 1


def test_interrupt_while_the_daemon_is_silent(serve, path):
    over = threading.Event()
    server = serve(lambda client, _: over.wait(15))
    terminal = Terminal(path, 50, 100)
    end = time.monotonic() + 10
    while not server.requests and time.monotonic() < end:
        time.sleep(0.02)
    before = time.monotonic()
    assert terminal.interrupt()[0] == 2
    assert time.monotonic() - before < 2
    over.set()
