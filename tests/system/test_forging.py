# SPDX-License-Identifier: GPL-2.0-or-later
"""The forged leaf, seen by other people's verifiers."""

import re
import ssl
import threading

import pytest

from lib import clients, stage as stages
from lib.process import run
from lib.tls import client_context, server_context


def leaf_of(address, context, folder, name="origin.test"):
    """PEM file of the certificate that a client is shown, and the chain that came with it."""
    with stages.connect_tls(address, context, name) as sock:
        der = sock.getpeercert(binary_form=True)
    path = folder / "leaf.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(der))
    return path


def fields(path):
    """Lines of `openssl x509 -text` that matter, by name."""
    def one(*options):
        return run("openssl", "x509", "-in", path, "-noout", *options).stdout.decode()

    found = {
        # -nameopt multiline,show_type: every RDN in order with its string type.
        "subject": one("-subject", "-nameopt", "multiline,show_type"),
        "issuer": one("-issuer", "-nameopt", "multiline,show_type"),
        "serial": one("-serial").strip().partition("=")[2],
        "dates": one("-dates"),
        "text": one("-text"),
    }
    for name in ("subjectAltName", "extendedKeyUsage", "basicConstraints", "keyUsage",
                 "subjectKeyIdentifier", "authorityKeyIdentifier"):
        found[name] = [line.strip() for line in one("-ext", name).splitlines()[1:]]
    return found


@pytest.fixture(params=("ca", "ca_rsa"), ids=("EC CA", "RSA CA"))
def forged(request, ksplitd, pki, stage, tmp_path):
    """(leaf file, CA, daemon) under a CA of either key type."""
    authority = getattr(pki, request.param)
    daemon = ksplitd("127.0.0.1:%d" % stage.port, ca=authority)
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        leaf = leaf_of(daemon.address, client_context(authority), tmp_path)
    return leaf, authority, daemon


@pytest.mark.needs("openssl")
def test_strict_verifiers_accept_the_chain(forged):
    leaf, authority, _ = forged
    done = run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname",
               "www.origin.test", "-CAfile", authority.cert, leaf)
    assert done.stdout.strip().endswith(b": OK")
    run("openssl", "verify", "-x509_strict", "-verify_ip", "127.0.0.1",
        "-CAfile", authority.cert, leaf)


@pytest.mark.needs("certtool")
def test_gnutls_accepts_the_chain(forged, tmp_path):
    leaf, authority, _ = forged
    run("certtool", "--verify", "--load-ca-certificate", authority.cert, "--infile", leaf,
        "--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname", "origin.test")


@pytest.mark.needs("openssl")
def test_leaf_has_the_fields_of_the_origins_certificate(forged, pki):
    leaf, authority, _ = forged
    mine, theirs, ca = fields(leaf), fields(pki.origin.cert), fields(authority.cert)
    for name in ("subject", "subjectAltName", "extendedKeyUsage", "basicConstraints"):
        assert mine[name] == theirs[name], name
    assert mine["issuer"].partition("=")[2] == ca["subject"].partition("=")[2]
    assert mine["keyUsage"] == ["Digital Signature"]
    assert mine["subjectKeyIdentifier"] and (
        mine["subjectKeyIdentifier"] != theirs["subjectKeyIdentifier"])
    assert ca["subjectKeyIdentifier"][0] in mine["authorityKeyIdentifier"][0].replace("keyid:", "")
    assert mine["serial"] != theirs["serial"] and len(mine["serial"]) in (31, 32)
    assert "Version: 3" in mine["text"]
    assert "prime256v1" in mine["text"]


@pytest.mark.needs("openssl")
def test_what_only_the_real_ca_can_say_is_left_out(ksplitd, pki, stage, tmp_path):
    """AIA, CRL distribution points and must-staple lead to the origin's CA: not copied."""
    spiced = pki.issue("spiced", pki.origin_ca, extra=(
        "authorityInfoAccess=OCSP;URI:http://ocsp.origin.test/\n"
        "crlDistributionPoints=URI:http://crl.origin.test/ca.crl\n"
        "certificatePolicies=1.2.3.4\n"
        "tlsfeature=status_request"))
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    with stage.play_tls(server_context(spiced), lambda sock: None):
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path)
    text = fields(leaf)["text"]
    for word in ("Authority Information Access", "CRL Distribution", "TLS Feature",
                 "1.3.6.1.5.5.7.1.24"):
        assert word not in text, text


