# SPDX-License-Identifier: GPL-2.0-or-later
"""Incoming calls: the service's own certificates by name, its OCSP response, their reload; a service
that speaks TLS; names that no identity has."""

import re
import ssl
import tempfile
import threading
from pathlib import Path

import pytest

from lib import env, signer, stage as stages, stream
from lib.clients import curl, s_client
from lib.daemon import Ksplitd
from lib.service import fingerprint, fingerprint_shown, incoming, ocsp_response
from lib.tls import client_context

pytestmark = pytest.mark.needs("nginx", "curl", "openssl")


def settings(section, **more):
    return dict({"identities": section, "relay": "auto"}, **more)


def test_identity_by_name_wildcard_and_default(ksplitd, service, identities):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False), settings(
        identities.settings(identities.shop, identities.wild, default=identities.fallback)))
    for name, expected in (("shop.test", identities.shop), ("WWW.Shop.test", identities.shop),
                           ("a.cloud.test", identities.wild),
                           ("a.b.cloud.test", identities.fallback),
                           ("cloud.test", identities.fallback),
                           ("fallback.test", identities.fallback),
                           (None, identities.fallback)):
        assert fingerprint_shown(daemon.address, name) == fingerprint(expected), name
    lines = daemon.wait_log(count=7)
    assert {line["direction"] for line in lines} == {"incoming"}
    assert lines[0]["leaf_fingerprint_sha256"] == fingerprint(identities.shop)


def test_kind_of_key_is_the_clients_choice(ksplitd, service, identities):
    """RSA and ECDSA certificates for one name: a client that knows only one of them gets it."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False), settings(
        identities.settings(identities.shop_rsa, identities.shop)))
    for ciphers, expected in (("ECDHE-RSA-AES128-GCM-SHA256", identities.shop_rsa),
                              ("ECDHE-ECDSA-AES128-GCM-SHA256", identities.shop)):
        assert fingerprint_shown(daemon.address, "shop.test", ciphers=ciphers) == fingerprint(
            expected)


def test_chain_is_sent_and_verifies(ksplitd, service, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop)))
    with s_client(daemon.port, pki.origin_ca, "-showcerts", name="shop.test") as client:
        client.expect("Verify return code: 0 (ok)")
        assert client.text().count("BEGIN CERTIFICATE") >= 2


def test_service_with_tls_is_called_by_tls(ksplitd, service, identities, pki):
    """The leaf is the service's own, not forged, and HTTP/2 is what the service chose."""
    shown = identities.install("id-origin", pki.origin)
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.tls), settings(identities.settings(shown)))
    done = curl(daemon.port, "/who", pki.origin_ca)
    assert done.stdout.split()[1:3] == [b"https", b"HTTP/2.0"]
    (line,) = daemon.wait_log()
    assert (line["direction"], line["mode"], line["alpn"]) == ("incoming", "intercept", "h2")
    assert line["leaf_fingerprint_sha256"] == fingerprint(shown)
    assert line["upstream_tls"]["version"] == "TLSv1.3"


def test_no_ca_is_needed(service, identities, pki):
    """Nothing is forged, so nobody signs: identities are shown, other names pass, status answers."""
    daemon = Ksplitd(pki, [incoming("127.0.0.1:%d" % service.tls),
                           incoming("127.0.0.1:%d" % service.plain, upstream_tls=False)],
                     settings(identities.settings(identities.shop), upstream={"verify": "off"}))
    del daemon.config["ca"]
    with daemon:
        children = Path("/proc/%d/task/%d/children" % (daemon.pid, daemon.pid)).read_text().split()
        names = {Path("/proc/%s/comm" % child).read_text().strip() for child in children}
        assert signer.NAME not in names, names
        for port in daemon.ports:
            assert curl(port, "/who", pki.origin_ca, name="shop.test").stdout
        assert curl(daemon.port, "/who", pki.origin_ca).stdout.split()[1] == b"https"
        modes = [(line["mode"], line["pass_reason"]) for line in daemon.wait_log(count=3)]
        assert modes == [("intercept", None)] * 2 + [("pass", "no_identity")], modes
        assert daemon.summary()["leaf_cache"] == dict.fromkeys(
            ("entries", "hits", "misses", "forged", "failed", "waited", "evicted"), 0)
        assert daemon.summary()["signer"] is None


