# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection between a client and an origin whose bytes are known, and what is told of it."""

from . import env, exact, expect, stage as stages
from .tls import client_context, server_context


class Scene:
    """A daemon in front of the stage; `origin` and `client` play one connection, each with a
    TLS socket of its own. What the daemon did before does not count. `sampler`: the one that has
    to be the source."""

    def __init__(self, daemon, sampler, pki, stage):
        self.daemon, self.pki, self.stage = daemon, pki, stage
        self._sampler, self._calls = sampler, 0
        self._tls, self._before = env.read_tls_stat(), self._status()
        self._lines, self._sums = len(daemon.request_log()), self._endpoint()

    def play(self, origin, client):
        with self.stage.play_tls(server_context(self.pki.origin), origin) as play:
            sock = stages.connect_tls(self.daemon.address, client_context(self.pki.ca))
            try:
                client(sock)
            finally:
                sock.close()
            play.result()
        self._calls += 1
        self.daemon.settle()

    def requests(self, count):
        """The lines of that many requests; no more of them may come, nothing went wrong, and they
        came from the sampler that is tried."""
        env.wait_for(lambda: len(self._log()) >= count,
                     lambda: "%d requests; there are %s, %s" % (count, self._log(), self.sampler()))
        sampler = self.sampler()
        assert not any(sampler["troubles"].values()), sampler
        assert sampler["ring_dropped"] == sampler["queue_dropped"] == sampler["lost_bytes"] == 0
        lines = self._log()
        assert len(lines) == sampler["requests"] == count, lines
        exact.assert_source(sampler, self._sampler, self._calls)
        expect.assert_kernel_counted(self._tls, self._calls * expect.kernel_expected("auto"))
        return lines

    def series(self, uri):
        """The only series that has this URI."""
        row, = [row for row in exact.status(self.daemon, "requests")["series"]
                if row["http.uri"] == uri]
        return row

    def sampler(self):
        """`ksplit-status kernel`, its counters since this scene began."""
        return grown(self._status(), self._before)

    def endpoint(self):
        """Connections, requests and bytes of the endpoint since then."""
        return grown(self._endpoint(), self._sums)

    def _log(self):
        return self.daemon.request_log()[self._lines:]

    def _status(self):
        return exact.status(self.daemon, "kernel")["sampler"]

    def _endpoint(self):
        rows = exact.status(self.daemon, "endpoints")["endpoints"]
        assert len(rows) <= 1, rows
        row = rows[0] if rows else {"connections": {}, "requests": 0, "bytes": {}}
        return {"connections": row["connections"].get("total", 0), "requests": row["requests"],
                "to_origin": row["bytes"].get("to_origin", 0),
                "to_client": row["bytes"].get("to_client", 0)}


def grown(now, before):
    """Numbers less what they were, at any depth; all else as it is now."""
    if isinstance(now, dict):
        return {key: grown(value, (before or {}).get(key)) for key, value in now.items()}
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        return now
    return now - (before or 0)


def receive_until(sock, end):
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, "closed after %r" % data[-200:]
        data += piece
    return data
