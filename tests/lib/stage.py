# SPDX-License-Identifier: GPL-2.0-or-later
"""An origin inside the test's own process whose behaviour each test brings along."""

import queue
import socket
import ssl
import threading

from .env import PATIENCE


class Performance:
    """The connections that one act plays on; results come in the order in which acts end."""

    def __init__(self, stage, act):
        self._stage, self._act = stage, act
        self._results = queue.Queue()
        self.started = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self._stage.dismiss(self)

    def take(self, sock):
        """Called by the stage for each connection, on a thread of its own."""
        try:
            value, error = self._act(sock), None
        except BaseException as exc:  # noqa: B902 - handed over to the test's thread
            value, error = None, exc
        finally:
            sock.close()
        self._results.put((value, error))

    def result(self, timeout=None):
        """What the next ended act returned; raises what it raised."""
        try:
            value, error = self._results.get(timeout=timeout or PATIENCE)
        except queue.Empty:
            raise AssertionError("the origin's side did not end (%d connections came)"
                                 % self.started) from None
        if error:
            raise error
        return value


class Stage:
    """Listens on one address for as long as it lives. `with stage.play(act): ...` gives each
    connection that comes meanwhile to `act(sock)`; without an act connections are closed."""

    def __init__(self, sock):
        self._listener = sock
        self.address = sock.getsockname()[:2]
        self.port = self.address[1]
        self._current = None
        self._closing = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @classmethod
    def listen(cls, host="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return cls(socket.create_server((host, port), family=family, backlog=1024))

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                current = self._current
                if current:
                    current.started += 1
            if not current:
                sock.close()
                if self._closing:
                    return
                continue
            sock.settimeout(PATIENCE)
            threading.Thread(target=current.take, args=(sock,), daemon=True).start()

    def play(self, act):
        """The act for connections from now on: act(sock), a plain TCP socket."""
        performance = Performance(self, act)
        with self._lock:
            assert self._current is None, "another act is on"
            self._current = performance
        return performance

    def play_tls(self, context, act):
        """The same, with a TLS handshake before: act(sock) gets the SSLSocket."""
        def handshake_first(sock):
            with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as tls:
                return act(tls)
        return self.play(handshake_first)

    def dismiss(self, performance):
        with self._lock:
            if self._current is performance:
                self._current = None

    def close(self):
        self._closing = True
        # accept(2) does not return when its socket is closed by another thread, but on shutdown.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._thread.join(PATIENCE)


def connect(address, timeout=None):
    """A plain TCP connection."""
    return socket.create_connection(address, timeout=timeout or PATIENCE)


def connect_tls(address, context, name="origin.test"):
    """A TLS connection; `name` is the SNI and what the certificate must have."""
    sock = connect(address)
    try:
        return context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
    except BaseException:
        sock.close()
        raise


def echo(sock):
    """An act: send back what comes until the peer closes; returns the byte count."""
    total = 0
    while True:
        data = sock.recv(65536)
        if not data:
            break
        sock.sendall(data)
        total += len(data)
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap()
    return total
