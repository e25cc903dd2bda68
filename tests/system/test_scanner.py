# SPDX-License-Identifier: GPL-2.0-or-later
"""testssl.sh on an origin and on ksplitd before it: it finds nothing worse on the second."""

import pytest

from lib.daemon import Ksplitd
from lib.scanner import Scan, worst
from lib.web_origins import Backend, Content, nginx

# What has to be the same, word for word: which versions there are, which classes of ciphers, what is
# told to a client that offers ALPN, the kind of certificate and its time.
SAME = ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "ALPN_HTTP2", "ALPN",
        "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW",
        "cipherlist_3DES_IDEA", "cipherlist_AVERAGE", "cipherlist_STRONG", "fallback_SCSV",
        "heartbleed", "CCS", "ticketbleed", "secure_renego", "secure_client_renego", "CRIME_TLS",
        "SWEET32", "cert_signatureAlgorithm", "cert_keySize", "cert_extKeyUsage", "cert_commonName",
        "cert_subjectAltName", "cert_expirationStatus", "cert_notAfter", "cert_trust")


@pytest.fixture(scope="module")
def findings(tmp_path_factory, pki):
    """Of the origin and of ksplitd, scanned at the same time."""
    folder = tmp_path_factory.mktemp("scan")
    content = Content(folder)
    backend = Backend(content)
    server = nginx(folder, pki.origin, content, backend)
    scans = []
    try:
        with Ksplitd(pki, "127.0.0.1:%d" % server.port) as daemon:
            try:
                scans = [Scan(folder, port) for port in (server.port, daemon.port)]
                yield [scan.findings() for scan in scans]
            finally:
                for scan in scans:
                    scan.close()
                daemon.settle()
    finally:
        server.close()
        backend.close()


@pytest.mark.needs("testssl", "nginx")
def test_scanner_finds_nothing_worse(findings):
    direct, through = findings
    worse = {}
    for name, found in through.items():
        # LOW and above are weaknesses; WARN is a check that did not come through.
        before = worst(direct.get(name, []), "WARN")
        if worst(found) > before:
            worse[name] = "%s; at the origin %s" % (found, direct.get(name))
    assert not worse
    assert max(worst(found) for found in through.values()) > 0, "a scan that finds nothing"


@pytest.mark.needs("testssl", "nginx")
def test_scanner_finds_the_same_versions_and_ciphers(findings):
    direct, through = findings
    missing = [name for name in SAME if name in direct and name not in through]
    assert not missing
    other = {name: "%s; at the origin %s" % (through[name], direct[name])
             for name in SAME
             if name in direct and repr(direct[name][0]) not in map(repr, through[name])}
    assert not other
    assert len([name for name in SAME if name in direct]) > len(SAME) // 2, sorted(direct)
