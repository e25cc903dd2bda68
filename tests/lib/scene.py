# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection between a client and an origin whose bytes are known, and what is told of it."""

from . import exact, stage as stages
from .env import wait_for
from .tls import client_context, server_context


class Scene:
    """A daemon in front of the stage; `origin` and `client` play one connection, each with a
    TLS socket of its own."""

    def __init__(self, daemon, pki, stage):
        self.daemon, self.pki, self.stage = daemon, pki, stage

    def play(self, origin, client):
        with self.stage.play_tls(server_context(self.pki.origin), origin) as play:
            sock = stages.connect_tls(self.daemon.address, client_context(self.pki.ca))
            try:
                client(sock)
            finally:
                sock.close()
            play.result()
        self.daemon.settle()

    def requests(self, count):
        """The lines of that many requests; no more of them may come, and nothing went wrong."""
        wait_for(lambda: len(self.daemon.request_log()) >= count,
                 lambda: "%d requests; there are %s, %s" % (
                     count, self.daemon.request_log(), self.sampler()))
        sampler = self.sampler()
        assert not any(sampler["troubles"].values()), sampler
        assert sampler["ring_dropped"] == sampler["queue_dropped"] == sampler["lost_bytes"] == 0
        lines = self.daemon.request_log()
        assert len(lines) == sampler["requests"] == count, lines
        return lines

    def sampler(self):
        return exact.status(self.daemon, "kernel")["sampler"]


def receive_until(sock, end):
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, "closed after %r" % data[-200:]
        data += piece
    return data
