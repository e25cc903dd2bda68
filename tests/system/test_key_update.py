# SPDX-License-Identifier: GPL-2.0-or-later
"""KeyUpdate (RFC 8446 4.6.3) from either side. User space and kernels since 6.14 go on under new
keys; an older kernel cannot take new keys: then an orderly close, counted, without loss."""

import pytest

from lib import clients, env, expect, origins, records
from lib.tls import TLS13

REKEYS = pytest.mark.parametrize("requested", (False, True), ids=("k", "K"))


def rekeys(relay):
    """Does the connection go on after a KeyUpdate?"""
    return not expect.kernel_expected(relay) or env.EXPECT_REKEY


@pytest.mark.needs("openssl")
@REKEYS
@pytest.mark.parametrize("side", ("client", "origin"))
def test_openssl_peer_updates_its_keys(proxy, side, requested):
    """`openssl s_client` and `openssl s_server` send KeyUpdate at K (asking for one back) and k."""
    counted = proxy.daemon.summary()["records"]["key_updates"]
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, "-tls1_3") as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, "-tls1_3") as client:
            client.expect("Verify return code: 0")
            updater, other = (client, server) if side == "client" else (server, client)
            updater.say("before the update\n")
            other.expect("before the update")
            updater.say("K\n" if requested else "k\n")
            if rekeys(proxy.relay):
                for number in range(3):
                    updater.say("under new keys %d\n" % number)
                    other.expect("under new keys %d" % number)
                    other.say("and back %d\n" % number)
                    updater.expect("and back %d" % number)
                client.say("Q\n")
            client.wait()
    assert proxy.line()["reason"] == (
        "closed" if rekeys(proxy.relay) else "key_update_unsupported")
    assert proxy.daemon.summary()["records"]["key_updates"] > counted


SIDE = pytest.mark.parametrize("side", ("client", "origin"))


@SIDE
@REKEYS
def test_bytes_around_key_updates_are_complete(proxy, side, requested):
    """Data, update, data, update ... from one side; every byte arrives, or on kernels that
    cannot rekey every byte before the first update and then an orderly end."""
    pieces = [records.random_bytes(20000) for _ in range(4)]

    def update(peer):
        try:
            for piece in pieces:
                peer.send_split(piece, 6000)
                peer.key_update(requested)
            peer.close_notify()
            return peer.receive_end()
        except (ConnectionResetError, BrokenPipeError):
            return b"", "reset"

    def watch(peer):
        seen = peer.receive_end()
        peer.close_notify()
        return seen

    with proxy.record_origin(update if side == "origin" else watch, TLS13) as play:
        with proxy.record_client(TLS13) as client:
            mine = (update if side == "client" else watch)(client)
            theirs = play.result()
    seen = theirs if side == "client" else mine
    if rekeys(proxy.relay):
        assert seen == (b"".join(pieces), "close_notify")
        assert proxy.line()["reason"] == "closed"
    else:
        assert seen == (pieces[0], "close_notify")
        assert proxy.line()["reason"] == "key_update_unsupported"


@SIDE
def test_requested_update_is_answered(proxy, side):
    """update_requested: the peer gets a KeyUpdate and reads on under the new keys."""
    def ask(peer):
        peer.key_update(True)
        peer.send(b"ask")
        try:
            kinds, data = [], b""
            while data != b"answer":
                record = peer.receive()
                if record is None or record[0] == records.ALERT:
                    return "ended", kinds
                kinds.append(record[0])
                if record[0] == records.DATA:
                    data += record[1]
        except ConnectionResetError:
            return "ended", kinds
        peer.close_notify()
        peer.receive_end()
        return "went on", kinds

    def answer(peer):
        record = peer.receive()
        if record and record[0] == records.DATA:
            peer.send(b"answer")
            peer.receive_end()
        peer.close_notify()

    with proxy.record_origin(ask if side == "origin" else answer, TLS13) as play:
        with proxy.record_client(TLS13) as client:
            mine = (ask if side == "client" else answer)(client)
            theirs = play.result()
    outcome, kinds = mine if side == "client" else theirs
    if rekeys(proxy.relay):
        assert outcome == "went on"
        assert records.HANDSHAKE in kinds, "no KeyUpdate came back"
    else:
        assert outcome == "ended"


@SIDE
def test_malformed_key_update_ends_with_a_reason(proxy, side):
    """request_update must be 0 or 1 (RFC 8446 4.6.3)."""
    def send(peer):
        peer.send(bytes([records.KEY_UPDATE, 0, 0, 1, 7]), records.HANDSHAKE)
        return peer.receive_end()

    def watch(peer):
        return peer.receive_end()

    with proxy.record_origin(send if side == "origin" else watch, TLS13) as play:
        with proxy.record_client(TLS13) as client:
            (send if side == "client" else watch)(client)
            play.result()
    assert proxy.line()["reason"] in (
        "unexpected_record_from_" + side, "bad_record_from_" + side, "key_update_unsupported")
