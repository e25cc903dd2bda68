# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which a connection ends, and records that are broken: what one side does arrives at
the other as what it is, with its reason counted, and never as a hang or a spin."""

import pytest

from lib import env, expect, records, stream
from lib.records import ALERT, DATA, FATAL, HANDSHAKE
from lib.tls import SUITES, TLS12, TLS13

SUITE = pytest.mark.parametrize("suite", (TLS12, TLS13), ids=repr)
BLOB = records.random_bytes(100000)


class Scene:
    """A connection through ksplitd with a record-level peer on both sides. The origin follows
    `script(peer)` on its own thread; here `client` and `client_name` for the reasons."""

    def __init__(self, proxy, suite, script):
        self._play = proxy.record_origin(script, suite)
        self._play.__enter__()
        try:
            self.client = proxy.record_client(suite)
        except BaseException:
            self._play.__exit__(None, None, None)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.sock.close()
        self._play.__exit__(*exc)

    def origin_result(self):
        return self._play.result()


def meet(proxy, suite, misbehave, watch, side):
    """`side` does misbehave(peer) after both have exchanged bytes; the other does watch(peer).
    Returns what watch returned."""
    def greet(peer, first):
        """Over when both sides have everything: an RST may overtake what is still on its way."""
        if first:
            peer.send(b"ping")
            peer.receive_data(4)
            peer.send(b"done")
            peer.receive_data(2)
        else:
            peer.receive_data(4)
            peer.send(b"pong")
            peer.receive_data(4)
            peer.send(b"ok")
            if side == "origin":
                peer.receive_data(2)

    def origin(peer):
        greet(peer, first=False)
        return (misbehave if side == "origin" else watch)(peer)

    with Scene(proxy, suite, origin) as scene:
        greet(scene.client, first=True)
        if side == "origin":
            scene.client.send(b"go")
        mine = (misbehave if side == "client" else watch)(scene.client)
        theirs = scene.origin_result()
    return theirs if side == "client" else mine


SIDE = pytest.mark.parametrize("side", ("client", "origin"))


@SUITE
@SIDE
def test_half_close_lets_the_other_way_go_on(proxy, suite, side):
    """close_notify ends one direction only (RFC 8446 6.1): the other carries on to its own end."""
    def closes_first(peer):
        peer.send_split(BLOB, 9000)
        peer.close_notify()
        return peer.receive_end()

    def closes_last(peer):
        data, ended = peer.receive_end()
        peer.send_split(BLOB[::-1], 16000)
        peer.close_notify()
        return data, ended

    got = {}

    def remember(peer):
        got["first"] = closes_first(peer)

    assert meet(proxy, suite, remember, closes_last, side) == (BLOB, "close_notify")
    assert got["first"] == (BLOB[::-1], "close_notify")
    entry = proxy.line()
    assert entry["reason"] == "closed", entry


@SUITE
@SIDE
def test_truncation_stays_a_truncation(proxy, suite, side):
    """A FIN without close_notify is never turned into an orderly end."""
    def truncate(peer):
        peer.send_split(BLOB, 16384)
        peer.fin()
        return peer.receive_end()

    def watch(peer):
        seen = peer.receive_end()
        peer.fin()
        return seen

    assert meet(proxy, suite, truncate, watch, side) == (BLOB, "fin")
    assert proxy.line()["reason"] == "truncated_by_" + side


@SUITE
@SIDE
def test_truncation_leaves_the_other_way_open(proxy, suite, side):
    """After the FIN of one side the other's bytes still arrive."""
    got = {}

    def truncate(peer):
        peer.fin()
        got["rest"] = peer.receive_end()

    def answer(peer):
        seen = peer.receive_end()
        peer.send_split(BLOB, 5000)
        peer.close_notify()
        return seen

    assert meet(proxy, suite, truncate, answer, side) == (b"", "fin")
    assert got["rest"] == (BLOB, "close_notify")