@pytest.mark.needs("openssl")
def test_name_that_the_origin_lacks_is_added(ksplitd, pki, stage, tmp_path):
    """Unverified origin without the client's SNI: the leaf has it all the same."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": {"verify": "off"}})
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path, "added.example")
        names = fields(leaf)["subjectAltName"][0]
        assert names.startswith("DNS:origin.test"), names
        assert "DNS:added.example" in names, names
        # A wildcard covers this one: nothing to add.
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path, "any.wild.test")
        assert "any.wild.test" not in fields(leaf)["subjectAltName"][0]


@pytest.mark.parametrize("kind, told", (("P-384", "secp384r1"), ("RSA-2048", "2048 bit")))
def test_leaf_key_type_is_configurable(ksplitd, pki, stage, tmp_path, kind, told):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"ca": {"leaf_key": kind}})
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path)
    found = fields(leaf)
    assert told in found["text"]
    if kind.startswith("RSA"):
        assert found["keyUsage"] == ["Digital Signature, Key Encipherment"]


OLD_SUITES = ("ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256",
              "AES256-SHA")


def test_old_clients_get_a_leaf_with_an_rsa_key(ksplitd, pki, stage, tmp_path):
    """Suites that need an RSA key; everybody else still gets the EC leaf of the same origin."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        for suite in OLD_SUITES:
            context = client_context(pki.ca)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(suite)
            found = fields(leaf_of(daemon.address, context, tmp_path))
            assert "2048 bit" in found["text"], suite
            assert found["keyUsage"] == ["Digital Signature, Key Encipherment"]
            assert found["subject"] == fields(pki.origin.cert)["subject"]
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path)
        assert "prime256v1" in fields(leaf)["text"]
    summary = daemon.summary()
    assert (summary["leaf_cache"]["entries"], summary["leaf_cache"]["forged"]) == (2, 2), summary
    assert daemon.reason_count("no_common_cipher") == 0


@pytest.mark.needs("openssl")
def test_a_client_of_rsa_alone_is_served_under_an_rsa_ca(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, ca=pki.ca_rsa)
    with stage.play_tls(server_context(pki.origin), lambda sock: sock.recv(1)):
        for version, more in (("-tls1_2", ("-cipher", "ECDHE-RSA-AES128-GCM-SHA256")),
                              ("-tls1_3", ())):
            with clients.s_client(daemon.port, pki.ca_rsa, version, *more,
                                  "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256") as client:
                client.expect("Verify return code: 0")
                client.say("Q\n")
                client.wait()
    assert daemon.reason_count("no_common_signature") == 0


@pytest.mark.needs("openssl")
def test_validity_lies_inside_the_cas(ksplitd, pki, stage, tmp_path):
    """Python refuses nothing here: both ends are compared as openssl prints them."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        leaf = leaf_of(daemon.address, client_context(pki.ca), tmp_path)

    def dates(path):
        text = fields(path)["dates"]
        return [ssl.cert_time_to_seconds(re.search(word + "=(.*)", text).group(1))
                for word in ("notBefore", "notAfter")]

    (begin, end), (ca_begin, ca_end) = dates(leaf), dates(pki.ca.cert)
    origin_begin, origin_end = dates(pki.origin.cert)
    assert begin == max(origin_begin, ca_begin) and end == min(origin_end, ca_end)


@pytest.mark.needs("curl", "nginx")
def test_curl_verifies_by_name_and_by_address(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    for name in ("origin.test", "www.origin.test", "a.wild.test"):
        clients.curl(daemon.port, "/small.txt", pki.ca, name=name)
    run("curl", "-sS", "--noproxy", "*", "--cacert", pki.ca.cert,
        "https://127.0.0.1:%d/small.txt" % daemon.port)


def test_twenty_simultaneous_first_calls_forge_once(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 4})
    count, context = 20, client_context(pki.ca)
    barrier, errors, leaves = threading.Barrier(count), [], set()

    def call():
        try:
            sock = stages.connect(daemon.address)
            barrier.wait(60)
            with context.wrap_socket(sock, server_hostname="origin.test") as tls:
                leaves.add(tls.getpeercert(binary_form=True))
        except Exception as exc:  # noqa: B902 - raised in the test's thread below
            errors.append(exc)

    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        callers = [threading.Thread(target=call) for _ in range(count)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    if errors:
        raise errors[0]
    assert len(leaves) == 1
    cache = daemon.summary()["leaf_cache"]
    assert (cache["forged"], cache["entries"], cache["failed"]) == (1, 1, 0), cache
    assert cache["hits"] + cache["misses"] + cache["waited"] >= count, cache


def test_names_of_a_wildcard_share_a_leaf(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    context = client_context(pki.ca)
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        for name in ("a.wild.test", "b.wild.test", "origin.test", "www.origin.test"):
            stages.connect_tls(daemon.address, context, name).close()
    cache = daemon.summary()["leaf_cache"]
    assert (cache["entries"], cache["forged"], cache["hits"]) == (1, 1, 3), cache


def test_leaf_cache_is_bounded(ksplitd, pki, stage):
    """Names that the origin is not for make a leaf of their own each."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"ca": {"leaf_cache": 3}, "workers": 1,
                                                   "upstream": {"verify": "off"}})
    context = client_context(pki.ca)
    with stage.play_tls(server_context(pki.origin), lambda sock: None):
        for number in range(8):
            stages.connect_tls(daemon.address, context, "n%d.added.test" % number).close()
    cache = daemon.summary()["leaf_cache"]
    assert (cache["entries"], cache["forged"], cache["evicted"]) == (3, 8, 5), cache


def test_renewed_origin_certificate_gets_a_new_leaf(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    context = client_context(pki.ca)
    seen = []
    for certificate in (pki.origin, pki.origin_rsa, pki.origin):
        with stage.play_tls(server_context(certificate), lambda sock: None):
            with stages.connect_tls(daemon.address, context) as sock:
                seen.append(sock.getpeercert(binary_form=True))
    assert seen[0] == seen[2] != seen[1]
