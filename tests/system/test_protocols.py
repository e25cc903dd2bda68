# SPDX-License-Identifier: GPL-2.0-or-later
"""Corners of TLS that honest clients and origins come around: early data, renegotiation, small
records, long tickets, groups that want another ClientHello."""

import pytest

from lib import clients, env, expect, origins
from lib.passes import wait_passes
from lib.process import Program

OPENSSL = pytest.mark.needs("openssl")


def ask_again(client, server, word):
    """A line each way."""
    client.say("%s?\n" % word)
    server.expect("%s?" % word)
    server.say("%s!\n" % word)
    client.expect("%s!" % word)


def leave(client):
    client.say("Q\n")
    assert client.wait() == 0


# -- early data --------------------------------------------------------------------------------


@OPENSSL
@pytest.mark.relays("auto")
def test_early_data_is_refused_and_the_call_goes_on(proxy, tmp_path):
    """A client that knows the origin from before ksplitd was there offers its ticket and sends 0-RTT
    data: nobody takes these (RFC 8446 4.2.10), so nothing is done twice."""
    session, early = tmp_path / "session.pem", tmp_path / "early"
    early.write_bytes(b"early words\n")
    direct = ("-tls1_3", "-servername", "origin.test")
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, "-early_data") as server:
        with Program("openssl", "s_client", "-connect", "127.0.0.1:%d" % proxy.spare_port,
                     *direct, "-sess_out", session) as client:
            ask_again(client, server, "direct")
            leave(client)
        with Program("openssl", "s_client", "-connect", "%s:%d" % proxy.to_spare, *direct,
                     "-CAfile", proxy.pki.ca.cert, "-sess_in", session,
                     "-early_data", early) as client:
            client.expect("Early data was rejected")
            ask_again(client, server, "late")
            leave(client)
        assert "early words" not in server.text()
    entry = proxy.line()
    assert not entry["client_tls"]["resumed"], entry
    expect.assert_relayed(entry, proxy.relay)


# -- renegotiation -----------------------------------------------------------------------------


@OPENSSL
@pytest.mark.relays("auto", "user")
def test_client_that_renegotiates_is_told_no(proxy):
    """As servers do (OpenSSL 3's default): the client hears no_renegotiation, nobody else is harmed."""
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, "-tls1_2") as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, "-tls1_2") as client:
            client.expect("Verify return code: 0")
            ask_again(client, server, "before")
            client.say("R\n")
            client.expect("no renegotiation")
            client.wait()
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, "-tls1_2") as client:
            client.expect("Verify return code: 0")
            ask_again(client, server, "next")
            leave(client)
    assert [entry["mode"] for entry in proxy.lines(2)] == ["intercept"] * 2


@OPENSSL
@pytest.mark.parametrize("relay", ("auto", "user"))
def test_origin_that_renegotiates_has_the_next_call_for_itself(ksplitd, pki, relay):
    """It may want a client certificate, which the client alone has."""
    port = env.free_port()
    daemon = ksplitd("127.0.0.1:%d" % port, {"relay": relay, "limits": {"learned_pass": 3600000}})
    with origins.openssl_s_server(port, pki.origin, "-tls1_2") as server:
        with clients.s_client(daemon.port, pki.ca, "-tls1_2") as client:
            client.expect("Verify return code: 0")
            ask_again(client, server, "first")
            server.say("r\n")
            client.wait()
        env.wait_for(lambda: "origin wants to renegotiate, and was told no" in daemon.stderr(),
                     lambda: "what is learned:\n" + daemon.tail())
        with clients.s_client(daemon.port, pki.origin_ca, "-tls1_2") as client:
            client.expect("Verify return code: 0")
            ask_again(client, server, "second")
            leave(client)
    first, second = daemon.wait_log(count=2)
    assert (first["mode"], second["mode"]) == ("intercept", "pass"), (first, second)
    row, = wait_passes(daemon, reason="renegotiation")
    assert row["count"] == 1 == daemon.reason_count("renegotiation")


# -- sizes -------------------------------------------------------------------------------------


@OPENSSL
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_client_of_small_records_gets_small_records(proxy, version):
    """max_fragment_length (RFC 6066 4): OpenSSL ends a connection in which a record is larger."""
    words = "x" * 6000
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, version) as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version, "-maxfraglen", "512",
                              "-trace") as client:
            client.expect("Verify return code: 0")
            server.say(words + "\n")
            client.expect(words[:400])
            ask_again(client, server, "after")
            leave(client)
            assert "record overflow" not in client.text()
    entry = proxy.line()
    told = entry["client_tls"]["ktls"]["tx"]
    if env.EXPECT_KTLS and proxy.relay != "user":
        assert told in (True, "ktls_record_size"), entry
    assert entry["mode"] == "intercept" and entry["reason"] == "closed", entry


@pytest.mark.relays("auto", "splice")
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_long_tickets_of_an_origin_do_no_harm(proxy, version, tmp_path):
    """They come in several records, in TLS 1.3 when the kernel has the keys; the ClientHello of a client
    that brings one back, which it got without ksplitd, is as long."""
    session = tmp_path / "session.pem"
    server = Program(env.BUILD / "tests" / "tools" / "ticket_server", proxy.spare_port,
                     proxy.pki.origin.cert, proxy.pki.origin.key, "60000")
    env.wait_for(lambda: origins.proc_listens(server.pid, proxy.spare_port), "the server")
    with server:
        with Program("openssl", "s_client", "-connect", "127.0.0.1:%d" % proxy.spare_port, version,
                     "-servername", "origin.test", "-sess_out", session) as client:
            client.say("direct\n")
            client.expect("direct")
            leave(client)
        for more in ((), ("-sess_in", session)):
            with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version, *more) as client:
                client.expect("Verify return code: 0")
                client.say("through ksplitd\n")
                client.expect("through ksplitd")
                leave(client)
        assert "failed" not in server.text()
    assert session.stat().st_size > 60000
    for entry in proxy.lines(2):
        expect.assert_relayed(entry, proxy.relay)


# -- groups ------------------------------------------------------------------------------------


@OPENSSL
@pytest.mark.relays("auto")
@pytest.mark.parametrize("side", ("client", "origin"))
def test_second_client_hello(proxy, side):
    """A group that was not guessed: HelloRetryRequest (RFC 8446 4.1.4), on either side."""
    groups = {"client": ("-groups", "P-521:X448"), "origin": ("-groups", "P-384")}
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, "-tls1_3",
                                  *(groups["origin"] if side == "origin" else ())) as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, "-tls1_3",
                              *(groups["client"] if side == "client" else ())) as client:
            client.expect("Verify return code: 0")
            ask_again(client, server, "well")
            leave(client)
    expect.assert_relayed(proxy.line(), proxy.relay)
