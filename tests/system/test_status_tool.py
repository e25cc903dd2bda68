# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status against a control socket that answers what the test says. Needs: nothing."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
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

SAMPLER = {
    "on": True, "kernel_tls": "fentry", "plain": "none", "user": "user",
    "why": "fentry works here: a request sent through kernel TLS on a loopback pair was seen by "
           "the program",
    "timings": {"attached": True, "why": None},
    "processes": {"attached": False, "why": "the cgroup is not of version 2"},
    "pins": "/sys/fs/bpf/ksplit/4711", "ring_bytes": 8388608, "ring_dropped": 7,
    "queue_dropped": 0, "lost_bytes": 0, "connections": {"fentry": 1200, "sk_msg": 0, "user": 3},
    "events": {"fentry": 2400000, "sk_msg": 0, "user": 6},
    "troubles": {"gap": 1, "sampler": 0, "malformed": 2, "too_many": 0},
    "requests": 1200000, "not_http": 4,
}


def times(p50, count=100):
    return {"count": count, "sum": p50 * count, "avg": p50 * 1.1, "min": p50 / 2, "max": p50 * 9,
            "std_dev": p50 / 3, "p50": p50, "p90": p50 * 2, "p99": p50 * 4, "p99_9": p50 * 8}


def sizes(average, count=100):
    return {"sum": average * count, "avg": average, "min": 0, "max": 2 * average}


def series(count, p50, uri, **members):
    """One of "requests", as the daemon says it."""
    return {
        "other": False, "http.uri": uri, "http.request_method": "GET", "http.status_code": 200,
        "http.version": "1.1", "rpc.grpc.status_code": None, "direction": "outgoing",
        "server.name": "api.example.com", "server.address": "203.0.113.5:443",
        "tls.version": "TLSv1.3", "tls.cipher": "TLS_AES_128_GCM_SHA256",
        "process.command": "curl", "process.pid": 42, "process.unit": "app.service",
        "http.request_response.count": count, "http.request_response.failures": 0,
        "http.request_response.throughput": count / 100,
        "http.request_response.latency": times(p50),
        "http.request_response.first_byte": times(p50 / 2),
        "http.request.bytes": sizes(300), "http.response.bytes": sizes(5000),
        "http.request.body_bytes": sizes(0), "http.response.body_bytes": sizes(4700),
        "first_seen": "2026-01-31T12:00:00.000Z", "last_seen": "2026-01-31T12:01:00.000Z",
        **members}


LONG_URI = "/warehouse/v2/articles/{number}/suppliers/{uuid}/offers/{hex}?currency&page&sort"

REQUESTS = {
    "on": True, "why": None, "time": "2026-01-31T12:01:00.000Z",
    "start_time": "2026-01-31T12:00:00.000Z", "memory_bytes": 1234567, "requests": 1251000,
    "series_kept": 5, "max_series": 2000, "series_evicted": 12,
    "series": [
        series(1200, 3.4, "/users/{number}"),
        series(34, 0.085, "/health", **{"http.request_response.failures": 17,
                                        "http.status_code": 503}),
        series(1234567, 12.5, LONG_URI, **{"http.request_method": "DELETE"}),
        series(9, 1250, "/helloworld.Greeter/SayHello",
               **{"http.request_method": "POST", "http.version": "2", "rpc.grpc.status_code": 13,
                  "http.request_response.failures": 9, "server.name": None}),
        {"other": True, "http.uri": None, "server.address": None,
         "http.request_response.count": 15190, "http.request_response.failures": 1,
         "http.request_response.throughput": 9.5, "http.request_response.latency": times(70000)},
    ],
}

