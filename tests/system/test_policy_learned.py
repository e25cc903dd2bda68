# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that refuses the forged leaf is passed through when it tries again: the first try fails,
the second sees the origin's own certificate, and nobody else is concerned."""

import base64
import contextlib
import hashlib
import socket
import ssl

import pytest

from lib import clients, env, stage as stages, stream
from lib.passes import FORGED, ORIGINAL, origin, passes, seen, wait_passes
from lib.process import run
from lib.records import FATAL, RecordPeer
from lib.tls import TLS12, TLS13, client_context, ech_context

HOUR = 3600000
ECH_REQUIRED = 121  # RFC 9849 11.2


def start(ksplitd, port, lifetime=HOUR, **limits):
    return ksplitd("127.0.0.1:%d" % port,
                   {"limits": dict({"learned_pass": lifetime}, **limits)})


def refuse(daemon, pki, name="origin.test", suite=None):
    """A client that trusts the origin's CA and not ours."""
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        stages.connect_tls(daemon.address, client_context(pki.origin_ca, suite), name).close()


@pytest.mark.parametrize("suite", (TLS12, TLS13), ids=str)
def test_second_try_passes(ksplitd, pki, stage, suite):
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        refuse(daemon, pki, suite=suite)
        row, = wait_passes(daemon, reason="learned")
        assert (row["name"], row["client"], row["count"]) == ("origin.test", "127.0.0.1", 0)
        assert 0 < row["expires_ms"] <= HOUR
        context = client_context(pki.origin_ca, suite)
        with contextlib.closing(stages.connect_tls(daemon.address, context)) as sock:
            sock.sendall(b"hello")
            assert stream.receive_exactly(sock, 5) == b"hello"
            assert (sock.getpeercert(True) ==
                    ssl.PEM_cert_to_DER_cert(pki.origin.cert.read_text()))
    first, second = daemon.wait_log(0, 2)
    assert first["reason"] == "leaf_rejected" and first["mode"] == "intercept"
    assert (second["mode"], second["pass_reason"]) == ("pass", "learned")
    assert passes(daemon, reason="learned")[0]["count"] == 1
    assert daemon.reason_count("learned") == 1
    assert "refused the forged leaf: the client's calls of that name are passed" in daemon.stderr()


@pytest.mark.needs("curl")
def test_pinned_curl(ksplitd, pki, nginx):
    """curl looks at its pin when the handshake is over: what was never used counts as refused."""
    key = run("openssl", "x509", "-in", pki.origin.cert, "-noout", "-pubkey").stdout
    der = run("openssl", "pkey", "-pubin", "-outform", "DER", stdin=key).stdout
    pin = "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
    daemon = start(ksplitd, nginx.port)
    both = pki.both_authorities()
    first = clients.curl(daemon.port, "/", both, "--pinnedpubkey", pin, check=False)
    assert first.returncode == 90, first
    wait_passes(daemon, reason="learned")
    second = clients.curl(daemon.port, "/", both, "--pinnedpubkey", pin)
    assert second.returncode == 0
    assert passes(daemon, reason="learned")[0]["count"] == 1


@pytest.mark.needs("openssl")
def test_openssl_with_another_ca(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        for code in (1, 0):
            done = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port,
                       "-servername", "origin.test", "-verify_return_error", "-CAfile",
                       pki.origin_ca.cert, check=False, timeout=env.PATIENCE)
            assert done.returncode == code, done
            if code:
                wait_passes(daemon, reason="learned")


def test_other_names_and_clients_are_intercepted(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        refuse(daemon, pki)
        wait_passes(daemon, reason="learned")
        assert seen(daemon.address, pki, "www.origin.test") == FORGED
        sock = socket.create_connection(daemon.address, source_address=("127.0.0.9", 0),
                                        timeout=env.PATIENCE)
        with client_context(pki.ca).wrap_socket(sock, server_hostname="origin.test"):
            pass
        assert seen(daemon.address, pki) == ORIGINAL


def test_client_that_just_leaves(ksplitd, pki, stage):
    """No alert, only a FIN or RST when the certificate has come; and without a name the address
    stands for it."""
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        leave_at_the_certificate(daemon.address)
        row, = wait_passes(daemon, reason="learned")
        assert row["name"] == "127.0.0.1:%d" % stage.port
        context = client_context(pki.both_authorities())
        context.check_hostname = False
        with context.wrap_socket(stages.connect(daemon.address)) as sock:
            assert sock.getpeercert()["issuer"][-1][0][1] == "origin CA"
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


def leave_at_the_certificate(address):
    with stages.connect(address) as sock:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls = context.wrap_bio(incoming, outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        assert len(sock.recv(65536)) > 300


def test_client_that_left_before_the_certificate_teaches_nothing(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        with stages.connect(daemon.address) as sock:
            sock.sendall(b"\x16\x03\x01\x00\x05")
        assert seen(daemon.address, pki) == FORGED
        daemon.wait_log(0, 2)
    assert not passes(daemon, reason="learned")


def test_client_that_uses_its_connection_teaches_nothing(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port)
    with origin(stage, pki):
        for _ in range(2):
            assert seen(daemon.address, pki) == FORGED
    daemon.wait_log(0, 2)
    assert not passes(daemon, reason="learned")


def test_learned_passes_expire(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port, 300)
    with origin(stage, pki):
        refuse(daemon, pki)
        env.wait_for(lambda: "the client's calls of that name are passed" in daemon.stderr(), "learning")
        env.wait_for(lambda: not passes(daemon, reason="learned"), "the pass to expire")
        assert seen(daemon.address, pki) == FORGED


def test_nothing_is_learned_where_it_is_switched_off(ksplitd, pki, stage):
    daemon = start(ksplitd, stage.port, 0)
    with origin(stage, pki):
        for _ in range(2):
            refuse(daemon, pki)
        daemon.wait_log(0, 2)
    assert not passes(daemon, reason="learned")
    assert daemon.reason_count("leaf_rejected") == 2


def test_learned_names_are_bounded(ksplitd, pki, stage):
    """The one that was not asked for longest makes room."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"learned_pass": HOUR, "learned_names": 2},
                      "upstream": {"verify": "off"}})
    names = ["a.test", "b.test", "c.test"]
    with origin(stage, pki):
        for name in names:
            refuse(daemon, pki, name)
            wait_passes(daemon, reason="learned", name=name)
    assert [row["name"] for row in passes(daemon, reason="learned")] == ["c.test", "b.test"]


def test_ech_that_is_insisted_on(ksplitd, pki, stage):
    """What browsers send without a key (GREASE) is intercepted. A client with a key ends with
    ech_required after the handshake; then its calls with that extension pass, others do not."""
    daemon = start(ksplitd, stage.port)
    mine = ech_context(pki.both_authorities())
    with origin(stage, pki):
        assert seen(daemon.address, pki, context=mine) == FORGED
        with RecordPeer(stages.connect(daemon.address), ech_context(pki.ca)) as peer:
            peer.alert(FATAL, ECH_REQUIRED)
            row, = wait_passes(daemon, reason="ech")
        assert row["name"] == "origin.test" and row["count"] == 0
        assert seen(daemon.address, pki, context=mine) == ORIGINAL
        assert seen(daemon.address, pki) == FORGED
    assert daemon.reason_count("ech") == passes(daemon, reason="ech")[0]["count"] == 1
    assert not passes(daemon, reason="learned")
