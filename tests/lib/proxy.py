# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test sees of a daemon that stands between its client and its origin."""

from . import stage as stages, stream
from .records import RecordPeer
from .tls import client_context, server_context


class Proxy:
    """`to_stage`, `to_nginx` and `to_spare` are the addresses where clients reach each origin
    through ksplitd. Lines of the access log are read from where the test began."""

    def __init__(self, daemon, relay, pki, stage, nginx, spare_port):
        self.daemon, self.relay, self.pki, self.stage, self.nginx = (
            daemon, relay, pki, stage, nginx)
        self.spare_port = spare_port
        self.to_stage, self.to_nginx, self.to_spare = (
            ("127.0.0.1", port) for port in daemon.ports)
        self._mark = daemon.mark()

    def lines(self, count=1):
        """The access log lines of this test's connections, once there are `count`."""
        return self.daemon.wait_log(self._mark, count)

    def line(self):
        """The line of this test's only connection."""
        lines = self.lines()
        assert len(lines) == 1, lines
        return lines[0]

    # -- peers on either side --------------------------------------------------------------

    def client(self, suite=None, name="origin.test", **more):
        """A Python TLS client that trusts ksplit's CA alone."""
        return stages.connect_tls(self.to_stage, client_context(self.pki.ca, suite, **more), name)

    def record_client(self, suite=None):
        """A client that is master of its own records."""
        return RecordPeer(stages.connect(self.to_stage), client_context(self.pki.ca, suite))

    def origin(self, act, suite=None, **more):
        """The stage plays act(SSLSocket)."""
        return self.stage.play_tls(server_context(self.pki.origin, suite, **more), act)

    def record_origin(self, act, suite=None, **more):
        """The stage plays act(RecordPeer)."""
        def handshake_first(sock):
            with RecordPeer(sock, server_context(self.pki.origin, suite, **more),
                            server=True) as peer:
                return act(peer)
        return self.stage.play(handshake_first)

    def exchange(self, client_suite=None, origin_suite=None, size=300000,
                 client_records=stream.RECORD_MAX, origin_records=stream.RECORD_MAX,
                 while_open=None):
        """`size` random bytes both ways at once, compared; then an orderly close from the client.
        while_open() is called in between, its value returned."""
        def act(sock):
            cipher = sock.cipher()[0]
            flows = stream.exchange(sock, stream.random_chunks(size, origin_records), size)
            stream.receive_all(sock)
            stream.close_orderly(sock)
            return flows, cipher

        with self.origin(act, origin_suite) as play:
            sock = self.client(client_suite)
            try:
                sent, received = stream.exchange(
                    sock, stream.random_chunks(size, client_records), size)
                seen = while_open() if while_open else None
                if client_suite:
                    assert sock.cipher()[0] == client_suite.cipher
                stream.close_orderly(sock)
            finally:
                sock.close()
            (origin_sent, origin_received), origin_cipher = play.result()
        assert origin_received == sent, "client to origin"
        assert received == origin_sent, "origin to client"
        if origin_suite:
            assert origin_cipher == origin_suite.cipher
        return seen