def test_name_without_identity_passes_to_the_service(ksplitd, service, identities, pki):
    """The client then gets what the service itself shows."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.tls),
                     settings(identities.settings(identities.shop)))
    assert curl(daemon.port, "/who", pki.origin_ca).stdout.split()[1] == b"https"
    (line,) = daemon.wait_log()
    assert (line["mode"], line["pass_reason"]) == ("pass", "no_identity"), line
    assert line["direction"] == "incoming"
    assert daemon.reason_count("no_identity") == 1


def test_what_a_plain_service_would_not_understand_is_refused(ksplitd, service, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop)))
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        stages.connect_tls(daemon.address, client_context(pki.origin_ca), "other.test")
    # Plain HTTP to a port of TLS never reaches the service.
    with stages.connect(daemon.address) as sock:
        sock.sendall(b"GET /who HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert sock.recv(100) == b""
    assert [line["reason"] for line in daemon.wait_log(count=2)] == ["cannot_pass"] * 2


# -- OCSP --------------------------------------------------------------------------------------


def status_of(daemon, pki, *options):
    with s_client(daemon.port, pki.origin_ca, "-status", *options, name="shop.test") as client:
        client.expect("Verify return code")
        return client.text()


def test_ocsp_response_is_stapled(ksplitd, service, identities, pki, tmp_path):
    staple = ocsp_response(pki, identities.shop, tmp_path)
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop, ocsp=staple)))
    for option in ("-tls1_2", "-tls1_3"):
        text = status_of(daemon, pki, option)
        assert "OCSP Response Status: successful" in text and "Cert Status: good" in text, text


def test_wrong_ocsp_responses_are_told_and_not_stapled(ksplitd, service, identities, pki, tmp_path):
    """Of another certificate, revoked, damaged, not there at all."""
    section, faults = [], {}
    for fault in ("another", "revoked", "damaged", "missing"):
        folder = tmp_path / fault
        folder.mkdir()
        about = identities.wild if fault == "another" else identities.shop
        faults[fault] = ocsp_response(pki, about, folder, revoked=fault == "revoked")
        section += identities.settings(identities.shop, ocsp=faults[fault])
        section[-1]["names"] = [fault + ".test"]
    faults["damaged"].write_bytes(faults["damaged"].read_bytes()[:-20])
    faults["missing"].unlink()
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(section))
    for fault, path in faults.items():
        with s_client(daemon.port, pki.origin_ca, "-status", "-verify_hostname", "shop.test",
                      name=fault + ".test") as client:
            client.expect("OCSP response: no response sent")
        assert re.search("%s: .*nothing is stapled" % path, daemon.stderr()), daemon.stderr()


# -- reload ------------------------------------------------------------------------------------


def test_changed_files_are_shown_and_no_connection_drops(ksplitd, service, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop)))
    before = fingerprint(identities.shop)
    renewed = pki.issue("id-shop-renewed", pki.origin_ca, san="DNS:shop.test")
    context = client_context(pki.origin_ca)
    request = b"GET /who HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    stop, failures, calls = threading.Event(), [], []

    def keep_calling():
        while not stop.is_set():
            try:
                with stages.connect_tls(daemon.address, context, "shop.test") as sock:
                    sock.sendall(request)
                    assert sock.recv(12) == b"HTTP/1.1 200"
                    calls.append(1)
            except (OSError, AssertionError) as error:
                failures.append(error)

    old = stages.connect_tls(daemon.address, context, "shop.test")
    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        identities.install("id-shop", renewed)
        now = fingerprint(identities.shop)
        assert now != before
        env.wait_for(lambda: fingerprint_shown(daemon.address, "shop.test") == now,
                     "the renewed certificate")
        seen = len(calls)
        env.wait_for(lambda: len(calls) > seen + 5, "calls after the reload")
    finally:
        stop.set()
        caller.join(env.PATIENCE)
    assert not failures and calls
    old.sendall(request)
    assert stream.receive_exactly(old, 12) == b"HTTP/1.1 200"
    old.close()


def test_files_that_the_daemons_user_may_not_read_are_told_early(service, identities, pki):
    """They were read as root; a renewal would not be seen, and that is said before there is one."""
    identities.shop.key.chmod(0o600)
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        with Ksplitd(pki, incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop), user="daemon"),
                     folder=folder) as daemon:
            env.wait_for(lambda: "%s: was read at the start, but" % identities.shop.key
                         in daemon.stderr(), daemon.tail)
            assert fingerprint_shown(daemon.address, "shop.test") == fingerprint(identities.shop)
            assert "files have changed" not in daemon.stderr()


def test_bad_files_change_nothing_and_the_log_says_why_once(ksplitd, service, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings(identities.settings(identities.shop)))
    before, good = fingerprint(identities.shop), identities.shop.cert.read_bytes()
    assert daemon.summary()["identities"] == {"count": 1, "reloads": 0, "failed": 0}
    # The certificate of another key, then what is no certificate at all.
    for content, why in ((identities.wild.cert.read_bytes(), "does not belong"),
                         (b"nothing of use\n", "no certificate in it")):
        identities.shop.cert.write_bytes(content)
        env.wait_for(lambda: why in daemon.stderr(), "the complaint")
        assert fingerprint_shown(daemon.address, "shop.test") == before
    assert daemon.stderr().count("does not belong") == 1
    identities.shop.cert.write_bytes(good)
    env.wait_for(lambda: "loaded again" in daemon.stderr(), "the reload")
    assert fingerprint_shown(daemon.address, "shop.test") == before
    assert daemon.summary()["identities"] == {"count": 1, "reloads": 1, "failed": 2}


def test_mistakes_are_told_at_start(identities, tmp_path, pki):
    """Which file, what is wrong: before anything is opened."""
    wrong = identities.settings(identities.shop)
    wrong[0]["key"] = str(identities.wild.key)
    for section, words in ((wrong, "does not belong"), ([], "identities")):
        daemon = Ksplitd(pki, incoming("127.0.0.1:1"), {"identities": section}, folder=tmp_path)
        daemon.launch()
        assert daemon.wait_exit() in (1, 2)
        assert words in daemon.stderr(), daemon.stderr()
