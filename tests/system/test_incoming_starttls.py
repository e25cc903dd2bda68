# SPDX-License-Identifier: GPL-2.0-or-later
"""Incoming calls that begin in plain: clients of a mail server of this host ask for TLS and see the
service's own certificate, and the server is asked for TLS in turn."""

import hashlib
import smtplib
import socket

import pytest

from lib import env, starttls, stream
from lib.mail_and_files import Exim
from lib.process import run
from lib.service import fingerprint, incoming
from lib.tls import client_context

pytestmark = pytest.mark.needs("openssl")

SHOP = {"name": "shop.test"}


def upgraded(daemon, identity, protocol="smtp"):
    """The connection's line: it turned to TLS, and the client saw this identity."""
    (line,) = daemon.wait_log()
    assert (line["direction"], line["mode"], line["starttls"]["protocol"]) == (
        "incoming", "intercept", protocol), line
    assert line["leaf_fingerprint_sha256"] == fingerprint(identity), line
    return line


@pytest.mark.needs("exim4")
def test_mail_to_a_server_of_this_host(ksplitd, identities, pki):
    """exim has the certificate that it always had; who calls it is shown the identity. Python's
    client sends no SNI to an address: it gets the default."""
    identity = identities.install("id-mail", pki.issue("mail", pki.origin_ca))
    exim = Exim(pki.origin)
    with exim:
        daemon = ksplitd(incoming("127.0.0.1:%d" % exim.port),
                         {"identities": identities.settings(default=identity)})
        with smtplib.SMTP("127.0.0.1", daemon.port, local_hostname="localhost",
                          timeout=env.PATIENCE) as client:
            client.starttls(context=client_context(pki.origin_ca))
            shown = client.sock.getpeercert(binary_form=True)
            client.sendmail("one@origin.test", ["two@origin.test"], "Subject: in\r\n\r\nhere\r\n")
        assert hashlib.sha256(shown).hexdigest() == fingerprint(identity)
        body, = exim.queued()
        assert body.split() == [b"here"]
        assert upgraded(daemon, identity)["sni"] is None


@pytest.mark.parametrize("protocol", ["smtp", "imap", "postgres"])
def test_identity_is_found_by_name(ksplitd, stage, identities, pki, protocol):
    daemon = ksplitd(incoming("127.0.0.1:%d" % stage.port),
                     {"identities": identities.settings(identities.shop, identities.wild)})
    service = pki.issue("mail-own", pki.origin_ca, san="DNS:shop.test")
    with starttls.serve(stage, service, starttls.SERVERS[protocol]) as play:
        assert starttls.s_client(daemon.address, protocol, pki.origin_ca, **SHOP) == b"HELLO\n"
        assert play.result() == b"hello\n"
    upgraded(daemon, identities.shop, {"postgres": "postgresql"}.get(protocol, protocol))


def test_name_without_identity_is_passed(ksplitd, stage, identities, pki):
    """In mid connection, too: the service shows what it has."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % stage.port),
                     {"identities": identities.settings(identities.shop)})
    with starttls.serve(stage, pki.origin, starttls.smtp):
        assert starttls.s_client(daemon.address, "smtp", pki.origin_ca) == b"HELLO\n"
    (line,) = daemon.wait_log()
    assert (line["mode"], line["pass_reason"]) == ("pass", "no_identity"), line
    assert line["leaf_fingerprint_sha256"] is None, line


def test_proxy_header_comes_before_the_dialogue(ksplitd, stage, identities, pki):
    def talk(sock):
        assert stream.receive_exactly(sock, 12) == b"\r\n\r\n\0\r\nQUIT\n"
        assert stream.receive_exactly(sock, 4)[:2] == b"\x21\x11" # TCP over IPv4
        assert socket.inet_ntoa(stream.receive_exactly(sock, 12)[:4]) == "127.0.0.1"
        starttls.smtp(sock)

    daemon = ksplitd(incoming("127.0.0.1:%d" % stage.port, client_address="proxy_v2"),
                     {"identities": identities.settings(identities.shop)})
    with starttls.serve(stage, identities.shop, talk) as play:
        assert starttls.s_client(daemon.address, "smtp", pki.origin_ca, **SHOP) == b"HELLO\n"
        assert play.result() == b"hello\n"
    upgraded(daemon, identities.shop)


def test_refused_for_a_service_in_plain_tcp(ksplitd, identities, tmp_path):
    """It could not agree to TLS; and without being told so a dialogue ends, and reaches nobody."""
    daemon = ksplitd(incoming("127.0.0.1:1", upstream_tls=False),
                     {"identities": identities.settings(identities.shop),
                      "limits": {"deadlines_ms": {"peek": 300}}})
    with socket.create_connection(daemon.address, env.PATIENCE) as sock:
        assert sock.recv(1) == b""
    assert daemon.wait_log()[0]["reason"] == "cannot_pass"
    config = tmp_path / "config.json"
    config.write_text('''{"listeners": [{"listen": "127.0.0.1:1", "to": "127.0.0.1:2", "starttls": "auto",
        "direction": "incoming", "upstream_tls": false}]}''')
    done = run(env.BUILD / "ksplitd", "--check", "-c", config, check=False)
    assert done.returncode and b"starttls" in done.stderr and b"upstream_tls" in done.stderr, done
