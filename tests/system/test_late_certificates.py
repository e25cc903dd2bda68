# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins that ask for a client certificate once they know what is requested (TLS 1.3's post-handshake
authentication, RFC 8446 4.6.2): Apache's `SSLVerifyClient require` for a part of a site, and Python's."""

import ssl

import pytest

from lib import clients, expect, stage as stages, stream
from lib.passes import wait_passes
from lib.tls import TLS13, client_context, server_context
from lib.web_origins import Backend, Content, apache

APACHE = pytest.mark.needs("apache2", "curl")
LEARNED = {"limits": {"learned_pass": 3600000}}
INNER = """
SSLCACertificateFile {authority}
<Location /inner>
SSLVerifyClient require
</Location>
"""


@pytest.fixture(scope="module")
def site(pki, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "inner").mkdir()
    backend = Backend(Content(folder))
    server = apache(folder, pki.origin, None, backend,
                    INNER.format(authority=pki.client_ca.cert))
    yield server
    server.close()
    backend.close()


def status(port, path, pki, *options, code=0):
    """HTTP's status ("000": no answer) of one call with HTTP/1.1 and TLS 1.3; h2 has no such
    authentication (RFC 8740)."""
    done = clients.curl(port, path, pki.both_authorities(), "--http1.1", "--tlsv1.3", "--output",
                        "/dev/null", "--write-out", "%{http_code}", *options, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout.decode()


def own(pki):
    return "--cert", pki.client.cert, "--key", pki.client.key


@APACHE
@pytest.mark.parametrize("relay", ("auto", "user"))
def test_client_that_can_answer_does_so_with_its_next_call(ksplitd, pki, site, relay):
    daemon = ksplitd("127.0.0.1:%d" % site.port, {"relay": relay, **LEARNED})
    assert status(site.port, "/inner/small.txt", pki, *own(pki)) == "200"
    assert status(daemon.port, "/small.txt", pki, *own(pki)) == "200"
    # 52: the end came in order, and no answer before it.
    assert status(daemon.port, "/inner/small.txt", pki, *own(pki), code=52) == "000"
    for path in ("/inner/small.txt", "/small.txt"):
        assert status(daemon.port, path, pki, *own(pki)) == "200"
    outer, asked, again, other = daemon.wait_log(count=4)
    expect.assert_relayed(outer, relay)
    assert asked["mode"] == "intercept" and asked["reason"] == "certificate_asked", asked
    for entry in (again, other):
        assert (entry["mode"], entry["pass_reason"]) == ("pass", "post_handshake_auth"), entry
    assert "asked for a client certificate after the handshake" in daemon.stderr()
    row, = wait_passes(daemon, reason="post_handshake_auth")
    assert row["count"] == 2 == daemon.reason_count("post_handshake_auth")
    assert daemon.reason_count("certificate_asked") == 1


@APACHE
@pytest.mark.needs("openssl")
def test_who_does_not_offer_it_has_the_origins_own_answer(ksplitd, pki, site):
    """Neither s_client without -enable_pha, nor anybody where nothing is learned, costs a call."""
    daemon = ksplitd("127.0.0.1:%d" % site.port, LEARNED)
    request = "GET /inner/small.txt HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n"
    with clients.s_client(daemon.port, pki.ca, "-tls1_3", "-crlf", "-ign_eof", "-cert",
                          pki.client.cert, "-key", pki.client.key) as client:
        client.say(request.replace("\r", ""))
        client.expect("403 Forbidden")
    assert daemon.reason_count("certificate_asked") == 0
    daemon = ksplitd("127.0.0.1:%d" % site.port, {"limits": {"learned_pass": 0}})
    assert status(daemon.port, "/inner/small.txt", pki, *own(pki)) == "403"


@APACHE
@pytest.mark.parametrize("relay", ("auto", "user"))
def test_identity_of_a_rule_answers(ksplitd, pki, site, relay):
    """Whatever the client could do; the origin's side stays with OpenSSL. The second call is resumed."""
    identity = {"cert": str(pki.client.cert), "key": str(pki.client.key)}
    daemon = ksplitd("127.0.0.1:%d" % site.port, {
        "relay": relay, "upstream": {"rules": [{"sni": "origin.test", "identity": identity}]}})
    for path in ("/inner/small.txt", "/inner/medium.txt", "/small.txt"):
        assert status(daemon.port, path, pki) == "200"
    for entry in daemon.wait_log(count=3):
        assert (entry["mode"], entry["reason"]) == ("intercept", "closed"), entry
        if expect.kernel_expected(relay):
            assert entry["upstream_tls"]["ktls"]["tx"] == "ktls_identity", entry


def ask_in_mid_connection(sock):
    """The origin: answers once, asks when it hears more, and tells how it ended."""
    sock.sendall(stream.receive_exactly(sock, 5))
    stream.receive_exactly(sock, 5)
    sock.verify_client_post_handshake()
    sock.sendall(b"too early")
    return stream.receive_all(sock).bytes


@pytest.mark.parametrize("relay", ("auto", "user"))
def test_both_ends_see_an_end_in_order(ksplitd, pki, stage, relay):
    """close_notify: to the client its request is unanswered, not cut short; what the origin says behind
    its question stays unsaid."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"relay": relay, **LEARNED})
    context = server_context(pki.origin, TLS13)
    context.post_handshake_auth, context.verify_mode = True, ssl.CERT_REQUIRED
    context.load_verify_locations(pki.client_ca.cert)
    mine = client_context(pki.ca, TLS13, certificate=pki.client)
    mine.post_handshake_auth = True
    with stage.play_tls(context, ask_in_mid_connection) as play:
        with stages.connect_tls(daemon.address, mine) as sock:
            sock.sendall(b"first")
            assert stream.receive_exactly(sock, 5) == b"first"
            sock.sendall(b"other")
            assert stream.receive_all(sock).bytes == 0
        assert play.result() == 0
    entry = daemon.wait_log()[0]
    expect.assert_relayed(entry, relay)
    assert entry["reason"] == "certificate_asked", entry