ENDPOINTS = {
    "on": True, "why": None, "time": "2026-01-31T12:01:00.000Z",
    "start_time": "2026-01-31T12:00:00.000Z", "memory_bytes": 1234567,
    "endpoints_kept": 2, "max_endpoints": 1000,
    "endpoints": [
        {"other": False, "server.address": "203.0.113.5:443", "server.name": "api.example.com",
         "direction": "outgoing",
         "connections": {"total": 12, "open": 1, "passed": 0, "failed": 2, "per_second": 0.1},
         "requests": 1200, "failures": 3, "bytes": {"to_origin": 5000, "to_client": 5000000},
         "relays": {"none": 0, "splice": 24, "copy": 0, "user": 0, "raw": 0},
         "ktls": {"directions": 48, "kernel": 48, "share": 1.0},
         "connect_ms": times(1.2), "upstream_handshake_ms": times(18.5),
         "client_handshake_ms": times(2.5), "leaf_ms": times(0.8), "lifetime_ms": times(9000),
         "rtt_ms": times(0.9), "retransmits": 4,
         "first_seen": "2026-01-31T12:00:00.000Z", "last_seen": "2026-01-31T12:01:00.000Z"},
        {"other": False, "server.address": "[2001:db8::1]:8443", "server.name": None,
         "direction": "outgoing",
         "connections": {"total": 40000, "open": 250, "passed": 40000, "failed": 0,
                         "per_second": 120},
         "requests": 0, "failures": 0, "bytes": {"to_origin": 1, "to_client": 2},
         "ktls": {"directions": 9, "kernel": 0, "share": 0},
         "connect_ms": times(250), "rtt_ms": times(0, count=0), "retransmits": 0},
    ],
}

TABLES = {"requests": REQUESTS, "endpoints": ENDPOINTS}
ANSWERS = {"summary": SUMMARY, "connections": CONNECTIONS, "kernel": KERNEL, **TABLES}


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


def run(path, *arguments, timeout=20, columns=None):
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if columns:
        environment["COLUMNS"] = str(columns)
    return subprocess.run([TOOL, "--control", path, *arguments], text=True, timeout=timeout,
                          capture_output=True, stdin=subprocess.DEVNULL, env=environment)


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


@pytest.mark.parametrize("command", ANSWERS)
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


def test_kernel_says_what_samples(serve, path):
    serve(answer({**KERNEL, "sampler": SAMPLER}))
    lines = run(path, "kernel").stdout.splitlines()
    first = lines.index("Sampler       kernel TLS fentry  plain none  user space user")
    assert lines[first + 1:first + 11] == [
        "  why         fentry works here: a request sent through kernel TLS on a",
        "              loopback pair was seen by the program",
        "  timings     by BPF",
        "  processes   no: the cgroup is not of version 2",
        "  pinned maps /sys/fs/bpf/ksplit/4711",
        "  connections fentry 1,200  sk_msg 0  user 3",
        "  events      fentry 2,400,000  sk_msg 0  user 6",
        "  dropped     ring 7  queues 0  bytes not shown 0  size of the ring 8.00 MiB",
        "  seen        requests 1,200,000  connections not HTTP 4",
        "  not decoded gap 1  sampler 0  malformed 2  too_many 0",
    ]
    assert all(len(line) < 80 for line in lines)


def test_kernel_says_that_nothing_samples(serve, path):
    serve(answer({**KERNEL, "sampler": {**SAMPLER, "on": False, "why": "switched off"}}))
    lines = run(path, "kernel").stdout.splitlines()
    first = lines.index("Sampler       switched off")
    assert lines[first + 1] == "  timings     by BPF"
    assert lines[first + 4] == ""


def test_summary_tells_of_requests(serve, path):
    """And when nobody looks at them."""
    serve(answer({**SUMMARY, "observation": {"on": True, "requests": 1200, "not_http": 3,
                                             "events_dropped": 0}}))
    assert "Requests      seen 1,200  connections not HTTP 3  events dropped 0\n" \
        in run(path).stdout


# Tables.