@SUITE
@SIDE
def test_reset_is_passed_on(proxy, suite, side):
    def reset(peer):
        peer.reset()

    def watch(peer):
        return peer.receive_end()

    _, ended = meet(proxy, suite, reset, watch, side)
    assert ended == "reset"
    assert proxy.line()["reason"] == "reset_by_" + side


@SUITE
@SIDE
@pytest.mark.parametrize("description", (records.INTERNAL_ERROR, records.HANDSHAKE_FAILURE))
def test_fatal_alert_is_forwarded(proxy, suite, side, description):
    """With all the bytes that came before it."""
    def alert(peer):
        peer.send_split(BLOB, 16384)
        peer.alert(FATAL, description)
        return peer.receive_end()

    def watch(peer):
        return peer.receive_end()

    assert meet(proxy, suite, alert, watch, side) == (BLOB, "alert %d" % description)
    entry = proxy.line()
    assert entry["reason"] == "alert_from_" + side, entry


@SUITE
@SIDE
def test_bad_tag_ends_with_a_reason(proxy, suite, side):
    """The other side must not take it for an orderly end; the bytes before arrive."""
    def spoil(peer):
        peer.send(b"good")
        peer.send_bad_tag()
        return peer.receive_end()

    def watch(peer):
        return peer.receive_end()

    data, ended = meet(proxy, suite, spoil, watch, side)
    assert data == b"good"
    assert ended not in ("close_notify", "fin"), ended
    assert proxy.line()["reason"] == "bad_record_from_" + side


# Bytes behind the short ones: of TLS 1.2 the kernel wants header and nonce, 13 bytes, before it looks.
BOGUS = {
    "unknown content type": b"\x63\x03\x03\x00\x20" + bytes(32),
    "length beyond the limit": b"\x17\x03\x03\xff\xff" + bytes(40000),
    "length below a tag": b"\x17\x03\x03\x00\x03abc" + bytes(16),
    "length zero": b"\x17\x03\x03\x00\x00" + bytes(16),
    "version of no protocol": b"\x17\x09\x09\x00\x20" + bytes(32),
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n",
}


@SUITE
@SIDE
@pytest.mark.parametrize("wire", BOGUS.values(), ids=BOGUS.keys())
def test_bogus_record_ends_with_a_reason(proxy, suite, side, wire):
    cpu = proxy.daemon.cpu_seconds()

    def spoil(peer):
        try:
            peer.send_wire(wire)
            return peer.receive_end()
        except (ConnectionResetError, BrokenPipeError):
            return b"", "reset"

    def watch(peer):
        return peer.receive_end()

    _, ended = meet(proxy, suite, spoil, watch, side)
    assert ended != "close_notify", ended
    assert proxy.line()["reason"] == "bad_record_from_" + side
    # A relay that spins on a record that it cannot take burns a whole processor. An emulated one takes a
    # multiple for the handshakes, more when its host is busy.
    assert proxy.daemon.cpu_seconds() - cpu < (8 if env.IN_VM else 2)


@SUITE
@SIDE
def test_empty_records_are_no_end(proxy, suite, side):
    """Zero-length application data is allowed (RFC 8446 5.1, RFC 5246 6.2.1) and means nothing;
    bytes around it arrive."""
    def send(peer):
        for piece in (b"one", b"", b"two", b"", b"", b"three", b""):
            peer.send(piece)
        peer.close_notify()
        return peer.receive_end()

    def watch(peer):
        seen = peer.receive_end()
        peer.close_notify()
        return seen

    cpu = proxy.daemon.cpu_seconds()
    assert meet(proxy, suite, send, watch, side) == (b"onetwothree", "close_notify")
    assert proxy.daemon.cpu_seconds() - cpu < 2


@SIDE
@pytest.mark.parametrize("suite", SUITES[3:], ids=repr)
def test_padded_records_arrive_without_padding(proxy, suite, side):
    """TLS 1.3 record padding (RFC 8446 5.4), up to the largest record."""
    def send(peer):
        for size, padding in ((1, 1), (100, 4000), (1, 16383 - 1), (8000, 8384), (0, 50), (5, 0)):
            peer.send(BLOB[:size], padding=padding)
        peer.close_notify()
        return peer.receive_end()

    def watch(peer):
        seen = peer.receive_end()
        peer.close_notify()
        return seen

    wanted = b"".join(BLOB[:size] for size in (1, 100, 1, 8000, 0, 5))
    assert meet(proxy, suite, send, watch, side) == (wanted, "close_notify")


