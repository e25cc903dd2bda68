# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets go through ksplitd and nothing of them stays: not in its memory, not in BPF maps, not in a
log, and nobody is told of them."""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lib import exact, expect, leftovers, marked, metrics, scene
from lib.daemon import PROGRAM, Ksplitd
from lib.dialogue import Call, Line
from lib.env import IN_VM, SANITIZED, free_port, kernel_version, read_tls_stat, wait_for
from lib.marked import INDEXED, NEVER, field, frame, headers

TOOL = PROGRAM.parent / "ksplit-status"
# Bytes of the cookies of one request each. In the VM 6.12 has all of it.
COOKIES = (60, 9500) if IN_VM and kernel_version() != (6, 12) else (60, 1500, 5000, 9500)
LONG_PATH = 3000
BODY = 200000
NOBODY = 65534


@pytest.fixture
def marks():
    return marked.Marks()


# -- what is said ------------------------------------------------------------------------------


def fill(secret, size):
    return (secret + "; ") * max(1, size // (len(secret) + 2))


def get(marks, size):
    """Secrets in the head of a request, and one with every part of the response."""
    path = "/list/" + "page-" * (LONG_PATH // 5 if size == COOKIES[-1] else 3)
    request = (
        "GET %s?token=%s&page=2&key=%s HTTP/1.1\r\nHost: origin.test\r\n"
        "Authorization: Bearer %s\r\nCookie: %s\r\nX-Api-Key: %s\r\nReferer: https://a.test/?%s\r\n\r\n"
        % (path, marks.secret("query"), marks.secret("query"), marks.secret("Authorization"),
           fill(marks.secret("Cookie"), size), marks.secret("header"), marks.secret("Referer")))
    response = (
        "HTTP/1.1 200 %s\r\nContent-Type: text/plain; boundary=%s\r\nSet-Cookie: %s\r\n"
        "Location: /x?%s\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3c;sig=%s\r\n%s\r\n0;%s\r\nX-Sum: %s\r\n\r\n"
        % (marks.secret("reason phrase"), marks.secret("parameter"),
           fill(marks.secret("Set-Cookie"), size), marks.secret("Location"),
           marks.secret("chunk extension"), marks.secret("response body") + "-" * 20,
           marks.secret("chunk extension"), marks.secret("trailer")))
    return request, response


def post(marks, size):
    """A token in the path, secrets in bodies."""
    body = fill(marks.secret("request body"), BODY)
    request = (
        "POST /reset/%s/confirm?code=%s HTTP/1.1\r\nHost: origin.test\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n"
        "Proxy-Authorization: Basic %s\r\n\r\n%s"
        % (marks.secret("path"), marks.secret("query"), len(body),
           marked.base64.b64encode(marks.secret("Basic").encode()).decode(), body))
    body = fill(marks.secret("response body"), BODY)
    response = ("HTTP/1.1 201 Created\r\nContent-Length: %d\r\nX-Token: %s\r\n\r\n%s"
                % (len(body), fill(marks.secret("header"), size), body))
    return request, response


def absolute(marks, size):
    request = ("GET http://user:%s@origin.test/abs?z=%s#%s HTTP/1.1\r\nHost: %s@origin.test\r\n\r\n"
               % (marks.secret("user info"), marks.secret("query"), marks.secret("fragment"),
                  marks.secret("user info")))
    return request, "HTTP/1.1 204 No Content\r\nX-A: %s\r\n\r\n" % marks.secret("header")


def cut(text, marks, often):
    """The line, cut within each of its secrets' first occurrences and at line ends."""
    data = text.encode() if isinstance(text, str) else text
    head = data.find(b"\r\n\r\n") % len(data) + 4
    cuts = set()
    if often:
        at = data.find(marks.tag.encode())
        while 0 <= at < min(head, 12000):
            cuts |= {at + 3, at + 17}
            at = data.find(marks.tag.encode(), at + 700)
        cuts |= {5, head - 2, head - 1, head, head + 30, len(data) - 3}
    return Line(data, cuts)


def http1(marks, often):
    lines = []
    for size in COOKIES:
        for text in get(marks, size) + post(marks, size):
            lines.append(cut(text, marks, often))
    return lines + [cut(text, marks, often) for text in absolute(marks, 0)]


def http2_request(marks, stream, size, coded, kept):
    pseudo = field(":method", "POST") + field(":scheme", "https") + field(
        ":path", "/h2/%s?token=%s" % (marks.secret("path"), marks.secret("query")), kept, coded)
    pseudo += field(":authority", "user:%s@origin.test" % marks.secret("user info"), kept, coded)
    block = pseudo + b"".join(field(name, value, kept, coded) for name, value in (
        ("authorization", "Bearer " + marks.secret("Authorization")),
        ("cookie", fill(marks.secret("Cookie"), size)),
        ("x-api-key", marks.secret("header"))))
    body = fill(marks.secret("request body"), 8000).encode()
    trailer = field("x-sum", marks.secret("trailer"), kept, coded)
    return (headers(stream, block, most=4096) + frame(marked.DATA, 0, stream, body) +
            headers(stream, trailer, end_stream=True))


