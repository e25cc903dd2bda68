# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates out of the ordinary, and what is in a certificate, byte for byte.

Each is signed by one CA and is for a name of its own, which a client asks for by SNI.
"""

import datetime
import ipaddress
import re
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509 import ObjectIdentifier as Oid
from cryptography.x509.name import _ASN1Type as Text
from cryptography.x509.oid import NameOID

UTC = datetime.timezone.utc
NOW = datetime.datetime.now(UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)

SERVER, CLIENT, ANY = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0")
CODE, MAIL, IPSEC, UNKNOWN = ("1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.17",
                              "1.3.6.1.4.1.99999.1")
UPN, SMTP_UTF8 = "1.3.6.1.4.1.311.20.2.3", "1.3.6.1.5.5.7.8.9"
DOMAIN_VALIDATED, EXTENDED, ANY_POLICY = "2.23.140.1.2.1", "2.23.140.1.1", "2.5.29.32.0"
BASIC, KEY_USAGE, EXT_KEY_USAGE = "2.5.29.19", "2.5.29.15", "2.5.29.37"
SAN, POLICIES, OWN_KEY, CA_KEY = "2.5.29.17", "2.5.29.32", "2.5.29.14", "2.5.29.35"


# --- DER ---

def wrap(tag, content):
    length = len(content)
    if length < 128:
        head = bytes([length])
    else:
        digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + head + content


def elements(data):
    """(tag, content, whole) of each element of a sequence's content."""
    at, found = 0, []
    while at < len(data):
        length, start = data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7f
            length, start = int.from_bytes(data[start:start + count], "big"), start + count
        found.append((data[at], data[start:start + length], data[at:start + length]))
        at = start + length
    return found


def _encode_oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = b""
    for number in (first * 40 + second, *rest):
        digits = [number & 0x7f]
        while number > 0x7f:
            number >>= 7
            digits.insert(0, 0x80 | number & 0x7f)
        content += bytes(digits)
    return wrap(6, content)


def oid_list(*dotted):
    """The value of an extendedKeyUsage."""
    return wrap(0x30, b"".join(_encode_oid(one) for one in dotted))


def policy_list(*dotted):
    """The value of certificatePolicies without qualifiers."""
    return wrap(0x30, b"".join(wrap(0x30, _encode_oid(one)) for one in dotted))


class Fields:
    """The fields of a certificate, as they are encoded."""

    def __init__(self, der):
        (_, whole, _), = elements(der)
        (_, tbs, _), (_, _, self.algorithm), _ = elements(whole)
        parts = elements(tbs)
        self.version = parts.pop(0)[1][-1] + 1 if parts[0][0] == 0xa0 else 1
        self.serial = int.from_bytes(parts[0][1], "big", signed=True)
        self.issuer, self.validity, self.subject, self.key = (part[2] for part in parts[2:6])
        self.extensions = {}
        for _, content, _ in elements(elements(parts[6][1])[0][1]) if len(parts) > 6 else ():
            inner = elements(content)
            oid = _decode_oid(inner[0][1])
            assert oid not in self.extensions, "twice: " + oid
            self.extensions[oid] = (inner[1][0] == 1, inner[-1][1])
        times = elements(elements(self.validity)[0][1])
        self.begin, self.end = (_time(*part[:2]) for part in times)


def _decode_oid(content):
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7f
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(n) for n in (first, numbers[0] - 40 * first, *numbers[1:]))


def _time(tag, content):
    text = content.decode()
    if tag == 0x17:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


# --- how they are made ---

class Odd:
    """One of them: `host` is what a client asks for. `usage` and `policies` are the extensions that
    its leaf must have: (critical, value); None: those of the certificate, or its kind's default."""

    def __init__(self, name, host, der, key, usage=None, policies=None):
        self.name, self.host, self.der, self.key = name, host, der, key
        self.usage, self.policies = usage, policies
        self.fields = Fields(der)

    def __repr__(self):
        return self.name


def attribute(oid, value, kind=Text.UTF8String):
    return x509.NameAttribute(oid, value, _type=kind, _validate=False)


