# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away public key infrastructure, made with the openssl command.

An emulated machine takes a minute over it: the runner makes one beforehand, and what is in the
folder already is used as it is.
"""

from pathlib import Path

from .process import run

ORIGIN_SUBJECT = "/C=DE/ST=Bayern/O=Origin Gesellschaft für Tests/OU=One/OU=Two/CN=origin.test"
ORIGIN_SAN = ("DNS:origin.test,DNS:www.origin.test,DNS:*.wild.test,DNS:localhost,"
              "IP:127.0.0.1,IP:0:0:0:0:0:0:0:1")


class Certificate:
    """A certificate and its key as PEM files; `chain` is the certificate with its key."""

    def __init__(self, cert, key):
        self.cert = Path(cert)
        self.key = Path(key) if key else None

    def text(self):
        """What `openssl x509 -text` says."""
        return certificate_text(self.cert)


def certificate_text(path, *options):
    return run("openssl", "x509", "-in", path, "-noout", "-text", "-nameopt", "oneline,utf8",
               *options).stdout.decode()


def validity(days):
    """Options for x509(1). OpenSSL 3.4 made -not_before, and refuses an end before the start."""
    if days > 0 or "-not_before" not in run("openssl", "x509", "-help").stderr.decode():
        return "-days", days
    return "-not_before", "20200101000000Z", "-not_after", "20200201000000Z"


class Pki:
    """CAs: `ca` and `ca_rsa` for ksplitd, `origin_ca` for the origins, `client_ca`.

    Origin certificates: `origin` (EC) and `origin_rsa` with several names, `unknown` of a CA that
    nobody trusts, `expired`. `client`: a client certificate.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ca = self._authority("ca", "ksplit test CA")
        self.ca_rsa = self._authority("ca-rsa", "ksplit test CA (RSA)", rsa=True)
        self.origin_ca = self._authority("origin-ca", "origin CA")
        self.client_ca = self._authority("client-ca", "client CA")
        unknown_ca = self._authority("unknown-ca", "CA that nobody trusts")
        self.origin = self.issue("origin", self.origin_ca)
        self.origin_rsa = self.issue("origin-rsa", self.origin_ca, rsa=True)
        self.unknown = self.issue("unknown", unknown_ca)
        self.expired = self.issue("expired", self.origin_ca, days=-1)
        self.client = self.issue("client", self.client_ca, subject="/CN=test client",
                                 san="email:client@origin.test", eku="clientAuth")

    def both_authorities(self):
        """ksplit's CA and the origins' in one file: trusts leaf and original alike."""
        path = self.folder / "both-ca.pem"
        path.write_bytes(self.ca.cert.read_bytes() + self.origin_ca.cert.read_bytes())
        return Certificate(path, None)

    def _key(self, name, rsa):
        path = self.folder / (name + ".key")
        if path.exists():
            return path
        kind = (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else
                ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        run("openssl", "genpkey", "-algorithm", *kind, "-out", path)
        return path

    def _authority(self, name, common_name, rsa=False):
        key = self._key(name, rsa)
        cert = self.folder / (name + ".pem")
        if cert.exists():
            return Certificate(cert, key)
        run("openssl", "req", "-x509", "-new", "-key", key, "-out", cert, "-days", "30",
            "-subj", "/O=ksplit tests/CN=" + common_name,
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return Certificate(cert, key)

    def issue(self, name, authority, subject=ORIGIN_SUBJECT, san=ORIGIN_SAN,
              eku="serverAuth,clientAuth", rsa=False, days=20, extra=""):
        """A certificate of `authority`; negative days: expired. `extra`: lines of an openssl
        extension section."""
        key = self._key(name, rsa)
        request, cert = self.folder / (name + ".csr"), self.folder / (name + ".pem")
        if cert.exists():
            return Certificate(cert, key)
        extensions = self.folder / (name + ".ext")
        extensions.write_text("basicConstraints=CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=%s\n"
                              "authorityKeyIdentifier=keyid\n%s\n" % (san, eku, extra))
        run("openssl", "req", "-new", "-utf8", "-key", key, "-subj", subject, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", authority.cert,
            "-CAkey", authority.key, "-CAcreateserial", *validity(days), "-sha256",
            "-extfile", extensions, "-out", cert)
        return Certificate(cert, key)
