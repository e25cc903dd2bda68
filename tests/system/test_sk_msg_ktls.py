# SPDX-License-Identifier: GPL-2.0-or-later
"""The sampler at sk_msg, on sockets of kernel TLS: forced where a kernel still allows both on one
socket, else whatever the daemon chooses. What it tells must be exact, and where the socket is full
so that the kernel does not show the program everything, the bytes stay right and what was not shown is counted."""

import hashlib
import json
import re
import subprocess
import time

import pytest

from lib import clients, env, stage as stages, stream
from lib.bpf_try import sk_msg_beside_ktls
from lib.daemon import PROGRAM
from lib.env import read_tls_stat, wait_for
from lib.process import ENV, run
from lib.tls import SUITES, client_context

TOOL = PROGRAM.parent / "ksplit-status"
FORCED = {"sampler": "bpf", "sampling": {"attach": "sk_msg"}}
MIB = 1 << 20
pytestmark = pytest.mark.needs("curl", "nginx")


@pytest.fixture(scope="module")
def beside():
    """May a socket of this kernel be in a sockhash and have kernel TLS?"""
    return env.EXPECT_KTLS and sk_msg_beside_ktls()


def status(daemon, *arguments):
    done = run(TOOL, "--control", daemon.control_path, "--json", *arguments)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def sampler_of(daemon):
    return status(daemon, "kernel")["sampler"]


@pytest.fixture
def daemon(beside, ksplitd, nginx):
    started = ksplitd("127.0.0.1:%d" % nginx.port, FORCED if beside else {})
    if beside:
        assert sampler_of(started)["kernel_tls"] == "sk_msg"
    return started


def judge(daemon, beside, connections, requests):
    """All requests are told of, and by whom."""
    wait_for(lambda: len(daemon.access_log()) == connections, "%d connections" % connections)
    wait_for(lambda: sampler_of(daemon)["requests"] == requests,
             lambda: "%d requests: %s" % (requests, sampler_of(daemon)))
    sampler = sampler_of(daemon)
    assert not any(sampler["troubles"].values()), sampler
    assert sampler["not_http"] == 0, sampler
    if beside:
        assert sampler["connections"] == {"fentry": 0, "sk_msg": connections, "user": 0}
        assert sampler["events"]["sk_msg"] >= 2 * requests, sampler
        for line in daemon.access_log():
            for side in ("client_tls", "upstream_tls"):
                assert line[side]["ktls"] == {"rx": True, "tx": True}, line
    print(sampler)
    return sampler


def fetch(daemon, pki, http, path, times, *options):
    urls = ["https://origin.test:%d%s" % (daemon.port, path)] * (times - 1)
    return clients.curl(daemon.port, path, pki.ca, http, *options, *urls).stdout


def test_requests_are_exact(daemon, beside, pki, nginx):
    """HTTP/1.1 and HTTP/2, small and large: counts, sizes, statuses; and nothing is missed."""
    before = read_tls_stat()
    for http in ("--http1.1", "--http2"):
        fetch(daemon, pki, http, "/small.txt", 20)
        fetch(daemon, pki, http, "/medium.bin", 3)
        fetch(daemon, pki, http, "/none", 2)
        fetch(daemon, pki, http, "/small.txt", 2, "--head")
    sampler = judge(daemon, beside, 8, 54)
    if beside:
        assert sampler["lost_bytes"] == 0
        after = read_tls_stat()
        assert after["TlsTxSw"] - before["TlsTxSw"] >= 16
    rows = {(row["http.version"], row["http.uri"], row["http.method"], row["http.status_code"]):
            (row["http.request_response.count"], row["http.response.body_bytes"]["avg"])
            for row in status(daemon, "requests")["series"]}
    for version in ("1.1", "2"):
        assert rows[version, "/small.txt", "GET", 200] == (20, nginx.SIZES["small.txt"])
        assert rows[version, "/medium.bin", "GET", 200] == (3, nginx.SIZES["medium.bin"])
        assert rows[version, "/none", "GET", 404][0] == 2
        assert rows[version, "/small.txt", "HEAD", 200] == (2, 0)
    assert len(rows) == 8, rows


def read_body(sock, nap):
    """One HTTP/1.1 response with a length, read slowly; SHA-256 of the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(16384)
    head, _, body = data.partition(b"\r\n\r\n")
    left = int(re.search(rb"content-length: (\d+)", head, re.I).group(1)) - len(body)
    digest = hashlib.sha256(body)
    pause = 0
    while left:
        piece = sock.recv(min(left, 16384))
        assert piece, "closed with %d bytes to come" % left
        digest.update(piece)
        left -= len(piece)
        pause += len(piece)
        if pause > 256 * 1024:
            time.sleep(nap)
            pause = 0
    return digest.hexdigest()


def test_slow_reader_http1(daemon, beside, pki, nginx):
    """24 MiB and small answers between them over one connection, to a reader that keeps the socket full."""
    with stages.connect_tls(daemon.address, client_context(pki.ca, SUITES[3])) as sock:
        names = ["mega.bin", "small.txt", "record.bin", "small.txt"] * 6
        sock.sendall(b"".join(b"GET /%s HTTP/1.1\r\nHost: origin.test\r\n\r\n" % name.encode()
                              for name in names))
        for name in names:
            assert read_body(sock, 0.01) == nginx.digests[name], name
        stream.close_orderly(sock)
    sampler = judge(daemon, beside, 1, 24)
    rows = {row["http.uri"]: row for row in status(daemon, "requests")["series"]}
    for name, count in (("mega.bin", 6), ("small.txt", 12), ("record.bin", 6)):
        row = rows["/" + name]
        assert row["http.request_response.count"] == count
        assert row["http.response.body_bytes"]["avg"] == nginx.SIZES[name]
