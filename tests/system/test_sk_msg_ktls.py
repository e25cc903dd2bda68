# SPDX-License-Identifier: GPL-2.0-or-later
"""The sampler at sk_msg, on sockets of kernel TLS: forced where a kernel still allows both on one
socket, else whatever the daemon chooses. What it tells must be exact, and where the socket is full,
so that the kernel does not show the program everything, the bytes stay right and what was not shown
is counted."""

import collections
import concurrent.futures
import fcntl
import hashlib
import json
import os
import re
import ssl
import struct
import subprocess
import termios
from pathlib import Path

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
    rows = collections.Counter(
        (line["http_version"], line["method"], line["uri"], line["status"],
         line["response_body_bytes"] if line["status"] == 200 else None, line["complete"])
        for line in daemon.request_log())
    wanted = {}
    for version in ("1.1", "2"):
        wanted[version, "GET", "/small.txt", 200, nginx.SIZES["small.txt"], True] = 20
        wanted[version, "GET", "/medium.bin", 200, nginx.SIZES["medium.bin"], True] = 3
        wanted[version, "GET", "/none", 404, None, True] = 2
        wanted[version, "HEAD", "/small.txt", 200, 0, True] = 2
    assert rows == wanted


def test_every_suite(daemon, beside, pki, nginx):
    """Keys of each version and cipher are taken by the kernel for sockets that are sampled."""
    request = b"GET /small.txt HTTP/1.1\r\nHost: origin.test\r\n\r\n"
    for suite in SUITES:
        with stages.connect_tls(daemon.address, client_context(pki.ca, suite)) as sock:
            for _ in range(2):
                sock.sendall(request)
                assert SlowReader(sock).digest() == nginx.digests["small.txt"]
            say_goodbye(sock)
    judge(daemon, beside, len(SUITES), 2 * len(SUITES))
    for suite, line in zip(SUITES, sorted(daemon.access_log(), key=lambda line: line["time"])):
        assert line["client_tls"]["version"] == suite.version, line


@pytest.fixture
def small_buffers():
    """Sockets of an emulated machine are full after 64 KiB; the host's are left alone."""
    if not os.environ.get("KSPLIT_VM"):
        yield
        return
    before = {}
    for name in ("tcp_wmem", "tcp_rmem"):
        path = Path("/proc/sys/net/ipv4", name)
        before[path] = path.read_text()
        path.write_text("4096 32768 65536")
    yield
    for path, text in before.items():
        path.write_text(text)


def say_goodbye(sock):
    """close_notify, and what the origin makes of it: nginx closes without one of its own."""
    try:
        sock.unwrap()
    except ssl.SSLError:
        pass
    finally:
        sock.close()


