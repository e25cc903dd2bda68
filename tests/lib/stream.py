# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes both ways at once over one TLS socket, compared by SHA-256."""

import hashlib
import os
import random
import selectors
import socket
import ssl
import time

from .env import PATIENCE

BLOCK = 1 << 20
RECORD_MAX = 16384


def random_chunks(total, size=RECORD_MAX):
    """`total` random bytes in pieces of `size`; size "random": 1 to 16384, each its own record."""
    block = os.urandom(min(BLOCK, max(total, 1)))
    view = memoryview(block)
    left, at = total, 0
    while left:
        want = random.randint(1, RECORD_MAX) if size == "random" else size
        want = min(want, left, len(block))
        if at + want > len(block):
            # The same block from another place on, so that no two rounds are the same bytes.
            at = random.randrange(len(block) - want + 1)
        yield bytes(view[at:at + want])
        at += want
        left -= want


class Flow:
    """What went one way: bytes and their digest."""

    def __init__(self):
        self.bytes = 0
        self._sha = hashlib.sha256()

    def add(self, data):
        self.bytes += len(data)
        self._sha.update(data)

    @property
    def digest(self):
        return self._sha.hexdigest()

    def __eq__(self, other):
        return (self.bytes, self.digest) == (other.bytes, other.digest)

    def __repr__(self):
        return "%d bytes, SHA-256 %s" % (self.bytes, self.digest)


def _step(action):
    """One non-blocking TLS call: its value, or the event to wait for."""
    try:
        return action(), 0
    except (ssl.SSLWantReadError, BlockingIOError):
        return None, selectors.EVENT_READ
    except ssl.SSLWantWriteError:
        return None, selectors.EVENT_WRITE


def exchange(sock, chunks, expect, timeout=None):
    """Send all `chunks` and receive `expect` bytes at the same time (one thread: an SSL object
    is not made for two). Returns (sent, received); AssertionError when it stops moving."""
    timeout = timeout or PATIENCE
    sent, received = Flow(), Flow()
    chunks = iter(chunks)
    pending = next(chunks, None)
    sock.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        moved_at = time.monotonic()
        while pending is not None or received.bytes < expect:
            wanted, moved = 0, False
            if pending is not None:
                done, want = _step(lambda: sock.send(pending))
                wanted |= want
                if done:
                    sent.add(pending[:done])
                    pending = pending[done:] or next(chunks, None)
                    moved = True
            if received.bytes < expect:
                data, want = _step(lambda: sock.recv(65536))
                wanted |= want
                if data == b"":
                    raise AssertionError("closed after %d of %d bytes" % (received.bytes, expect))
                if data:
                    received.add(data)
                    moved = True
            if moved:
                moved_at = time.monotonic()
                continue
            selector.modify(sock, wanted or selectors.EVENT_READ)
            selector.select(1)
            if time.monotonic() - moved_at > timeout:
                raise AssertionError("nothing moved for %d s: sent %d, received %d of %d bytes" % (
                    timeout, sent.bytes, received.bytes, expect))
    sock.settimeout(timeout)
    return sent, received


def pieces(sock, timeout=None):
    """What comes, piece by piece, until an orderly end (close_notify, or FIN of a plain socket)."""
    sock.settimeout(timeout or PATIENCE)
    while data := sock.recv(65536):
        yield data


def receive_all(sock, timeout=None):
    """Everything until an orderly end."""
    received = Flow()
    for data in pieces(sock, timeout):
        received.add(data)
    return received


def receive_exactly(sock, count, timeout=None):
    """That many bytes, as bytes."""
    sock.settimeout(timeout or PATIENCE)
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise AssertionError("closed after %d of %d bytes" % (len(data), count))
        data += piece
    return bytes(data)


def close_orderly(sock, timeout=None):
    """Send close_notify, wait for the peer's, close."""
    sock.settimeout(timeout or PATIENCE)
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.unwrap()
        else:
            sock.shutdown(socket.SHUT_WR)
    finally:
        sock.close()


def reset(sock):
    """Close with RST: SO_LINGER with time 0 (socket(7))."""
    import struct
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket.close(sock)
