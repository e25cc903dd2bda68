# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that speak in plain until their client asks for TLS, each as far as `openssl s_client
-starttls` needs it, and that client."""

import struct
import subprocess

from . import stream
from .env import PATIENCE
from .process import ENV
from .tls import server_context

SSL_REQUEST = struct.pack("!II", 8, 80877103)
START_TLS_OID = b"1.3.6.1.4.1.1466.20037"


def line(sock):
    """One line, and no byte of what follows it."""
    data = b""
    while not data.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise AssertionError("closed after %r" % data)
        data += byte
    return data


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, "closed after %r" % data
        data += piece
    return data


def expect(sock, word):
    said = line(sock)
    assert word in said.upper(), said
    return said


def smtp(sock):
    sock.sendall(b"220-mail.test\r\n220 ESMTP\r\n")
    expect(sock, b"EHLO")
    sock.sendall(b"250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
    expect(sock, b"STARTTLS")
    sock.sendall(b"220 2.0.0 ready\r\n")


def imap(sock):
    sock.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
    tag = expect(sock, b"CAPABILITY").split()[0]
    sock.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + b" OK done\r\n")
    tag = expect(sock, b"STARTTLS").split()[0]
    sock.sendall(tag + b" OK begin TLS\r\n")


def pop3(sock):
    sock.sendall(b"+OK ready\r\n")
    expect(sock, b"STLS")
    sock.sendall(b"+OK begin TLS\r\n")


def ftp(sock):
    sock.sendall(b"220 ftp.test\r\n")
    expect(sock, b"AUTH TLS")
    sock.sendall(b"234 proceed\r\n")


def ldap(sock):
    request = exactly(sock, 2)
    request += exactly(sock, request[1])
    assert START_TLS_OID in request, request
    sock.sendall(b"\x30\x0c" + request[2:5] + b"\x78\x07\x0a\x01\x00\x04\x00\x04\x00")


def postgres(sock):
    assert exactly(sock, 8) == SSL_REQUEST
    sock.sendall(b"S")


def mysql(sock):
    capabilities = 0x00088a00 # SSL, protocol 4.1, secure connection, plugin auth
    greeting = (b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"12345678\0" +
                struct.pack("<HBHHB", capabilities & 0xffff, 45, 2, capabilities >> 16, 21) +
                bytes(10) + b"123456789012\0" + b"mysql_native_password\0")
    sock.sendall(struct.pack("<I", len(greeting))[:3] + b"\0" + greeting)
    header = exactly(sock, 4)
    assert header == b"\x20\0\0\x01", header
    assert exactly(sock, 32)[1] & 8


def sieve(sock):
    sock.sendall(b'"IMPLEMENTATION" "test"\r\n"STARTTLS"\r\nOK "ready"\r\n')
    expect(sock, b"STARTTLS")
    sock.sendall(b'OK "begin TLS"\r\n')


def nntp(sock):
    sock.sendall(b"200 news.test\r\n")
    expect(sock, b"CAPABILITIES")
    sock.sendall(b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n")
    expect(sock, b"STARTTLS")
    sock.sendall(b"382 continue\r\n")


def tag(sock):
    """An XML tag, to its end."""
    data = b""
    while not data.endswith(b">"):
        data += exactly(sock, 1)
    return data


def xmpp(sock):
    of_tls = b" xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
    while not tag(sock).startswith(b"<stream:stream "):
        pass
    sock.sendall(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0'>"
                 b"<stream:features><starttls" + of_tls + b"/></stream:features>")
    assert tag(sock).strip() == b"<starttls" + of_tls + b"/>"
    sock.sendall(b"<proceed" + of_tls + b"/>")


def irc(sock):
    """Not one of those that ksplit knows: it is the ClientHello that tells."""
    expect(sock, b"STARTTLS")
    sock.sendall(b":irc.test 670 you :STARTTLS\r\n")


def connect(sock):
    """A proxy of HTTP that is the origin as well."""
    expect(sock, b"CONNECT")
    while line(sock).strip():
        pass
    sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")


SERVERS = {"smtp": smtp, "imap": imap, "pop3": pop3, "ftp": ftp, "ldap": ldap,
           "postgres": postgres, "mysql": mysql, "sieve": sieve, "nntp": nntp, "xmpp": xmpp,
           "irc": irc, "connect": connect}


def shouting(sock):
    """What the session is for: what comes is sent back in capitals, until the client closes."""
    heard = b""
    for data in stream.pieces(sock):
        heard += data
        sock.sendall(data.upper())
    return heard


def serve(stage, certificate, talk, **more):
    """On a stage: a dialogue, and then TLS; more: of the server's context. Its result is what it
    heard in the session."""
    def act(sock):
        talk(sock)
        with server_context(certificate, **more).wrap_socket(sock, server_side=True) as tls:
            return shouting(tls)
    return stage.play(act)


def s_client(address, protocol, authority, say=b"hello\n", more=(), name="origin.test", sni=True,
             prefix=()):
    """openssl s_client -starttls: what it heard for what it said, in a session that it trusts: of
    `name`, which it asks for with `sni`. prefix: what comes before it on its command line."""
    how = (["-proxy", "%s:%d" % address, "-connect", "origin.test:443"] if protocol == "connect"
           else ["-connect", "%s:%d" % address, "-starttls", protocol])
    process = subprocess.Popen(
        [*prefix, "openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_quiet",
         "-verify_return_error", *how, *(["-servername", name] if sni else ["-noservername"]),
         "-verify_hostname", name,
         "-CAfile", str(authority.cert), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
    try:
        process.stdin.write(say)
        process.stdin.flush()
        heard = b""
        while len(heard) < len(say):
            data = process.stdout.read1(len(say) - len(heard))
            if not data:
                raise AssertionError("s_client ended: %s" % process.stderr.read().decode())
            heard += data
        return heard
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