class Maker:
    """Makes them below a CA, a lib.pki.Certificate; files go to `folder`."""

    def __init__(self, authority, folder):
        self.folder = Path(folder)
        self.ca = x509.load_pem_x509_certificate(authority.cert.read_bytes())
        self.ca_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.made = []

    def host(self, name):
        return re.sub("[^a-z0-9]+", "-", name.lower()) + ".odd.test"

    def add(self, name, subject=None, names=(), san_critical=False, usage=(SERVER, CLIENT),
            usage_critical=False, key=None, begin=NOW - DAY, end=NOW + 10 * DAY, serial=None,
            key_usage=None, basic="ca:false", extensions=(), host=None, own_name=True, edit=None,
            leaf_usage=None, leaf_policies=None):
        """`names`: of the SAN, behind the host's own unless `own_name` is false; None: no SAN at
        all. `edit`: changes the TBSCertificate before it is signed."""
        host = host or self.host(name)
        key = key or self.ec
        builder = (x509.CertificateBuilder().issuer_name(self.ca.subject)
                   .subject_name(subject if subject is not None else
                                 x509.Name([attribute(NameOID.COMMON_NAME, "odd")]))
                   .public_key(key.public_key())
                   .serial_number(serial or x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(end))
        if names is not None:
            own = [x509.DNSName(host)] if own_name else []
            builder = builder.add_extension(x509.SubjectAlternativeName(own + list(names)),
                                            san_critical)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([Oid(one) for one in usage]),
                                            usage_critical)
        if basic:
            builder = builder.add_extension(x509.BasicConstraints(basic == "ca:true", None), True)
        if key_usage:
            flags = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment",
                                   "data_encipherment", "key_agreement", "key_cert_sign",
                                   "crl_sign", "encipher_only", "decipher_only"), False)
            flags.update(dict.fromkeys(key_usage, True))
            builder = builder.add_extension(x509.KeyUsage(**flags), True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                                        False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()), False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        der = builder.sign(self.ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        self.made.append(Odd(name, host, self._edited(der, edit) if edit else der, key,
                             leaf_usage, leaf_policies))

    def _edited(self, der, edit):
        (_, whole, _), = elements(der)
        (_, _, tbs), (_, _, algorithm), _ = elements(whole)
        tbs = edit(tbs)
        signature = self.ca_key.sign(tbs, ec.ECDSA(hashes.SHA256()))
        return wrap(0x30, tbs + algorithm + wrap(3, b"\0" + signature))

    def files(self, odd):
        """Certificate and key as one PEM file, the certificate alone as another."""
        cert, both = self.folder / (odd.host + ".pem"), self.folder / (odd.host + ".both")
        pem = ssl.DER_cert_to_PEM_cert(odd.der).encode()
        cert.write_bytes(pem)
        key = odd.key.private_bytes(serialization.Encoding.PEM,
                                    serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
        both.write_bytes(pem + key)
        return cert, both


def make_all(authority, folder):
    """The forty and some, and who has made them."""
    maker = Maker(authority, folder)
    _subjects(maker)
    _names(maker)
    _purposes(maker)
    _policies(maker)
    _times_and_serials(maker)
    _keys(maker)
    _others(maker)
    return maker


def _subjects(maker):
    name, organization = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
    maker.add("usual")
    country = attribute(NameOID.COUNTRY_NAME, "DE", Text.PrintableString)
    maker.add("subject UTF8", x509.Name([country, attribute(organization, "B\u00fccher \u4e2d\u6587"),
                                         attribute(name, "b\u00fccher.odd.test")]))
    maker.add("subject BMP", x509.Name([attribute(name, "B\u00fcro", Text.BMPString)]))
    maker.add("subject T61", x509.Name([attribute(name, "Buro", Text.T61String)]))
    maker.add("subject IA5", x509.Name([attribute(NameOID.DOMAIN_COMPONENT, "odd", Text.IA5String),
                                        attribute(NameOID.EMAIL_ADDRESS, "a@odd.test",
                                                  Text.IA5String)]))
    maker.add("subject in sets", x509.Name([
        x509.RelativeDistinguishedName([attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b"),
                                        attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a"),
                                        attribute(NameOID.SERIAL_NUMBER, "1",
                                                  Text.PrintableString)]),
        x509.RelativeDistinguishedName([attribute(name, "odd")])]))
    maker.add("subject long", x509.Name([attribute(NameOID.ORGANIZATIONAL_UNIT_NAME,
                                                   "unit %d" % number) for number in range(20)]))
    maker.add("subject unknown types", x509.Name([attribute(Oid(UNKNOWN), "x"),
                                                  attribute(NameOID.STREET_ADDRESS, "Am See 1")]))
    maker.add("no subject", x509.Name([]), san_critical=True)
    maker.add("common name alone",
              x509.Name([attribute(name, maker.host("common name alone"))]), names=None)


def _names(maker):
    user = x509.OtherName(Oid(UPN), wrap(0x0c, b"user@odd.test"))
    mail = x509.OtherName(Oid(SMTP_UTF8), wrap(0x0c, "b\u00fccher@odd.test".encode()))
    folder = x509.DirectoryName(x509.Name([attribute(NameOID.COMMON_NAME, "d", Text.BMPString)]))
    kinds = {
        "IPv4": x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        "IPv6": x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        "URI": x509.UniformResourceIdentifier("https://odd.test/a?b#c"),
        "email": x509.RFC822Name("a@odd.test"),
        "UPN": user,
        "SmtpUTF8Mailbox": mail,
        "dirName": folder,
        "registeredID": x509.RegisteredID(Oid(UNKNOWN)),
    }
    for kind, value in kinds.items():
        maker.add("SAN " + kind, names=[value])
    maker.add("SAN of every kind", names=kinds.values())
    maker.add("SAN critical", san_critical=True)
    maker.add("SAN wildcard", names=[x509.DNSName("*.wild.odd.test")], own_name=False,
              host="any.wild.odd.test")
    maker.add("SAN international", names=[x509.DNSName("xn--bcher-kva.odd.test")],
              own_name=False, host="xn--bcher-kva.odd.test")
    maker.add("SAN of 600 names", names=[x509.DNSName("host-%04d.odd.test" % number)
                                         for number in range(600)])
    maker.add("SAN of 60 KiB", names=[x509.DNSName("host-%044d.odd.test" % number)
                                      for number in range(1000)])


def _purposes(maker):
    maker.add("EKU none", usage=(), leaf_usage=(False, oid_list(SERVER)))
    maker.add("EKU server alone", usage=(SERVER,))
    maker.add("EKU critical", usage=(SERVER, CLIENT), usage_critical=True)
    maker.add("EKU unknown", usage=(UNKNOWN, SERVER, IPSEC))
    maker.add("EKU any, too", usage=(ANY, SERVER), leaf_usage=(False, oid_list(SERVER)))
    maker.add("EKU code and mail, too", usage=(CODE, SERVER, MAIL), usage_critical=True,
              leaf_usage=(True, oid_list(SERVER)))


def _policies(maker):
    def policies(*items):
        return x509.CertificatePolicies([x509.PolicyInformation(Oid(one), words)
                                         for one, words in items])

    notice = ["http://cps.odd.test/",
              x509.UserNotice(x509.NoticeReference("CA", [1]), "words of the CA")]
    maker.add("policy domain validated", extensions=[(policies((DOMAIN_VALIDATED, None)), False)])
    maker.add("policy extended", extensions=[(policies((EXTENDED, None), (UNKNOWN, None)), False)])
    maker.add("policy critical", extensions=[(policies((UNKNOWN, None)), True)])
    maker.add("policy any", extensions=[(policies((ANY_POLICY, None)), False)])
    maker.add("policy with words", extensions=[(policies((UNKNOWN, notice), (EXTENDED, notice)),
                                                False)],
              leaf_policies=(False, policy_list(UNKNOWN, EXTENDED)))


def _times_and_serials(maker):
    def date(year):
        return datetime.datetime(year, 1, 1, tzinfo=UTC)

    maker.add("until 2055", end=date(2055))
    maker.add("until 9999", end=datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    maker.add("from 1950", begin=date(1950))
    maker.add("serial 1", serial=1)
    maker.add("serial of 20 bytes", serial=(1 << 159) - 1)
    maker.add("serial negative", serial=0x7f << 120 | 77, edit=_negative_serial)


def _negative_serial(tbs):
    """The same length, the sign changed."""
    (_, content, _), = elements(tbs)
    parts = elements(content)
    number = parts[1][1]
    assert number[0] == 0x7f
    changed = wrap(2, b"\x80" + number[1:])
    return wrap(0x30, parts[0][2] + changed + b"".join(part[2] for part in parts[2:]))


def _keys(maker):
    kinds = {
        "P-384": ec.generate_private_key(ec.SECP384R1()),
        "P-521": ec.generate_private_key(ec.SECP521R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "RSA-2048": rsa.generate_private_key(65537, 2048),
        "RSA-4096": rsa.generate_private_key(65537, 4096),
    }
    for kind, key in kinds.items():
        maker.add("key " + kind, key=key)
    maker.add("key for signatures", key_usage=("digital_signature",))
    maker.add("key for agreement, too", key_usage=("digital_signature", "key_agreement"))
    maker.add("key for much", key_usage=("digital_signature", "content_commitment",
                                         "key_encipherment", "data_encipherment"),
              key=kinds["RSA-2048"])


def _others(maker):
    maker.add("a CA itself", basic="ca:true", key_usage=("digital_signature", "key_cert_sign"))
    maker.add("no basic constraints", basic=None)
    place = x509.UniformResourceIdentifier("http://other.odd.test/")
    maker.add("leads elsewhere", extensions=[
        (x509.AuthorityInformationAccess([x509.AccessDescription(
            Oid("1.3.6.1.5.5.7.48.1"), place)]), False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]), False),
        (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)])
    maker.add("unknown extension", extensions=[
        (x509.UnrecognizedExtension(Oid(UNKNOWN), wrap(0x0c, b"hello")), False)])
