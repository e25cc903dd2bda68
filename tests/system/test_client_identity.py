# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins that ask for a client certificate: what is configured for them is shown, and the connection
is intercepted; without it the client and the origin have it out between themselves."""

import json
import ssl

import pytest

from lib import expect, stage as stages, stream
from lib.daemon import run_to_end
from lib.tls import TLS12, TLS13, client_context, server_context

NAMES = "origin.test"


def rules(certificate, **match):
    return {"rules": [dict(match or {"sni": NAMES},
                           identity={"cert": str(certificate.cert), "key": str(certificate.key)})]}


def subject(sock):
    return dict(part for (part,) in sock.getpeercert()["subject"])


def greet(sock):
    """The origin: says whom it saw."""
    sock.sendall(json.dumps(subject(sock)).encode().ljust(100))
    stream.receive_all(sock)
    stream.close_orderly(sock)


def call(daemon, authority, suite=None):
    with stages.connect_tls(daemon.address, client_context(authority, suite)) as sock:
        seen = json.loads(stream.receive_exactly(sock, 100))
        stream.close_orderly(sock)
    return seen


@pytest.mark.parametrize("suite", (TLS12, TLS13), ids=str)
def test_origin_sees_the_configured_identity(ksplitd, pki, stage, suite):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": rules(pki.client)})
    context = server_context(pki.origin, suite, client_ca=pki.client_ca)
    for number in range(2):
        with stage.play_tls(context, greet) as play:
            assert call(daemon, pki.ca, suite)["commonName"] == "test client"
            play.result()
    for entry in daemon.wait_log(count=2):
        expect.assert_relayed(entry, "auto")
    assert daemon.reason_count("client_certificate") == 0


def test_other_origins_are_passed_and_a_reload_brings_another(ksplitd, pki, stage):
    """The rule is for another name first."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": rules(pki.client, sni="else.test")})
    context = server_context(pki.origin, client_ca=pki.client_ca)
    own = client_context(pki.origin_ca, certificate=pki.client)
    # ksplitd's own try, which told it of the wish, ends at the origin first.
    with stage.play_tls(context, greet):
        with stages.connect_tls(daemon.address, own) as sock:
            stream.receive_exactly(sock, 100)
            stream.close_orderly(sock)
    assert daemon.reason_count("client_certificate") == 1
    daemon.config["upstream"] = dict(daemon.config["upstream"], **rules(pki.client))
    daemon.config_path.write_text(json.dumps(daemon.config))
    assert daemon.ask("reload")["reloaded"]
    with stage.play_tls(context, greet) as play:
        assert call(daemon, pki.ca)["commonName"] == "test client"
        play.result()
    assert daemon.reason_count("client_certificate") == 1


def test_origin_that_refuses_it_ends_the_call(ksplitd, pki, stage):
    """A certificate of a CA that the origin does not know."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": rules(pki.unknown)})
    context = server_context(pki.origin, TLS12, client_ca=pki.client_ca)

    def refuse(sock):
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            context.wrap_socket(sock, server_side=True)

    with stage.play(refuse):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(daemon, pki.ca, TLS12)


@pytest.mark.parametrize("identity, complaint", (
    ({"cert": "/nowhere.pem"}, 'needs "cert" and "key"'),
    ({"cert": "/nowhere.pem", "key": "/nowhere.key"}, "/nowhere.pem"),
    ({"file": "x"}, "unknown key"),
), ids=("no key", "no file", "no such member"))
def test_bad_identity_is_refused(tmp_path, pki, identity, complaint):
    path = tmp_path / "ksplit.json"
    path.write_text(json.dumps({
        "ca": {"cert": str(pki.ca.cert), "key": str(pki.ca.key)},
        "listeners": [{"listen": "127.0.0.1:0", "to": "127.0.0.1:1"}],
        "upstream": {"rules": [{"sni": NAMES, "identity": identity}]}}))
    done = run_to_end(("-c", path, "--check"))
    assert done.returncode != 0 and complaint in done.stderr, done.stderr