def test_requests(serve, path):
    server = serve()
    result = run(path, "requests")
    assert (result.returncode, result.stderr) == (0, "")
    assert server.requests == [{"version": 1, "command": "requests"}]
    assert result.stdout.splitlines() == [
        "1,251,000 requests in 5 series of at most 2,000, 12 made room and are in",
        "(other); by count",
        "",
        " COUNT  PER S   ERR     P50     P99  ST REQUEST",
        "  1.2M  12.3k     - 12.5 ms 50.0 ms 200 DELETE api.example...currency&page&sort",
        "  1.2k     12     -  3.4 ms 13.6 ms 200 GET api.example.com/users/{number}",
        "    34    0.3 50.0%   85 us  340 us 503 GET api.example.com/health",
        "     9    0.1  100%  1.25 s  5.00 s g13 POST 203.0.113.5:4...d.Greeter/SayHello",
        " 15.2k    9.5 <0.1% 1.2 min 4.7 min   - (other)",
    ]


def test_endpoints(serve, path):
    serve()
    result = run(path, "endpoints")
    assert result.stdout.splitlines() == [
        "2 endpoints of at most 1,000; by connections; times are medians",
        "",
        " CONNS  OPEN   REQS CONNECT     TLS     RTT  KTLS SERVER",
        " 40.0k   250      0  250 ms       -       -    0% [2001:db8::1]:8443",
        "    12     1   1.2k  1.2 ms 18.5 ms  900 us  100% api.example.com",
    ]


def test_nobody_observes(serve, path):
    serve(answer({"on": False, "why": "observation is off (sampler off)", "series": [],
                  "endpoints": []}))
    for command in TABLES:
        assert run(path, command).stdout == "observation is off (sampler off)\n"


@pytest.mark.parametrize("columns", [1, 20, 40, 50, 60, 79, 80, 100, 115, 120, 150, 200, 400])
@pytest.mark.parametrize("command", TABLES)
def test_tables_fit(serve, path, command, columns):
    """Whatever the width, no line is longer; from 20 columns on."""
    serve()
    lines = run(path, command, columns=columns).stdout.split("\n\n")[1].splitlines()
    assert len(lines) > 2
    assert all(len(line) < max(columns, 16) for line in lines), lines
    assert lines[0].split()[-1] == ("REQUEST" if command == "requests" else "SERVER")
    if columns >= 200:
        assert "PROCESS" in lines[0] or "ADDRESS" in lines[0]
    if columns == 400 and command == "requests":
        assert LONG_URI in lines[1]


def first_uris(path, *arguments):
    data = json.loads(run(path, "--json", "requests", *arguments).stdout)
    return [(row["http.uri"] or "other").split("/")[1 if row["http.uri"] else 0].split(".")[0]
            for row in data["series"]]


@pytest.mark.parametrize("key, expected", {
    "count": ["warehouse", "users", "health", "helloworld", "other"],
    "throughput": ["warehouse", "users", "health", "helloworld", "other"],
    "latency": ["helloworld", "warehouse", "users", "health", "other"],
    "p50": ["helloworld", "warehouse", "users", "health", "other"],
    "p99": ["helloworld", "warehouse", "users", "health", "other"],
    "errors": ["health", "helloworld", "users", "warehouse", "other"],
    "status": ["health", "users", "warehouse", "helloworld", "other"],
    "uri": ["health", "helloworld", "users", "warehouse", "other"],
    "server": ["helloworld", "users", "health", "warehouse", "other"],
    "bytes": ["users", "health", "warehouse", "helloworld", "other"],
}.items())
def test_sort(serve, path, key, expected):
    serve()
    assert first_uris(path, "--sort", key) == expected
    assert first_uris(path, "--sort=" + key, "--top", "2") == expected[:2]


def test_top(serve, path):
    serve()
    lines = run(path, "requests", "--top", "1").stdout.splitlines()
    assert lines[1] == "(other); 1 by count"
    assert len(lines) == 5
    assert len(run(path, "endpoints", "--top=1", "--sort=retransmits").stdout.splitlines()) == 4


