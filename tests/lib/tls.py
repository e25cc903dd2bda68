# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS contexts for the Python peers, limited to one version and one cipher suite where asked."""

import ctypes
import ctypes.util
import itertools
import ssl


class Suite:
    """A version with a cipher suite, under the names of Python and of the kernel.

    name      for test ids
    version   "TLSv1.2" or "TLSv1.3", as Python and the access log print it
    cipher    OpenSSL's name, as SSLSocket.cipher() gives it (EC certificates)
    kernel    the name that ss(8) prints for the key in the kernel
    """

    def __init__(self, name, version, cipher, rsa, kernel):
        self.name, self.version, self.cipher, self.kernel = name, version, cipher, kernel
        self.openssl = cipher if version == "TLSv1.3" else cipher + ":" + rsa

    def __repr__(self):
        return self.name


SUITES = [
    Suite("tls12-aes128", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256",
          "ECDHE-RSA-AES128-GCM-SHA256", "aes-gcm-128"),
    Suite("tls12-aes256", "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384",
          "ECDHE-RSA-AES256-GCM-SHA384", "aes-gcm-256"),
    Suite("tls12-chacha", "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305",
          "ECDHE-RSA-CHACHA20-POLY1305", "chacha20-poly1305"),
    Suite("tls13-aes128", "TLSv1.3", "TLS_AES_128_GCM_SHA256", None, "aes-gcm-128"),
    Suite("tls13-aes256", "TLSv1.3", "TLS_AES_256_GCM_SHA384", None, "aes-gcm-256"),
    Suite("tls13-chacha", "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", None, "chacha20-poly1305"),
]
TLS12, TLS13 = SUITES[0], SUITES[3]

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def _libssl():
    # The library that the ssl module itself is linked with: a second copy would not know its objects.
    import _ssl
    path = getattr(_ssl, "__file__", None)
    library = ctypes.CDLL(path) if path else ctypes.CDLL(ctypes.util.find_library("ssl"))
    library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def _set_ciphersuites(context, names):
    """SSL_CTX_set_ciphersuites(3): the ssl module of Python 3.11 has no call for TLS 1.3 suites.
    The SSL_CTX is the first member of the context object."""
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if not _libssl().SSL_CTX_set_ciphersuites(pointer, names.encode()):
        raise AssertionError("OpenSSL refuses the cipher suites " + names)


def set_groups(context, names):
    """SSL_CTX_set1_groups_list(3), a macro: set_ecdh_curve() of Python 3.11 knows no X25519."""
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    control = _libssl().SSL_CTX_ctrl
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    assert control(pointer, 92, 0, names.encode()) == 1, "OpenSSL refuses the groups " + names


def _limit(context, suite):
    # Python sets it by default; a FIN without close_notify would look like an orderly end.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if suite is None:
        return
    context.minimum_version = context.maximum_version = _VERSIONS[suite.version]
    if suite.version == "TLSv1.3":
        _set_ciphersuites(context, suite.openssl)
    else:
        context.set_ciphers(suite.openssl)


def server_context(certificate, suite=None, alpn=None, client_ca=None, tickets=None):
    """A server's context. client_ca: ask for a client certificate and insist on it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    _limit(context, suite)
    if alpn:
        context.set_alpn_protocols(alpn)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca.cert)
    if tickets is not None:
        context.num_tickets = tickets
    return context


def client_context(authority, suite=None, alpn=None, certificate=None):
    """A client's context: trusts `authority` alone and checks the host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.cert)
    _limit(context, suite)
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


def ech_context(authority):
    """A client's context whose ClientHello has the extension encrypted_client_hello, empty
    (SSL_CTX_add_custom_ext(3): without a callback), as an outer one looks to who has no key."""
    context = client_context(authority, TLS13)
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    library, nothing = _libssl(), ctypes.c_void_p()
    added = library.SSL_CTX_add_custom_ext(pointer, ctypes.c_uint(0xfe0d), ctypes.c_uint(0x80),
                                           nothing, nothing, nothing, nothing, nothing)
    assert added == 1, "OpenSSL does not take the extension"
    return context


def combinations():
    """Every client suite with every origin suite."""
    return itertools.product(SUITES, SUITES)