class SlowReader:
    """Reads HTTP/1.1 responses with a length, and now and then stops until the socket before it has
    no room left."""

    STOP_EVERY = 2 * 1024 * 1024

    def __init__(self, sock):
        self._sock = sock
        self._data, self._read = b"", 0

    def _wait_until_full(self):
        """Until nothing more comes in: what the daemon still has is refused by its socket then."""
        seen = [0]

        def full():
            seen.append(struct.unpack("i", fcntl.ioctl(self._sock, termios.FIONREAD, bytes(4)))[0])
            return seen[-1] and len(set(seen[-6:])) == 1
        wait_for(full, "the socket to be full")

    def _more(self):
        if self._read > self.STOP_EVERY:
            self._wait_until_full()
            self._read = 0
        self._data += self._sock.recv(16384) or pytest.fail("closed early")
        self._read += 16384

    def digest(self):
        """SHA-256 of the next response's body."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        left = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
        digest = hashlib.sha256()
        while left:
            if not self._data:
                self._more()
            digest.update(self._data[:left])
            taken = min(left, len(self._data))
            self._data = self._data[taken:]
            left -= taken
        return digest.hexdigest()


def test_slow_reader_http1(small_buffers, daemon, beside, pki, nginx):
    """24 MiB and small answers between them over one connection, asked for in one go. The bytes are
    right, and so is all that is told, though the program was not shown everything."""
    names = ["mega.bin", "small.txt", "record.bin", "small.txt"] * 6
    with stages.connect_tls(daemon.address, client_context(pki.ca, SUITES[3])) as sock:
        sock.sendall(b"".join(b"GET /%s HTTP/1.1\r\nHost: origin.test\r\n\r\n" % name.encode()
                              for name in names))
        reader = SlowReader(sock)
        assert [reader.digest() for _ in names] == [nginx.digests[name] for name in names]
        say_goodbye(sock)
    sampler = judge(daemon, beside, 1, len(names))
    assert [(line["uri"], line["response_body_bytes"], line["complete"])
            for line in daemon.request_log()] == [
                ("/" + name, nginx.SIZES[name], True) for name in names]
    if beside:
        assert sampler["lost_bytes"] > 0


def test_slow_reader_http2(small_buffers, daemon, beside, pki, nginx):
    """24 MiB in frames. A stream that is lost may be: it is said, and nothing wrong is told."""
    options = ("--limit-rate", "12M", "--output", "/dev/null")
    urls = ["https://origin.test:%d/mega.bin" % daemon.port] * 5
    done = clients.curl(daemon.port, "/mega.bin", pki.ca, "--http2", *options,
                        *[word for url in urls for word in ("-o", "/dev/null", url)], "-w",
                        "%{http_code} %{size_download}\n")
    assert done.stdout == b"200 %d\n" % nginx.SIZES["mega.bin"] * 6
    wait_for(lambda: len(daemon.access_log()) == 1, "the connection to end")
    wait_for(lambda: sampler_of(daemon)["requests"] == 6 or
             sampler_of(daemon)["troubles"]["sampler"] == 1, "requests, or the stream to be lost")
    sampler = sampler_of(daemon)
    print(sampler)
    lines = daemon.request_log()
    if sampler["troubles"]["sampler"]:
        assert beside and sampler["lost_bytes"] > 0
        lines = [line for line in lines if line["complete"]]
    else:
        assert len(lines) == 6
    for line in lines:
        assert (line["uri"], line["status"], line["response_body_bytes"], line["complete"]) == (
            "/mega.bin", 200, nginx.SIZES["mega.bin"], True)


def kernel_complaints():
    done = subprocess.run(["dmesg"], env=ENV, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines()
            if re.search(r"BUG|WARNING|Oops|refcount|protection fault|Call Trace", line)]


def end_one(daemon, context, way):
    """A connection with one request, ended in one of several ways."""
    sock = stages.connect_tls(daemon.address, context)
    path = b"/mega.bin" if way in ("reset_in_body", "fin_in_body") else b"/small.txt"
    sock.sendall(b"GET %s HTTP/1.1\r\nHost: origin.test\r\n%s\r\n" % (
        path, b"Connection: close\r\n" if way == "origin" else b""))
    sock.recv(100)
    if way == "orderly":
        say_goodbye(sock)
    elif way == "origin":
        stream.receive_all(sock)
        say_goodbye(sock)
    elif way in ("reset", "reset_in_body"):
        stream.reset(sock)
    else:
        sock.close()


def test_200_connections_end(daemon, beside, pki):
    """In seven ways, four at a time: nothing is left, and the kernel has nothing to say."""
    before = kernel_complaints() if beside else []
    ways = ["orderly", "origin", "reset", "reset_in_body", "fin", "fin_in_body", "orderly", "reset"]
    context = client_context(pki.ca)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: end_one(daemon, context, ways[number % len(ways)]),
                      range(200)))
    daemon.settle()
    wait_for(lambda: len(daemon.access_log()) == 200, "200 connections to be logged")
    wait_for(lambda: sampler_of(daemon)["requests"] >= 150, "requests to be told of")
    print(sampler_of(daemon))
    assert sampler_of(daemon)["requests"] <= 200
    if beside:
        assert kernel_complaints() == before == []
