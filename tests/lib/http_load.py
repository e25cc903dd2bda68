# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/1 requests byte by byte, and a book of what was sent and what came back.

The generator frames and reads messages itself: what the book says of bytes is what went over the
stream, with nobody's library in between. HTTP/2 comes from h2load, whose requests nginx's own log
has to account for.
"""

import collections
import queue
import re
import socket
import threading

from . import stage as stages
from .env import PATIENCE
from .process import run
from .tls import client_context

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"  # as nginx writes it


def template(target):
    """The URI template (docs/metrics.md) of the targets that the load uses: numbers fold, and
    parameters keep their names, sorted."""
    path, mark, query = target.partition("?")
    path = re.sub(r"(?<=/)\d+(?=/|$)", "{number}", path)
    names = sorted({word.partition("=")[0] for word in query.split("&")}) if mark else []
    return path + ("?" + "&".join(names) if names else "")


class Sums(collections.Counter):
    """Figures of one series: count, request, request_body, response, response_body ..."""


class Book:
    """Sums by (method, URI template, status, HTTP version)."""

    def __init__(self):
        self.rows = collections.defaultdict(Sums)
        self._lock = threading.Lock()

    def add(self, key, **figures):
        with self._lock:
            self.rows[key].update(figures)

    def total(self, figure="count"):
        return sum(row[figure] for row in self.rows.values())

    def counts(self):
        return {key: row["count"] for key, row in self.rows.items()}


class Request:
    """One request. body: bytes or None; chunks: its body goes out in chunks of that size;
    expect: asks for 100 Continue and waits for it."""

    def __init__(self, method, target, body=None, chunks=0, expect=False, version="1.1",
                 fields=()):
        self.method, self.target, self.body = method, target, body
        self.chunks, self.expect, self.version = chunks, expect, version
        self._fields = fields

    def head(self):
        lines = ["%s %s HTTP/%s" % (self.method, self.target, self.version), "Host: origin.test"]
        lines += self._fields
        if self.expect:
            lines.append("Expect: 100-continue")
        if self.chunks:
            lines.append("Transfer-Encoding: chunked")
        elif self.body is not None:
            lines.append("Content-Length: %d" % len(self.body))
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def framed_body(self):
        if not self.chunks:
            return self.body or b""
        pieces = [self.body[at:at + self.chunks] for at in range(0, len(self.body), self.chunks)]
        return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


class Response:
    """Status, fields (names in lower case), the body, and the bytes of all of it."""

    def __init__(self, status, fields):
        self.status, self.fields = status, fields
        self.bytes = self.body = self.interim = 0

    def chunked(self):
        return self.fields.get("transfer-encoding", "").lower() == "chunked"


class Reader:
    """Reads responses off a socket (RFC 9112 6.3), each to its last byte and no further."""

    def __init__(self, sock):
        self._sock = sock
        self._data = bytearray()
        self._taken = 0

    def _more(self):
        piece = self._sock.recv(262144)
        self._data += piece
        return len(piece)

    def _take(self, count):
        while len(self._data) < count:
            if not self._more():
                raise AssertionError("closed %d bytes short" % (count - len(self._data)))
        piece = bytes(self._data[:count])
        del self._data[:count]
        self._taken += count
        return piece

    def _skip(self, count):
        while count:
            if not self._data and not self._more():
                raise AssertionError("closed %d bytes short" % count)
            part = min(count, len(self._data))
            del self._data[:part]
            self._taken += part
            count -= part

    def line(self):
        at = self._data.find(b"\n")
        while at < 0:
            if not self._more():
                raise AssertionError("closed within a line: %r" % bytes(self._data[:80]))
            at = self._data.find(b"\n")
        return self._take(at + 1).rstrip(b"\r\n").decode("latin-1")

    def head(self):
        status = int(self.line().split()[1])
        fields = {}
        while line := self.line():
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        return Response(status, fields)

    def _chunks(self):
        body = 0
        while size := int(self.line(), 16):
            self._skip(size)
            self.line()
            body += size
        while self.line():
            pass
        return body

    def _until_close(self):
        body = len(self._data)
        self._data.clear()
        while count := self._more():
            body += count
            self._data.clear()
        self._taken += body
        return body

    def response(self, method, interim=0):
        """The final response; `interim`: bytes of interim ones that were read before it."""
        self._taken = 0
        answer = self.head()
        while answer.status < 200 and answer.status != 101:
            interim += self._taken
            self._taken = 0
            answer = self.head()
        answer.interim = interim
        if method == "HEAD" or answer.status in (101, 204, 304):
            pass
        elif answer.chunked():
            answer.body = self._chunks()
        elif "content-length" in answer.fields:
            answer.body = int(answer.fields["content-length"])
            self._skip(answer.body)
        else:
            answer.body = self._until_close()
        answer.bytes = self._taken
        return answer

    def interim(self):
        """One interim response; its bytes."""
        self._taken = 0
        answer = self.head()
        assert answer.status == 100, answer.status
        return self._taken

    def rest(self):
        """What else comes until the end; there should be nothing."""
        while self._more():
            pass
        return bytes(self._data)


def note(book, request, answer):
    head, body = len(request.head()), len(request.framed_body())
    book.add((request.method, template(request.target), answer.status, request.version),
             count=1, request=head + body, request_body=len(request.body or b""),
             response=answer.bytes, response_body=answer.body, interim=answer.interim,
             chunked=int(answer.chunked()))


def play_one(sock, reader, request):
    """A request and its response."""
    interim = 0
    if request.expect:
        sock.sendall(request.head())
        interim = reader.interim()
        sock.sendall(request.framed_body())
    else:
        sock.sendall(request.head() + request.framed_body())
    return reader.response(request.method, interim)


def play(sock, requests, depth, book):
    """All of a connection's requests; `depth` of them are under way at once (1: no pipelining)."""
    reader = Reader(sock)
    if depth == 1:
        for request in requests:
            note(book, request, play_one(sock, reader, request))
    for at in range(0, len(requests) if depth > 1 else 0, depth):
        batch = requests[at:at + depth]
        sock.sendall(b"".join(r.head() + r.framed_body() for r in batch))
        for request in batch:
            note(book, request, reader.response(request.method))


