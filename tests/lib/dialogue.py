# SPDX-License-Identifier: GPL-2.0-or-later
"""A client and an origin that say what was written down for them, byte by byte, through ksplitd."""

import threading

from . import stage as stages
from .env import PATIENCE
from .tls import client_context, server_context

PIECE = 16384 # at most on its way at once: sockets have room for that


class Line:
    """What one side says: `data`, cut at `cuts`: what lies before a cut has arrived before the rest
    is sent."""

    def __init__(self, data, cuts=()):
        cuts = set(cuts) | set(range(PIECE, len(data), PIECE))
        at = [0] + sorted(cut for cut in cuts if 0 < cut < len(data)) + [len(data)]
        self.data = data
        self.pieces = [data[a:b] for a, b in zip(at, at[1:])]


class Call:
    """A connection through a daemon with both of its ends in the test's hands."""

    def __init__(self, stage, port, pki=None, alpn=None):
        """Without a pki: plain TCP."""
        more = {"alpn": [alpn]} if alpn else {}
        self.client = self.origin = None
        self._ready, self._over = threading.Event(), threading.Event()
        self._play = (stage.play_tls(server_context(pki.origin, **more), self._act) if pki
                      else stage.play(self._act))
        try:
            address = "127.0.0.1", port
            self.client = (stages.connect_tls(address, client_context(pki.ca, **more)) if pki
                           else stages.connect(address))
        except BaseException:
            self.close()
            raise

    def _act(self, sock):
        self.origin = sock
        self._ready.set()
        self._over.wait(6 * PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def say(self, line, from_client=True):
        """The other side hears it as it was said."""
        for piece in line.pieces:
            self.send(piece, from_client)
            heard = b""
            while len(heard) < len(piece):
                data = self._ends(from_client)[1].recv(len(piece) - len(heard))
                assert data, "closed"
                heard += data
            assert heard == piece, "changed on the way"

    def send(self, data, from_client=True):
        """Without looking whether it arrives. Plain connections may reach the origin only now."""
        if from_client:
            self.client.sendall(data)
            assert self._ready.wait(PATIENCE), "the origin was not called"
        else:
            self.origin.sendall(data)

    def _ends(self, from_client):
        return (self.client, self.origin) if from_client else (self.origin, self.client)

    def talk(self, lines):
        """Request, response, request, ..."""
        for number, line in enumerate(lines):
            self.say(line, from_client=number % 2 == 0)

    def close(self):
        self._play.__exit__(None, None, None)
        if self.client:
            self.client.close()
        self._over.set() # and the stage closes the origin's
