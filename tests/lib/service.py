# SPDX-License-Identifier: GPL-2.0-or-later
"""A service of this host and what ksplitd shows for it: nginx in plain TCP, with TLS and with the
PROXY protocol, and certificates with several names."""

import hashlib
import socket
import ssl

from . import env
from .nginx import NginxProgram
from .pki import Certificate
from .process import run

HTTP = """
	default_type application/octet-stream;
	keepalive_requests 100000;
	server {{
		listen {host}:{plain};
		listen {host}:{tls} ssl http2;
		listen {host}:{proxy} proxy_protocol;
		listen {host}:{proxy_tls} ssl proxy_protocol;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		root {prefix}/files;
		location = /who {{
			return 200 "$server_port $scheme $server_protocol $remote_addr $proxy_protocol_addr $proxy_protocol_port";
		}}
	}}
"""

BIG = 8 << 20


class Service:
    """nginx; `plain`, `tls`, `proxy` and `proxy_tls` are its ports. /who tells "PORT SCHEME VERSION
    CLIENT PROXY-CLIENT PROXY-PORT" as the service sees them, /big is 8 MiB long."""

    def __init__(self, folder, certificate, host="127.0.0.1", prefix=()):
        self.host = host
        folder = folder / "service"
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "big").write_bytes(bytes(range(256)) * (BIG // 256))
        self.plain, self.tls, self.proxy, self.proxy_tls = (
            env.free_port() for _ in range(4))
        self._nginx = NginxProgram(
            folder, HTTP, (self.plain, self.tls, self.proxy, self.proxy_tls), command=prefix,
            host=host, plain=self.plain, tls=self.tls, proxy=self.proxy,
            proxy_tls=self.proxy_tls, certificate=certificate)

    def close(self):
        self._nginx.close()


class Identities:
    """Certificates of the origins' CA, each in a file with its CA behind it (`shop`, EC and RSA;
    `wild`; `fallback`), and what the configuration says of them."""

    def __init__(self, pki, folder):
        self.pki, self.folder = pki, folder
        self.shop = self.issue("id-shop", "DNS:shop.test,DNS:www.shop.test")
        self.shop_rsa = self.issue("id-shop-rsa", "DNS:shop.test,DNS:www.shop.test", rsa=True)
        self.wild = self.issue("id-wild", "DNS:*.cloud.test")
        self.fallback = self.issue("id-fallback", "DNS:fallback.test")

    def issue(self, name, san, **more):
        """A certificate with its CA behind it, in a folder that the test may write to."""
        made = self.pki.issue(name, self.pki.origin_ca, san=san, **more)
        return self.install(name, made)

    def install(self, name, made):
        """Put a certificate where the configuration says that `name` is."""
        cert, key = self.folder / (name + ".pem"), self.folder / (name + ".key")
        cert.write_bytes(made.cert.read_bytes() + self.pki.origin_ca.cert.read_bytes())
        key.write_bytes(made.key.read_bytes())
        return Certificate(cert, key)

    def settings(self, *certificates, default=None, ocsp=None):
        """The section "identities"."""
        section = [{"cert": str(c.cert), "key": str(c.key)} for c in certificates]
        if default:
            section.append({"cert": str(default.cert), "key": str(default.key), "default": True})
        if ocsp:
            section[0]["ocsp"] = str(ocsp)
        return section


def incoming(to, **more):
    """A listener for incoming calls, without its address."""
    return dict(more, to=to, direction="incoming")


def fingerprint_shown(address, name, **more):
    """SHA-256 of the certificate that a client is shown that asks for `name`; more: of the context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for key, value in more.items():
        if key == "ciphers":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(value)
        else:
            setattr(context, key, value)
    with socket.create_connection(address, env.PATIENCE) as sock:
        with context.wrap_socket(sock, server_hostname=name) as tls:
            return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()


def fingerprint(certificate):
    """SHA-256 of the first certificate of a file."""
    text = certificate.cert.read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[:text.index("-----END") + 26])).hexdigest()


def ocsp_response(pki, certificate, folder, days=3, revoked=False):
    """A response of the origins' CA for the first certificate of a file; where it is."""
    serial = run("openssl", "x509", "-in", certificate.cert, "-noout", "-serial").stdout.decode()
    subject = "/CN=of no matter"
    index, path = folder / "index.txt", folder / "response.der"
    index.write_text("%s\t351231235959Z\t%s\t%s\tunknown\t%s\n" % (
        "R" if revoked else "V", "200101000000Z" if revoked else "",
        serial.strip().split("=")[1], subject))
    run("openssl", "ocsp", "-index", index, "-CA", pki.origin_ca.cert,
        "-rsigner", pki.origin_ca.cert, "-rkey", pki.origin_ca.key,
        "-issuer", pki.origin_ca.cert, "-cert", certificate.cert, "-ndays", days,
        "-respout", path, "-no_nonce")
    return path