def play_all(connect, plans, book, threads=4):
    """Every plan is a connection: (requests, depth). `connect()` makes a socket."""
    waiting, errors = queue.SimpleQueue(), []
    for plan in plans:
        waiting.put(plan)

    def work():
        while not errors:
            try:
                requests, depth = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                sock = connect()
                try:
                    play(sock, requests, depth, book)
                finally:
                    sock.close()
            except BaseException as exc:  # noqa: B902 - handed over to the test's thread
                errors.append((requests[0].target, exc))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise AssertionError("connection that begins with %s: %r" % errors[0]) from errors[0][1]


def connector(port, authority=None):
    """A maker of sockets to 127.0.0.1:port, with TLS when an authority is given."""
    context = client_context(authority, alpn=["http/1.1"]) if authority else None

    def connect():
        if not context:
            sock = stages.connect(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        return stages.connect_tls(("127.0.0.1", port), context)

    return connect


def h2load(port, targets, count, *options, streams=50, connections=2):
    """HTTP/2 requests, `targets` in turn, `streams` of a connection at once. All must be answered;
    which status they had is nginx's to say."""
    urls = ["https://origin.test:%d%s" % (port, target) for target in targets]
    done = run("h2load", "-n", count, "-c", connections, "-m", streams,
               "--connect-to=127.0.0.1:%d" % port, *options, *urls, timeout=6 * PATIENCE)
    told = re.search(rb"requests: (\d+) total, .* (\d+) done, (\d+) succeeded, (\d+) failed, "
                     rb"(\d+) errored", done.stdout)
    assert told, done.stdout.decode()
    total, ended, _, _, errored = (int(n) for n in told.groups())
    assert (total, ended, errored) == (count, count, 0), done.stdout.decode()
