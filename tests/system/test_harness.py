# SPDX-License-Identifier: GPL-2.0-or-later
"""The test peers against each other, without ksplitd: a test that blames ksplitd stands on these."""

import ssl

import pytest

from lib import clients, origins, records, stage as stages, stream
from lib.tls import SUITES, TLS13, client_context, server_context


@pytest.mark.parametrize("suite", SUITES, ids=repr)
def test_python_peers_exchange_random_records(suite, pki, stage):
    size = 300000

    def act(sock):
        flows = stream.exchange(sock, stream.random_chunks(size, "random"), size)
        sock.unwrap()
        return flows

    with stage.play_tls(server_context(pki.origin, suite), act) as play:
        sock = stages.connect_tls(stage.address, client_context(pki.origin_ca, suite))
        sent, received = stream.exchange(sock, stream.random_chunks(size), size)
        assert sock.cipher()[:2] == (suite.cipher, suite.version)
        stream.close_orderly(sock)
        assert play.result() == (received, sent)


@pytest.mark.parametrize("suite", SUITES, ids=repr)
def test_record_client_is_understood(suite, pki, stage):
    with stage.play_tls(server_context(pki.origin, suite), stages.echo) as play:
        with records.RecordPeer(stages.connect(stage.address),
                                client_context(pki.origin_ca, suite)) as peer:
            peer.send_split(b"x" * 1000, 7)
            assert peer.receive_data(1000) == b"x" * 1000
            if suite.version == "TLSv1.3":
                peer.key_update(True)
                peer.send(b"under new keys")
                assert peer.receive() == (records.HANDSHAKE, b"\x18\0\0\1\0")
                assert peer.receive_data(14) == b"under new keys"
            peer.close_notify()
            assert peer.receive_end() == (b"", "close_notify")
            play.result()


@pytest.mark.parametrize("suite", SUITES, ids=repr)
def test_record_origin_is_understood(suite, pki, stage):
    def act(sock):
        with records.RecordPeer(sock, server_context(pki.origin, suite), server=True) as peer:
            peer.send(peer.receive_data(5))
            peer.alert(records.FATAL, records.INTERNAL_ERROR)

    with stage.play(act) as play:
        sock = stages.connect_tls(stage.address, client_context(pki.origin_ca, suite))
        sock.sendall(b"hello")
        assert stream.receive_exactly(sock, 5) == b"hello"
        with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
            sock.recv(1)
        sock.close()
        play.result()


@pytest.mark.needs("nginx", "curl")
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_curl_and_nginx(http, pki, nginx, tmp_path):
    for name, digest in nginx.digests.items():
        assert clients.curl_digest(nginx.port, "/" + name, pki.origin_ca, http) == digest
    upload = nginx.prefix / "files" / "medium.bin"
    clients.curl(nginx.port, "/upload/direct.bin", pki.origin_ca, http, "-T", upload)
    assert nginx.uploaded("direct.bin") == nginx.digests["medium.bin"]


@pytest.mark.needs("openssl")
def test_openssl_peers(pki, spare_port):
    with origins.openssl_s_server(spare_port, pki.origin) as server:
        with clients.s_client(spare_port, pki.origin_ca) as client:
            client.expect("Verify return code: 0")
            client.say("to the origin\n")
            server.expect("to the origin")
            server.say("to the client\n")
            client.expect("to the client")
            client.say("Q\n")
            assert client.wait() == 0


@pytest.mark.needs("gnutls-cli", "gnutls-serv")
def test_gnutls_peers(pki, spare_port):
    with origins.gnutls_serv(spare_port, pki.origin, "--echo"):
        with clients.gnutls_cli(spare_port, pki.origin_ca) as client:
            client.expect("Simple Client Mode")
            client.say("to and fro\n")
            client.expect("to and fro")
            client.close_input()
            assert client.wait() == 0


@pytest.mark.parametrize("how, seen", [("reset", "reset"), ("fin", "fin"),
                                       ("close_notify", "close_notify")])
def test_record_peers_tell_ends_apart(how, seen, pki, stage):
    def act(sock):
        with records.RecordPeer(sock, server_context(pki.origin), server=True) as peer:
            peer.send(peer.receive_data(1))
            return peer.receive_end()

    with stage.play(act) as play:
        with records.RecordPeer(stages.connect(stage.address),
                                client_context(pki.origin_ca)) as peer:
            peer.send(b"x")
            peer.receive_data(1)
            getattr(peer, how)()
            assert play.result() == (b"", seen)


def test_missing_close_notify_is_seen(pki, stage):
    def act(sock):
        with pytest.raises(ssl.SSLError, match="(?i)EOF"):
            stream.receive_all(sock)

    with stage.play_tls(server_context(pki.origin, TLS13), act) as play:
        with records.RecordPeer(stages.connect(stage.address),
                                client_context(pki.origin_ca)) as peer:
            peer.fin()
            play.result()
