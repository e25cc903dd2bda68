# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status, and a control socket that answers what the test says."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading

import pytest

from .env import BUILD

TOOL = BUILD / "ksplit-status"

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
                   "upstream_completed": 1210, "upstream_failed": 7,
                   "upstream_resumed": 900},
    "sessions": {"upstream_hits": 905, "upstream_misses": 305, "upstream_stored": 1200,
                 "upstream_expired": 2, "upstream_refused": 5, "client_tickets_refused": 1},
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
    "session_cache": {"entries": 1190, "evicted": 8},
    "capture": {"rules": "on", "hook": "withdrawn"},
    "signer": {"alive": True, "pid": 4712, "signed": 3, "busy": 0, "refused": 0, "failed": 0},
    "identities": {"count": 2, "reloads": 5, "failed": 1},
    "otlp": {"endpoint": "http://collector.example:4318/v1/metrics", "exported": 1234,
             "refused": 3, "dropped": 2, "unmade": 0, "queued": 1, "requests_retried": 17,
             "points_rejected": 40, "last_error_time": "2026-01-31T13:12:11.000Z",
             "last_error": "the collector answers with status 400: metric names must not begin "
                           "with a digit"},
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
        "http.version": "1.1", "url.scheme": "https", "rpc.grpc.status_code": None,
        "direction": "outgoing",
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
        series(34, 0.085, "/health", **{"url.scheme": "http", "tls.version": None,
                                        "tls.cipher": None, "http.request_response.failures": 17,
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
    """A Unix socket's path holds 107 bytes; the test's own folder may be longer."""
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder) / "control.sock"


@pytest.fixture
def serve(path):
    """start(behave): a Server; bytes are its answer to everything. All end with the test."""
    started = []

    def start(behave=answer_what_was_asked):
        if callable(behave):
            started.append(Server(path, behave))
        else:
            started.append(Server(path, lambda client, _: client.sendall(behave)))
        return started[-1]

    yield start
    for server in started:
        server.close()


def run(path, *arguments, timeout=20, columns=None):
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if columns:
        environment["COLUMNS"] = str(columns)
    return subprocess.run([TOOL, "--control", path, *arguments], text=True, timeout=timeout,
                          capture_output=True, stdin=subprocess.DEVNULL, env=environment)
