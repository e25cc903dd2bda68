# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose certificate does a client see: the forged leaf, or the origin's own?"""

import contextlib

from . import env, stage as stages
from .tls import client_context, server_context

FORGED, ORIGINAL = "forged", "original"


def seen(address, pki, name="origin.test", alpn=None, context=None):
    """One call that works, by a client that trusts both CAs: FORGED or ORIGINAL."""
    context = context or client_context(pki.both_authorities(), alpn=alpn)
    context.check_hostname = name == "origin.test"
    with contextlib.closing(stages.connect_tls(address, context, name)) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        return issuer_of(sock)


def issuer_of(sock):
    issuer = dict(pair for part in sock.getpeercert()["issuer"] for pair in part)
    return {"ksplit test CA": FORGED, "origin CA": ORIGINAL}[issuer["commonName"]]


def greet(sock):
    """An act: what comes first goes back, then what comes until the end is read."""
    data = sock.recv(65536)
    if data:
        sock.sendall(data)
    while data:
        data = sock.recv(65536)


@contextlib.contextmanager
def origin(stage, pki, **more):
    with stage.play_tls(server_context(pki.origin, **more), greet) as play:
        yield play


def passes(daemon, **like):
    """Rows of `passes` whose members are these."""
    return [row for row in daemon.ask("passes")["passes"]
            if all(row[key] == value for key, value in like.items())]


def wait_passes(daemon, **like):
    return env.wait_for(lambda: passes(daemon, **like),
                        lambda: "a pass like %s; there are %s\n%s" % (
                            like, daemon.ask("passes"), daemon.tail()))