def test_names_in_tables_do_not_reach_the_terminal_raw(serve, path):
    evil = "/\x1b[2J\x9b\n\u202e"
    serve(answer({"on": True, "series": [series(1, 1, evil, **{"server.name": evil,
                                                               "http.request_method": evil,
                                                               "process.command": evil})]}))
    result = run(path, "requests", columns=300)
    for code in "\x1b\x9b\u202e":
        assert code not in result.stdout
    assert len(result.stdout.splitlines()) == 4


def test_many_series(serve, path):
    many = [series(i, i, "/number/%d" % i) for i in range(10000)]
    serve(answer({**REQUESTS, "series": many, "series_kept": 10000}))
    result = run(path, "requests", timeout=60)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 10004
    result = run(path, "requests", "--json", "--sort", "p99", "--top", "2", timeout=60)
    assert [row["http.uri"] for row in json.loads(result.stdout)["series"]] == \
        ["/number/9999", "/number/9998"]


def test_reordered_json_keeps_numbers(serve, path):
    serve(b'{"version":1,"ok":true,"data":{"on":true, "series" : [ {"a":"],[\\"",'
          b'"http.request_response.count":1} , {"n":18446744073709551615,'
          b'"http.request_response.count":2,"f":[0.10]}] ,"z":1}}\n')
    assert run(path, "requests", "--json").stdout.split() == \
        ['{', '"on":', 'true,', '"series":', '[', '{', '"n":', '18446744073709551615,',
         '"http.request_response.count":', '2,', '"f":', '[', '0.10', ']', '},', '{', '"a":',
         '"],[\\"",', '"http.request_response.count":', '1', '}', '],', '"z":', '1', '}']


# What a program reads.

@pytest.mark.parametrize("command", ANSWERS)
def test_json_is_the_data(serve, path, command):
    serve()
    result = run(path, "--json", command)
    assert result.returncode == 0
    data = json.loads(result.stdout)
    for rows in ("series", "endpoints"):
        if rows in data:
            assert len(data[rows]) == len(ANSWERS[command][rows])
            assert all(row in ANSWERS[command][rows] for row in data[rows])
            data[rows] = ANSWERS[command][rows]
    assert data == ANSWERS[command]
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

@pytest.mark.parametrize("command", ANSWERS)
def test_missing_members(serve, path, command):
    serve(answer({}))
    result = run(path, command)
    assert result.returncode == 0, result
    assert "(null)" not in result.stdout


@pytest.mark.parametrize("command", ANSWERS)
@pytest.mark.parametrize("wrong", [None, 1, -1.5, "text", [], {}, [[1]], {"a": {"b": []}}, True])
def test_members_of_other_types(serve, path, command, wrong):
    data = {name: wrong for name in ANSWERS[command]}
    if command == "connections":
        one = {name: wrong for name in CONNECTIONS["connections"][0]}
        data["connections"] = [wrong, one]
    if command in TABLES:
        rows = "series" if command == "requests" else "endpoints"
        data[rows] = [wrong, {name: wrong for name in TABLES[command][rows][0]}]
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
    (["certs"], "certs: not supported yet by this version"),
    (["foo"], "foo: unknown command, expected summary, connections, endpoints, requests or kernel"),
    (["--sort", "p99"], "--sort: only for endpoints and requests"),
    (["kernel", "--top", "3"], "--top: only for endpoints and requests"),
    (["requests", "--top"], "--top: expected a whole number of rows, at least 1"),
    (["requests", "--top=0"], "--top: expected a whole number of rows, at least 1"),
    (["requests", "--sort", "rtt"], "rtt: unknown key, expected one of count throughput"),
    (["endpoints", "--sort="], ": unknown key, expected one of connections open"),
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
    got = read_until(tool.stdout.fileno(), b"\n{")
    tool.send_signal(signal.SIGTERM)
    rest = tool.stdout.read()
    assert tool.wait(10) == 0
    tool.stdout.close()
    assert b"\x1b" not in got + rest
    lines = (got + rest).decode().splitlines()
    assert len(lines) >= 2
    assert all(json.loads(line) == KERNEL for line in lines)


