# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins whose certificates are not good, one for each way that there is, and what honest clients
say of them.

`bad_origins(folder, pki)` makes the certificates; `serve(origin)` is `openssl s_server -www` with one
of them, and any other server can have its files, too.
"""

import dataclasses
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import origins
from .env import free_port
from .pki import Certificate
from .process import run

NAME = "origin.test"
DAY = datetime.timedelta(days=1)


@dataclasses.dataclass
class BadOrigin:
    """A certificate and its key; `chain` is what a server sends, beginning with the certificate.

    fault       its name in ksplit's status and log, of several with blanks between; None: there is none
    direct, shown   X509_V_ERR_... that OpenSSL finds (SSLCertVerificationError.verify_code), directly and
                of the leaf that ksplit shows; 0: none
    intermediates   PEM file of what stands between, or None
    staple      DER file of an OCSP response, or None
    weak        OpenSSL serves it below its usual security level only
    """

    fault: str
    cert: Path
    key: Path
    chain: Path
    direct: int
    shown: int
    intermediates: Path = None
    staple: Path = None
    weak: bool = False

    @property
    def faults(self):
        return self.fault.split() if self.fault else []


def _load(certificate):
    return (x509.load_pem_x509_certificate(Path(certificate.cert).read_bytes()),
            serialization.load_pem_private_key(Path(certificate.key).read_bytes(), None))


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "bad origins"),
                      x509.NameAttribute(NameOID.COMMON_NAME, text)])


class _Maker:
    def __init__(self, folder, pki):
        self.folder = Path(folder)
        self.now = datetime.datetime.utcnow().replace(microsecond=0)
        self.trusted = _load(pki.origin_ca)
        self.stranger = self._authority("nobody's CA", None)

    def _authority(self, name, above, begin=None, end=None):
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self._certificate(_name(name), key, above or (None, key), begin, end, [
            (x509.BasicConstraints(True, None), True),
            (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)])
        return cert, key

    def _certificate(self, subject, key, above, begin, end, extensions):
        issuer, issuer_key = above
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer.subject if issuer else subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(begin or self.now - DAY)
                   .not_valid_after(end or self.now + 20 * DAY))
        extensions = extensions + [
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)]
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    def leaf(self, above, key=None, begin=None, end=None, name=NAME,
             purpose=ExtendedKeyUsageOID.SERVER_AUTH):
        """(certificate, key); `above` None: signed by itself."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        cert = self._certificate(_name(name), key, above or (None, key), begin, end, [
            (x509.BasicConstraints(False, None), True),
            (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
            (x509.ExtendedKeyUsage([purpose]), False)])
        return cert, key

    def intermediate(self, above, **times):
        return self._authority("between", above, **times)

    def write(self, name, made, between=None, **more):
        cert, key = made

        def pem(path, *certificates):
            path.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM)
                                      for c in certificates))
            return path

        paths = {suffix: self.folder / ("bad-%s.%s" % (name, suffix))
                 for suffix in ("pem", "key", "chain.pem", "between.pem", "der")}
        paths["key"].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        above = [between] if between else []
        return BadOrigin(cert=pem(paths["pem"], cert), key=paths["key"],
                         chain=pem(paths["chain.pem"], cert, *above),
                         intermediates=pem(paths["between.pem"], between) if between else None,
                         **more)

    def staple(self, name, cert, status, signer=None, when=None):
        """A response about a certificate of the trusted CA; by itself, or by `signer`."""
        issuer, issuer_key = self.trusted
        signer_cert, signer_key = signer or (issuer, issuer_key)
        when = when or self.now - DAY
        revoked = status == ocsp.OCSPCertStatus.REVOKED
        response = (ocsp.OCSPResponseBuilder().add_response(
            cert=cert, issuer=issuer, algorithm=hashes.SHA1(), cert_status=status,
            this_update=when, next_update=when + 3 * DAY,
            revocation_time=when if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None)
            .responder_id(ocsp.OCSPResponderEncoding.NAME, signer_cert))
        if signer:
            response = response.certificates([signer_cert])
        path = self.folder / ("bad-%s.der" % name)
        path.write_bytes(response.sign(signer_key, hashes.SHA256()).public_bytes(
            serialization.Encoding.DER))
        return path