def http2_response(marks, stream, size, coded, kept):
    block = field(":status", "200") + b"".join(field(name, value, kept, coded) for name, value in (
        ("set-cookie", fill(marks.secret("Set-Cookie"), size)),
        ("x-token", marks.secret("header"))))
    body = fill(marks.secret("response body"), 8000).encode()
    trailer = field("grpc-message", marks.secret("trailer"), kept, coded)
    return (headers(stream, block, most=4096) + frame(marked.DATA, 0, stream, body) +
            headers(stream, trailer, end_stream=True))


def http2(marks, often):
    lines = [Line(marked.PREFACE + frame(marked.SETTINGS, 0, 0)),
             Line(frame(marked.SETTINGS, 0, 0) + frame(marked.SETTINGS, marked.ACK, 0))]
    stream = 1
    for size in COOKIES:
        for coded in (False, True):
            for kept in (INDEXED, NEVER):
                request = http2_request(marks, stream, size, coded, kept)
                response = http2_response(marks, stream, size, coded, kept)
                for data in (request, response):
                    lines.append(Line(data, range(211, 3000, 397) if often else ()))
                stream += 2
    return lines


REQUESTS = {"tls-http1": 2 * len(COOKIES) + 1, "tls-http2": 4 * len(COOKIES),
            "plain-http1": 2 * len(COOKIES) + 1}


def call(kind, stage, daemon, pki):
    return Call(stage, daemon.port, None if kind.startswith("plain") else pki,
                {"tls-http1": "http/1.1", "tls-http2": "h2"}.get(kind))


def talk(kind, stage, daemon, pki, marks, often):
    lines = (http2 if kind == "tls-http2" else http1)(marks, often)
    connection = call(kind, stage, daemon, pki)
    try:
        connection.talk(lines)
    except BaseException:
        connection.close()
        raise
    return connection


# -- where it is looked for ----------------------------------------------------------------------


class Receiver(HTTPServer):
    """A collector that keeps what OTLP brings."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


@pytest.fixture(scope="module")
def _receiver():
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def receiver(_receiver):
    """What it was sent before does not count."""
    del _receiver.bodies[:]
    return _receiver


def told(daemon, receiver):
    """(where, bytes) of all that people and programs are told."""
    yield "log", daemon.stderr_path.read_bytes()
    yield "access log", daemon.access_log_path.read_bytes()
    yield from leftovers.statuses(daemon, TOOL)
    for path in ("/metrics", "/api/v1/snapshot"):
        status, _, text = metrics.get(daemon.metrics_port, path)
        assert status == 200
        yield path, text.encode()
    for number, body in enumerate(list(receiver.bodies)):
        yield "OTLP export %d" % number, body


def held(daemon):
    """(where, bytes) of all that is in memory, the daemon's and the kernel's maps. A sanitizer keeps
    what was freed, so that there is nothing to be learnt from its build."""
    if not SANITIZED:
        yield from leftovers.memory(daemon.pid)
    yield from (("map " + name, data) for name, data in leftovers.maps(daemon.pid))


def search(places, marks):
    return ["%s: %s" % (where, what) for where, data in places for what in marks.find(data)]


def assert_clean(daemon, marks, when):
    """The ring is written over after a second of silence; until then it may hold heads."""
    found = []

    def clean():
        found[:] = search(held(daemon), marks)
        return not found

    wait_for(clean, lambda: "%s secrets are still held:\n%s" % (when, "\n".join(found)),
             timeout=None if IN_VM else 8, interval=0.5)


@pytest.fixture(scope="module")
def _observers(pki, stage, _receiver):
    """One daemon for each sampler: every test has marks of its own."""
    running = {}

    def get(sampler):
        if sampler not in running or not running[sampler].running():
            port = free_port()
            daemon = running[sampler] = Ksplitd(pki, "127.0.0.1:%d" % stage.port, {
                "sampler": sampler, "metrics": {"prometheus": "127.0.0.1:%d" % port, "otlp": {
                    "endpoint": "http://127.0.0.1:%d/v1/metrics" % _receiver.server_address[1],
                    "interval_ms": 200}}})
            daemon.metrics_port = port
            daemon.start()
        return running[sampler]

    yield get
    for daemon in running.values():
        daemon.stop()


@pytest.fixture
def observed(_observers):
    """The daemon of a sampler; what it has seen before does not count."""
    def start(sampler="auto"):
        daemon = _observers(sampler)
        daemon.seen_before = kernel_status(daemon)
        return daemon
    return start


def kernel_status(daemon):
    return daemon.ask("kernel")["sampler"]


def grown(daemon):
    """The sampler's counters since the test began."""
    return scene.grown(kernel_status(daemon), daemon.seen_before)


