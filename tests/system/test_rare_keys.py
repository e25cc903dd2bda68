# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins with keys that are hardly met any more: RSA-PSS, DSA and Brainpool's curves. Through ksplit a call
works where it works directly, and fails where it fails. Other kinds are in test_odd_certificates.py."""

import re
import ssl

import pytest

from lib import env, origins
from lib.process import run

pytestmark = pytest.mark.needs("openssl")

KINDS = {
    "rsa-pss": ("RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
    "brainpool": ("EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"),
    "dsa": ("DSA",),
}
# What both ends have to say for such a key; by themselves neither offers it.
GROUP = ("-tls1_2", "-groups", "X25519:P-256:brainpoolP256r1")
CIPHER = ("-tls1_2", "-cipher", "ALL")
# RFC 8734 has these curves for TLS 1.3, OpenSSL since 3.2: there ksplitd has no need to be told.
BRAINPOOL_IN_TLS13 = ssl.OPENSSL_VERSION_INFO >= (3, 2)
OURS = {"brainpool": {"groups": "X25519:P-256:brainpoolP256r1"}, "dsa": {"ciphers": "ALL"}}


def certificate(pki, kind):
    """With what goes before it: Pki takes a key that is there."""
    key, name = pki.folder / ("rare-%s.key" % kind), KINDS[kind][0]
    if kind == "dsa" and not key.exists():
        parameters = pki.folder / "rare-dsa.parameters"
        run("openssl", "genpkey", "-genparam", "-algorithm", name, "-pkeyopt",
            "dsa_paramgen_bits:2048", "-out", parameters)
        run("openssl", "genpkey", "-paramfile", parameters, "-out", key)
    elif not key.exists():
        run("openssl", "genpkey", "-algorithm", *KINDS[kind], "-out", key)
    return pki.issue("rare-" + kind, pki.origin_ca)


def issuer_seen(port, pki, options):
    """By a client that trusts both CAs and checks all; None: the handshake failed."""
    done = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-servername", "origin.test",
               "-verify_hostname", "origin.test", "-verify_return_error", "-CAfile",
               pki.both_authorities().cert, *options, check=False)
    if done.returncode:
        assert b"handshake failure" in done.stderr, done.stderr
        return None
    return re.search(r"^issuer=.*CN ?= ?(.*)$", done.stdout.decode(), re.M).group(1)


@pytest.mark.parametrize("kind, options, configured, mode", (
    ("rsa-pss", (), False, "intercept"),
    ("rsa-pss", ("-tls1_2",), False, "intercept"),
    ("brainpool", ("-tls1_2",), False, None),
    ("brainpool", GROUP, False, "pass"),
    ("brainpool", GROUP, True, "intercept"),
    ("dsa", (), False, None),
    ("dsa", CIPHER, False, "pass"),
    ("dsa", CIPHER, True, "intercept"),
), ids=lambda value: value if isinstance(value, str) else None)
def test_origin_is_as_reachable_as_directly(ksplitd, pki, kind, options, configured, mode):
    """mode None: the client does not do with such a key; it gets the origin's own refusal."""
    port = env.free_port()
    more = {"tls": {"upstream": OURS[kind]}} if configured else {}
    daemon = ksplitd("127.0.0.1:%d" % port, more)
    server = ("-cipher", "ALL") if kind == "dsa" else ()
    with origins.openssl_s_server(port, certificate(pki, kind), *server):
        assert issuer_seen(port, pki, options) == ("origin CA" if mode else None)
        seen = issuer_seen(daemon.port, pki, options)
    entry, = daemon.wait_log()
    if mode == "intercept" or kind == "brainpool" and BRAINPOOL_IN_TLS13:
        assert (seen, entry["mode"]) == ("ksplit test CA", "intercept"), entry
        return
    assert seen == ("origin CA" if mode else None)
    assert (entry["mode"], entry["pass_reason"]) == ("pass", "upstream_refused"), entry