@SUITE
@SIDE
def test_unknown_content_type_ends_with_a_reason(proxy, suite, side):
    """A record that decrypts well and has no place: heartbeat (RFC 6520), never negotiated."""
    def send(peer):
        peer.send(b"\1\0\1x" + bytes(16), kind=24)
        return peer.receive_end()

    def watch(peer):
        return peer.receive_end()

    _, ended = meet(proxy, suite, send, watch, side)
    assert ended != "close_notify"
    assert proxy.line()["reason"] in ("unexpected_record_from_" + side,
                                      "bad_record_from_" + side)


@SUITE
@SIDE
def test_stray_handshake_message_ends_with_a_reason(proxy, suite, side):
    """A Finished out of season: neither forwarded nor ignored."""
    def send(peer):
        peer.send(b"\x14\0\0\x0c" + bytes(12), kind=HANDSHAKE)
        return peer.receive_end()

    def watch(peer):
        return peer.receive_end()

    _, ended = meet(proxy, suite, send, watch, side)
    assert ended != "close_notify"
    assert proxy.line()["reason"] in ("unexpected_record_from_" + side,
                                      "bad_record_from_" + side)


@SIDE
def test_warning_alerts_do_not_end_the_connection(proxy, side):
    """TLS 1.2 knows alerts that warn (RFC 5246 7.2.2): user_canceled here."""
    def send(peer):
        peer.send(b"before")
        peer.alert(records.WARNING, records.USER_CANCELED)
        peer.send(b"after")
        peer.close_notify()
        return peer.receive_end()

    def watch(peer):
        data, kinds = b"", []
        while True:
            record = peer.receive()
            if record is None or record == (ALERT, bytes([1, 0])):
                break
            if record[0] == DATA:
                data += record[1]
            kinds.append(record[0])
        peer.close_notify()
        return data

    assert meet(proxy, TLS12, send, watch, side) == b"beforeafter"


@SUITE
def test_session_tickets_are_kept_from_the_client(proxy, suite):
    """The origin's tickets are for ksplitd: the client sees none but ksplitd's own."""
    before = proxy.daemon.summary()["records"]["tickets_swallowed"]

    def origin(peer):
        peer.send(peer.receive_data(4))
        if suite.version == "TLSv1.3":
            # A further ticket in the middle of the data (RFC 8446 4.6.1).
            ticket = (b"\0\0\x1c\x20" + bytes(4) + b"\x08" + bytes(8) + b"\0\x20" + bytes(32) +
                      b"\0\0")
            peer.send(b"\x04" + len(ticket).to_bytes(3, "big") + ticket, kind=HANDSHAKE)
        peer.send(b"data after the ticket")
        seen = peer.receive_end()
        peer.close_notify()
        return seen

    with Scene(proxy, suite, origin) as scene:
        scene.client.send(b"ping")
        assert scene.client.receive_data(4) == b"ping"
        assert scene.client.receive_data(21) == b"data after the ticket"
        scene.client.close_notify()
        assert scene.client.receive_end() == (b"", "close_notify")
        assert scene.origin_result() == (b"", "close_notify")
    assert proxy.line()["reason"] == "closed"
    if suite.version == "TLSv1.3" and expect.kernel_expected(proxy.relay):
        # In user space OpenSSL takes them for itself and nobody counts.
        assert proxy.daemon.summary()["records"]["tickets_swallowed"] > before


@pytest.mark.relays("auto", "user")
def test_close_without_any_byte(proxy):
    for suite in SUITES:
        with proxy.origin(lambda sock: stream.close_orderly(sock), suite) as play:
            stream.close_orderly(proxy.client(suite))
            play.result()
    assert [entry["reason"] for entry in proxy.lines(len(SUITES))] == ["closed"] * len(SUITES)
