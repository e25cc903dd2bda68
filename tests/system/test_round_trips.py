# SPDX-License-Identifier: GPL-2.0-or-later
"""Latency, told in round trips (docs/sessions.md): how often something crosses a slow link and is
waited for, from the client's SYN to the end of the response, with ksplitd on the way and without.

    client --- wire --- gateway, ksplitd --- wire --- origin

One of the wires has each frame be 50 ms late (lib/wire.py). Flights are counted and not the time,
so that a busy machine changes nothing; for the same reason both peers send in one piece what they
have to send before they wait. Every round trip is seen, TCP's set-up, TLS, the request, those of a
connection that ksplitd would make anew, but for one: waiting for a bare ACK.
"""

import contextlib
import ssl
import time

import pytest

from lib import env, stage as stages
from lib.netns import Row
from lib.tls import TLS12, TLS13, client_context, server_context, set_groups
from lib.wire import Wire

DELAY = 0.05
LINKS = {"client": 1, "origin": 2}
GATEWAY = "10.77.1.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# The first call, one that resumes, one that does not. TCP has a round trip and the request has one;
# TLS 1.3 has one (RFC 8446 2), TLS 1.2 has two, or one when it resumes (RFC 5246 7.3).
RESUMES = (False, True, False)
DIRECT = {TLS13: [3, 3, 3], TLS12: [4, 3, 4]}
THROUGH = {
    ("client", TLS13): [3, 3, 3],
    ("client", TLS12): [4, 3, 4],
    ("origin", TLS13): [3, 3, 3],
    ("origin", TLS12): [4, 3, 3],   # ksplitd resumes, whether the client does or not
}


class Peer:
    """TLS that sends nothing before it has to: what there is to say goes in one piece."""

    def __init__(self, sock, context, **side):
        self._sock, self._came, self._out = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._came, self._out, **side)

    def step(self, action, *args, hold=False):
        """action(*args) of the SSLObject; with `hold` what is to be sent waits for what comes."""
        while True:
            try:
                return action(*args)
            except ssl.SSLWantReadError:
                if not hold:
                    self.flush()
                data = self._sock.recv(65536)
                if data:
                    self._came.write(data)
                else:
                    self._came.write_eof()

    def flush(self):
        self._sock.sendall(self._out.read())

    def say_end(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def read(self, size, hold=False):
        text = b""
        while len(text) < size:
            text += self.step(self.tls.read, size - len(text), hold=hold)
        return text


def origin(context):
    """An act: one request, one response, and with that the tickets of TLS 1.3: they are waited for
    by nobody, so they are no flight of their own."""
    def act(sock):
        peer = Peer(sock, context, server_side=True)
        peer.step(peer.tls.do_handshake)
        hold = peer.tls.version() == "TLSv1.3"
        assert peer.read(len(REQUEST), hold) == REQUEST
        peer.tls.write(RESPONSE)
        peer.flush()
        while sock.recv(65536):
            pass
        return peer.tls.session_reused
    return act


class Line:
    """The row with a wire in each link, of which one is slow, and an origin at its end."""

    def __init__(self, row):
        self.row, self.wires = row, {}
        self.stage = stages.Stage(row.listen(4, 0))
        self.address = (Row.ORIGIN[4], self.stage.port)
        try:
            for name, number in LINKS.items():
                self.wires[name] = Wire(row, number)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def slow(self, link):
        """That link, for as long as the context lasts; what is said on it."""
        wire = self.wires[link]
        wire.trips.begin()
        wire.delay = DELAY
        try:
            yield wire.trips
        finally:
            wire.delay = 0

    def call(self, link, address, context, session):
        """One call: how many round trips, was it resumed, and its session then."""
        with contextlib.ExitStack() as ending:
            with self.slow(link) as trips:
                began = time.monotonic()
                sock = ending.enter_context(self.row.connect(*address, env.PATIENCE))
                peer = Peer(sock, context, server_side=False, server_hostname="origin.test",
                            session=session)
                peer.step(peer.tls.do_handshake)
                peer.tls.write(REQUEST)
                assert peer.read(len(RESPONSE)) == RESPONSE
                count = trips.count()
                print("%s: %d round trips, %d ms: %s" % (
                    address, count, (time.monotonic() - began) * 1000, trips.said()))
            peer.say_end()
            return count, peer.tls.session_reused, peer.tls.session

    def close(self):
        for wire in self.wires.values():
            wire.close()
        self.stage.close()


@pytest.fixture(scope="module")
def line(row):
    made = Line(row)
    yield made
    made.close()


def calls(line, link, address, authority, of_origin, suite=None, daemon=None, group=None):
    """A call for each of RESUMES: the round trips of each."""
    context = client_context(authority, suite)
    if group:
        set_groups(context, group)
    counts, ours, origins, session = [], [], [], None
    with line.stage.play(origin(of_origin)) as play:
        for resume in RESUMES:
            count, reused, session = line.call(link, address, context,
                                                session if resume else None)
            counts.append(count)
            ours.append(reused)
            origins.append(play.result())
            if daemon:
                daemon.settle()
    assert ours == list(RESUMES)
    assert origins == ([False, True, True] if daemon else ours)
    return counts


def compare(line, link, pki, ksplitd, of_origin, **of_client):
    """The same calls, direct and through a ksplitd that knows nothing of the origin yet."""
    direct = calls(line, link, line.address, pki.origin_ca, of_origin, **of_client)
    daemon = ksplitd("%s:%d" % line.address, host="0.0.0.0",
                     prefix=["ip", "netns", "exec", line.row.gateway])
    return direct, calls(line, link, (GATEWAY, daemon.port), pki.ca, of_origin, daemon=daemon,
                         **of_client)


@pytest.mark.parametrize("suite", (TLS12, TLS13), ids=repr)
@pytest.mark.parametrize("link", LINKS)
def test_no_round_trip_more_than_direct(line, pki, ksplitd, link, suite):
    of_origin = server_context(pki.origin, suite)
    set_groups(of_origin, "X25519")  # whatever else OpenSSL would like better
    direct, through = compare(line, link, pki, ksplitd, of_origin, suite=suite)
    assert direct == DIRECT[suite]
    assert through == THROUGH[link, suite]


# By default OpenSSL 3.5 sends a share of ML-KEM, too, and asks for one.
SHARES = ["secp384r1"] + ([None] if ssl.OPENSSL_VERSION_INFO >= (3, 5) else [])


@pytest.mark.parametrize("group", SHARES)
def test_an_origin_that_wants_another_key_share(line, pki, ksplitd, group):
    """A HelloRetryRequest (RFC 8446 4.1.4) is a round trip more. A client that knows better which
    share to send has none; ksplitd has one, on the first call alone."""
    of_origin = server_context(pki.origin, TLS13)
    if group:
        set_groups(of_origin, group)
    direct, through = compare(line, "origin", pki, ksplitd, of_origin, suite=TLS13, group=group)
    assert direct == [3, 3, 3]
    assert through == [4, 3, 3]