def _sign_with_sha1(origin, authority):
    """The cryptography module does not."""
    request = run("openssl", "req", "-new", "-key", origin.key, "-subj", "/CN=" + NAME).stdout
    extensions = origin.cert.with_suffix(".ext")
    extensions.write_text("subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n" % NAME)
    text = run("openssl", "x509", "-req", "-CA", authority.cert, "-CAkey", authority.key,
               "-set_serial", 7, "-days", 9, "-sha1", "-extfile", extensions,
               stdin=request).stdout
    origin.cert.write_bytes(text)
    origin.chain.write_bytes(text)


def bad_origins(folder, pki):
    """{name: BadOrigin}, signed by `pki.origin_ca` where nothing else is the point; "good" is beside
    them, and "good_staple", "forged_staple" and "old_staple", with which nothing is wrong either."""
    make = _Maker(folder, pki)
    now, trusted = make.now, make.trusted
    made = {}

    def add(name, fault, leaf, direct, shown, **more):
        made[name] = make.write(name, leaf, fault=fault, direct=direct, shown=shown, **more)

    add("good", None, make.leaf(trusted), 0, 0)
    add("expired", "expired", make.leaf(trusted, begin=now - 20 * DAY, end=now - DAY), 10, 10)
    add("not_yet_valid", "not_yet_valid",
        make.leaf(trusted, begin=now + DAY, end=now + 9 * DAY), 9, 9)
    add("wrong_host", "wrong_name", make.leaf(trusted, name="other.test"), 62, 62)
    add("self_signed", "self_signed", make.leaf(None), 18, 20)
    add("unknown_ca", "untrusted", make.leaf(make.stranger), 20, 20)
    between = make.intermediate(trusted)
    add("incomplete_chain", "untrusted", make.leaf(between), 20, 20)
    between = make.intermediate(trusted)
    add("good_chain", None, make.leaf(between), 0, 0, between=between[0])
    between = make.intermediate(trusted, begin=now - 20 * DAY, end=now - DAY)
    add("expired_intermediate", "chain_time", make.leaf(between), 10, 10, between=between[0])
    add("weak_key", "weak_key", make.leaf(trusted, key=rsa.generate_private_key(65537, 1024)),
        66, 66, weak=True)
    add("weak_signature", "weak_signature", make.leaf(trusted), 68, 20, weak=True)
    _sign_with_sha1(made["weak_signature"], pki.origin_ca)
    add("wrong_purpose", "wrong_purpose",
        make.leaf(trusted, purpose=ExtendedKeyUsageOID.CLIENT_AUTH), 26, 26)
    status = ocsp.OCSPCertStatus
    for name, fault, what, more in (
            ("revoked", "revoked", status.REVOKED, {}),
            ("good_staple", None, status.GOOD, {}),
            ("unknown_staple", None, status.UNKNOWN, {}),
            ("forged_staple", None, status.REVOKED, {"signer": make.stranger}),
            ("old_staple", None, status.REVOKED, {"when": now - 9 * DAY})):
        leaf = make.leaf(trusted)
        # Python asks for no staple: directly it sees nothing.
        add(name, fault, leaf, 0, 20 if fault else 0,
            staple=make.staple(name, leaf[0], what, **more))
    for name, fault, direct, more in (
            ("revoked_expired", "expired revoked", 10, {"begin": now - 20 * DAY, "end": now - DAY}),
            ("revoked_wrong_host", "wrong_name revoked", 62, {"name": "other.test"})):
        leaf = make.leaf(trusted, **more)
        add(name, fault, leaf, direct, 20, staple=make.staple(name, leaf[0], status.REVOKED))
    return made


def serve(origin, *options, port=None):
    """It runs until its close(); `port` is where."""
    port = port or free_port()
    if origin.intermediates:
        options += ("-cert_chain", origin.intermediates)
    if origin.staple:
        options += ("-status_file", origin.staple)
    if origin.weak:
        options += ("-cipher", "DEFAULT@SECLEVEL=0")
    program = origins.openssl_s_server(port, Certificate(origin.cert, origin.key), "-www", "-quiet",
                                       *options)
    program.port = port
    return program