class Terminal:
    """The tool on a pseudo terminal of the given size."""

    def __init__(self, path, rows, columns, *arguments, term="xterm"):
        self.fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(inner)
        self.inner = inner
        self.tool = subprocess.Popen([TOOL, "--control", path, "--watch=1", *arguments],
                                     stdin=inner, stdout=inner, stderr=inner,
                                     start_new_session=True, env={**os.environ, "TERM": term},
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read_until(self, text):
        return read_until(self.fd, text)

    def resize(self, rows, columns):
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.tool.send_signal(signal.SIGWINCH)

    def interrupt(self, last=b"\x1b[?1049l"):
        """Ctrl-C; the exit code and what was still drawn."""
        os.write(self.fd, b"\x03")
        rest = read_until(self.fd, last)
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


def screen_of(drawn, rows, columns):
    """What a terminal shows after these bytes: a tiny one that knows what ksplit-status uses."""
    screen = [[" "] * columns for _ in range(rows)]
    row = column = 0
    for code, text in re.findall(r"\x1b\[([?0-9]*[A-Za-z])|([^\x1b])", drawn, re.S):
        if code == "H":
            row = column = 0
        elif code == "K":
            screen[row][column:] = [" "] * (columns - column)
        elif code == "J":
            screen[row][column:] = [" "] * (columns - column)
            for below in range(row + 1, rows):
                screen[below] = [" "] * columns
        elif code:
            assert code in ("?1049h", "?25l", "?25h", "?1049l"), code
        elif text == "\r":
            column = 0
        elif text == "\n":
            assert row + 1 < rows, "the picture scrolls"
            row += 1
        else:
            assert column < columns, "a line wraps"
            screen[row][column] = text
            column += 1
    return ["".join(line).rstrip() for line in screen]


def test_live_requests_on_a_small_terminal(serve, path):
    many = [series(1000 - i, i + 1, "/number/%d" % i) for i in range(100)]
    serve(answer({**REQUESTS, "series": many, "series_kept": 100, "series_evicted": 0}))
    terminal = Terminal(path, 24, 80, "requests", "--sort", "p99")
    drawn = terminal.read_until(b"\x1b[J")
    screen = screen_of(drawn.decode(), 24, 80)
    assert screen[0] == "1,251,000 requests in 100 series of at most 2,000; by p99"
    assert screen[2].split() == ["COUNT", "PER", "S", "ERR", "P50", "P99", "ST", "REQUEST"]
    assert screen[3].endswith("GET api.example.com/number/99")
    assert screen[22].endswith("/number/80")
    assert screen[23] == "..."
    terminal.resize(10, 40)
    more = terminal.read_until(b"\x1b[J")
    screen = screen_of(more.decode(), 10, 40)
    assert screen[9] == "..."
    assert any(line.split() == ["COUNT", "P99", "REQUEST"] for line in screen)
    code, rest = terminal.interrupt()
    assert code == 0
    assert rest.endswith(b"\x1b[?25h\x1b[?1049l")


def test_one_picture_is_one_write(serve, path):
    """Nothing blinks: a picture is whole when the terminal gets it."""
    serve()
    terminal = Terminal(path, 24, 80, "requests")
    terminal.read_until(b"\x1b[J")
    for _ in range(2):
        select.select([terminal.fd], [], [], 10)
        got = os.read(terminal.fd, 65536)
        assert got.startswith(b"\x1b[H")
        assert got.endswith(b"\x1b[J")
    terminal.interrupt()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_watch_without_a_screen(serve, path, term):
    """Blocks that follow each other, no sequence of any kind."""
    serve()
    terminal = Terminal(path, 24, 80, "endpoints", term=term)
    got = terminal.read_until(b"api.example.com\r\n\r\n2 endpoints")
    os.write(terminal.fd, b"\x03")
    assert terminal.tool.wait(10) == 0
    assert b"\x1b" not in got
    assert termios.tcgetattr(terminal.inner) == terminal.before
    os.close(terminal.fd)
    os.close(terminal.inner)


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
