# SPDX-License-Identifier: GPL-2.0-or-later
"""Corners of HTTP, and what is no HTTP, as ksplitd tells of them: each a short exchange whose bytes
are known, byte for byte, and a line of the access log that has to say so."""

import os
import threading

import pytest

from lib import stream
from lib.env import IN_VM, PATIENCE, wait_for
from lib.scene import receive_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answering(*answers):
    """An origin: one answer for each request head that comes, then it waits for the end."""
    def act(sock):
        for answer in answers:
            receive_until(sock, b"\r\n\r\n")
            sock.sendall(answer)
        stream.receive_all(sock)
        stream.close_orderly(sock)
    return act


def asking(request, answer):
    """A client: sends, reads all of the answer, closes in order."""
    def act(sock):
        sock.sendall(request)
        assert stream.receive_exactly(sock, len(answer)) == answer
        stream.close_orderly(sock)
    return act


def assert_line(line, **expected):
    assert {name: line[name] for name in expected} == expected, line


# -- messages ----------------------------------------------------------------------------------


def test_upgrade_ends_http(scene):
    """WebSocket (RFC 6455): after 101 the bytes are not read as HTTP, whatever they look like."""
    ask = (b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
              b"Connection: Upgrade\r\n\r\n")
    bait = b"GET /bait HTTP/1.1\r\nHost: a\r\n\r\n"

    def origin(sock):
        receive_until(sock, b"\r\n\r\n")
        sock.sendall(answer)
        assert stream.receive_exactly(sock, len(bait)) == bait
        sock.sendall(OK * 2 + b"\x81\x05hello" + os.urandom(40000))
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        sock.sendall(ask)
        stream.receive_exactly(sock, len(answer))
        sock.sendall(bait)
        stream.receive_exactly(sock, 2 * len(OK) + 7 + 40000)
        stream.close_orderly(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, method="GET", uri="/chat", status=101, complete=True,
                request_bytes=len(ask), response_bytes=len(answer), response_body_bytes=0)


def test_connect_ends_http(scene):
    """A tunnel through the origin (RFC 9110 9.3.6)."""
    ask = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n"
    answer = b"HTTP/1.1 200 Connected\r\n\r\n"

    def origin(sock):
        receive_until(sock, b"\r\n\r\n")
        sock.sendall(answer)
        stream.receive_exactly(sock, 500)
        sock.sendall(OK)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        sock.sendall(ask)
        stream.receive_exactly(sock, len(answer))
        sock.sendall(b"\x16\x03\x01" + os.urandom(497))
        stream.receive_exactly(sock, len(OK))
        stream.close_orderly(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, method="CONNECT", host="far.test:443", status=200, complete=True,
                request_bytes=len(ask), response_bytes=len(answer), response_body_bytes=0)


def test_body_until_close(scene):
    """HTTP/1.0: the end of the connection is the end of the body (RFC 9112 6.3)."""
    ask, body = b"GET /old HTTP/1.0\r\n\r\n", os.urandom(100000)
    answer = b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n" + body

    def origin(sock):
        receive_until(sock, b"\r\n\r\n")
        sock.sendall(answer)
        stream.close_orderly(sock)

    def client(sock):
        sock.sendall(ask)
        assert stream.receive_all(sock).bytes == len(answer)
        stream.close_orderly(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, http_version="1.0", status=200, complete=True, request_bytes=len(ask),
                response_bytes=len(answer), response_body_bytes=len(body))