def source(kind, sampler):
    """Who has to have looked at the connections."""
    if sampler == "user":
        return "user"
    return exact.plain_source() if kind.startswith("plain") else exact.kernel_source()


@pytest.mark.parametrize("sampler", exact.samplers())
@pytest.mark.parametrize("kind", sorted(REQUESTS))
def test_nothing_stays(kind, sampler, observed, stage, pki, marks, receiver):
    daemon, tls_before = observed(sampler), read_tls_stat()
    first = talk(kind, stage, daemon, pki, marks, often=True)
    first.close()
    with talk(kind, stage, daemon, pki, marks, often=False):
        assert_clean(daemon, marks, "connections are open:")
    daemon.settle()
    wait_for(lambda: grown(daemon)["requests"] == 2 * REQUESTS[kind],
             lambda: "%d requests; there are %s" % (2 * REQUESTS[kind], grown(daemon)))
    exact.assert_source(grown(daemon), source(kind, sampler), 2)
    expect.assert_kernel_counted(tls_before, 2 * (
        kind.startswith("tls") and expect.kernel_expected("auto")))
    wait_for(lambda: any(b"http" in body for body in receiver.bodies), "an export")
    exports = len(receiver.bodies)
    wait_for(lambda: len(receiver.bodies) > exports + 1, "an export of all")
    assert_clean(daemon, marks, "connections are closed:")
    assert not search(told(daemon, receiver), marks)


# -- the judge itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", exact.samplers())
def test_half_a_line_is_found(sampler, observed, stage, pki, marks):
    """A sampler keeps a line that is not complete - as long as it is not."""
    daemon = observed(sampler)
    with call("tls-http1", stage, daemon, pki) as connection:
        connection.say(Line(("GET /x?a=" + marks.secret("half a line")).encode()))
        if not SANITIZED:
            where = held if sampler == "auto" else lambda daemon: leftovers.memory(daemon.pid)
            wait_for(lambda: search(where(daemon), marks), "the line to be found")
        connection.say(Line(b" HTTP/1.1\r\nHost: origin.test\r\n\r\n"))
        assert_clean(daemon, marks, "the line is complete:")


def test_ring_is_looked_into(observed, stage, marks):
    """What a head may tell stays in the ring until it is written over."""
    daemon = observed()
    size = kernel_status(daemon)["ring_bytes"]
    assert (size > 0) == (exact.plain_source() != "user")
    if not size:
        return # the daemon has no ring here; test_nothing_stays looks at what it has
    with Call(stage, daemon.port) as connection:
        secret = marks.secret("path")

        def seen():
            connection.say(Line(("GET /%s HTTP/1.1\r\nHost: a.test\r\n\r\n" % secret).encode()))
            return marks.find(leftovers.ring(daemon.pid, size))

        wait_for(seen, "a head to be found in the ring")
    assert_clean(daemon, marks, "all is quiet:")


# -- core files ------------------------------------------------------------------------------------


def ended_with_core(argv, folder, wait_until):
    """SIGSEGV for a program that might leave a core file of any size: has it, the kernel says?"""
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: resource.setrlimit(
                                   resource.RLIMIT_CORE, (1 << 26, 1 << 26)))
    try:
        wait_until(process)
        process.send_signal(signal.SIGSEGV)
        told = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert told.si_status == signal.SIGSEGV
        return told.si_code == os.CLD_DUMPED
    finally:
        process.kill()
        process.wait()


def leaves_core_files():
    """An ordinary program does here; where cores are piped to a program nobody can tell."""
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as folder:
        return ended_with_core(["sleep", "600"], folder, lambda process: wait_for(
            lambda: Path("/proc/%d/comm" % process.pid).read_text() == "sleep\n", "sleep"))


def test_no_core_file(pki):
    """prctl(2), PR_SET_DUMPABLE: no core file, and /proc/PID belongs to root whoever it runs as."""
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        folder = Path(name)
        shutil.copy(PROGRAM, folder / "ksplitd")
        shutil.copy(pki.ca.cert, folder / "ca.pem")
        shutil.copy(pki.ca.key, folder / "ca.key")
        for path in (folder, folder / "ca.key"):
            os.chown(path, NOBODY, NOBODY)

        def up(process):
            wait_for((folder / "control").exists, "ksplitd to start")
            proc = Path("/proc/%d" % process.pid)
            assert "\nUid:\t%d\t" % NOBODY in (proc / "status").read_text()
            assert (proc / "environ").stat().st_uid == 0

        assert not ended_with_core(
            ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
             str(folder / "ksplitd"), "--foreground", "--listen", "127.0.0.1:%d" % free_port(),
             "--to", "127.0.0.1:9", "--ca-cert", "ca.pem", "--ca-key", "ca.key",
             "--upstream-verify", "off", "--control", "control", "--access-log", "log"],
            folder, up)
        assert list(folder.glob("core*")) == []
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    assert leaves_core_files() or pattern[0] == "|" or "/" in pattern