def test_interim_responses_are_not_the_answer(scene):
    """100 and 103 come before the one that counts, and do not add to it."""
    ask = b"GET /hints HTTP/1.1\r\nHost: a\r\n\r\n"
    interim = (b"HTTP/1.1 100 Continue\r\n\r\n",
               b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    scene.play(answering(b"".join(interim) + OK, OK),
               asking_twice(ask, b"".join(interim) + OK, OK))
    for line in scene.requests(2):
        assert_line(line, status=200, complete=True, request_bytes=len(ask),
                    response_bytes=len(OK), response_body_bytes=2)


def asking_twice(request, first, second):
    def act(sock):
        for answer in (first, second):
            sock.sendall(request)
            assert stream.receive_exactly(sock, len(answer)) == answer
        stream.close_orderly(sock)
    return act


def test_head_has_no_body(scene):
    """Whatever Content-Length says (RFC 9110 9.3.2): the next response is not taken for one."""
    ask = b"HEAD /thing HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"
    scene.play(answering(answer, answer), asking_twice(ask, answer, answer))
    for line in scene.requests(2):
        assert_line(line, method="HEAD", status=200, complete=True,
                    response_bytes=len(answer), response_body_bytes=0)


def test_one_byte_a_record(scene):
    """Heads in as many pieces as they have bytes."""
    ask = b"POST /slow?secret=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"

    def trickle(sock, data):
        for byte in data:
            sock.send(bytes([byte]))

    def origin(sock):
        assert stream.receive_exactly(sock, len(ask)) == ask
        trickle(sock, answer)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        trickle(sock, ask)
        stream.receive_exactly(sock, len(answer))
        stream.close_orderly(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, method="POST", uri="/slow?secret", status=200, complete=True,
                request_bytes=len(ask), request_body_bytes=10, response_bytes=len(answer),
                response_body_bytes=4)


def test_head_of_8_kib(scene):
    """Cookies before and behind what is looked for."""
    cookie = b"Cookie: " + b"c" * 4000 + b"\r\n"
    ask = (b"POST /shop HTTP/1.1\r\n" + cookie + b"Host: shop.test\r\n" + cookie +
           b"Content-Length: 3\r\n\r\nbuy")
    assert len(ask) > 8000

    def origin(sock):
        assert stream.receive_exactly(sock, len(ask)) == ask
        sock.sendall(OK)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    scene.play(origin, asking(ask, OK))
    line, = scene.requests(1)
    assert_line(line, method="POST", uri="/shop", host="shop.test", status=200, complete=True,
                request_bytes=len(ask), request_body_bytes=3)
    assert "cccc" not in scene.daemon.access_log_path.read_text()


def test_uri_of_6000_bytes(scene):
    """Its begin is kept and said to be cut; the bytes are counted."""
    ask = b"GET " + b"/part" * 1200 + b"?secret=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    scene.play(answering(OK), asking(ask, OK))
    line, = scene.requests(1)
    assert_line(line, method="GET", status=200, complete=True, request_bytes=len(ask), host="a")
    assert line["uri"].startswith("/part/part/") and line["uri"].endswith("{...}"), line


def test_1500_requests_on_a_connection(scene):
    """... of which 100 are on their way at once."""
    ask = b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n"
    rounds, batch = (3 if IN_VM else 15), 100

    def origin(sock):
        for _ in range(rounds):
            assert stream.receive_exactly(sock, len(ask) * batch) == ask * batch
            sock.sendall(OK * batch)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        for _ in range(rounds):
            sock.sendall(ask * batch)
            assert stream.receive_exactly(sock, len(OK) * batch) == OK * batch
        stream.close_orderly(sock)

    scene.play(origin, client)
    assert len(scene.requests(rounds * batch)) == rounds * batch
    row = scene.series("/again")
    assert row["http.request_response.count"] == rounds * batch
    assert row["http.response.bytes"]["sum"] == rounds * batch * len(OK)
    assert row["http.request.bytes"]["sum"] == rounds * batch * len(ask)


# -- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ("client", "origin"))
def test_reset_in_mid_body(scene, who):
    """The response is told of as what it is: incomplete."""
    uri = "/broken/by-the-" + who
    ask = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % uri.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    read = threading.Event()

    def origin(sock):
        receive_until(sock, b"\r\n\r\n")
        sock.sendall(head + bytes(5000))
        assert read.wait(PATIENCE)
        if who == "origin":
            stream.reset(sock)
            return
        with pytest.raises(OSError):
            stream.receive_all(sock)

    def client(sock):
        sock.sendall(ask)
        stream.receive_exactly(sock, len(head) + 5000)
        if who == "client":
            stream.reset(sock)
        read.set()
        if who == "origin":
            with pytest.raises(OSError):
                stream.receive_all(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, uri=uri, status=200, complete=False, last_byte_ms=None,
                response_bytes=len(head) + 5000, response_body_bytes=5000)
    row = scene.series(uri)
    assert (row["http.request_response.count"], row["http.request_response.latency"]["count"],
            row["http.request_response.first_byte"]["count"]) == (1, 0, 1)


def test_request_without_answer(scene):
    """The origin closes instead; status 0, a failure."""
    ask = b"GET /silence HTTP/1.1\r\nHost: a\r\n\r\n"

    def origin(sock):
        receive_until(sock, b"\r\n\r\n")
        stream.close_orderly(sock)

    def client(sock):
        sock.sendall(ask)
        assert stream.receive_all(sock).bytes == 0
        stream.close_orderly(sock)

    scene.play(origin, client)
    line, = scene.requests(1)
    assert_line(line, uri="/silence", status=None, complete=False, request_bytes=len(ask))
    assert scene.series("/silence")["http.request_response.failures"] == 1


def test_other_protocols_are_connections(scene):
    """Not HTTP: counted as a connection with its bytes, and as not HTTP; no request."""
    def origin(sock):
        sock.sendall(b"* OK IMAP4rev1 ready\r\n")
        receive_until(sock, b"\r\n")
        sock.sendall(b"a1 OK done\r\n" + os.urandom(20000))
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        receive_until(sock, b"\r\n")
        sock.sendall(b"a1 NOOP\r\n")
        stream.receive_exactly(sock, 20012)
        stream.close_orderly(sock)

    scene.play(origin, client)
    wait_for(lambda: scene.sampler()["not_http"] == 1, lambda: scene.sampler())
    scene.requests(0)
    assert scene.endpoint() == {"connections": 1, "requests": 0, "to_origin": 9,
                                "to_client": 22 + 20012}
