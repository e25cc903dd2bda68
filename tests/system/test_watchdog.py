# SPDX-License-Identifier: GPL-2.0-or-later
"""The service manager's watchdog (sd_watchdog_enabled(3)): it hears from a daemon all of whose
workers move, with capture by rules and without, and nothing from one in which a worker hangs."""

import socket
import time

import pytest

from lib import env
from lib import stage as stages
from lib.capturing import Capturing
from lib.daemon import Ksplitd
from lib.held_worker import held_worker

TIME_S = 0.6 # the manager's
ALIVE = b"WATCHDOG=1"


class Manager:
    """A service manager as a daemon sees it: a socket."""

    def __init__(self, folder):
        path = folder / "notify"
        self.env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(int(TIME_S * 1e6))}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def hear(self):
        self._socket.settimeout(env.PATIENCE)
        return self._socket.recv(4096)

    def wait_alive(self, count=1):
        """`count` times, whatever else it hears."""
        for _ in range(count):
            while self.hear() != ALIVE:
                pass

    def wait_silence(self):
        """Until it would have ended the daemon."""
        self._socket.settimeout(2 * TIME_S)
        until = time.monotonic() + env.PATIENCE
        while time.monotonic() < until:
            try:
                self._socket.recv(4096)
            except TimeoutError:
                return
        raise AssertionError("the manager is told that the daemon is alive")

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    place = Manager(tmp_path)
    yield place
    place.close()


def assert_watched(manager, daemon):
    assert manager.hear().startswith(b"READY=1")
    manager.wait_alive(4)
    with held_worker(daemon.pid):
        manager.wait_silence()
        env.wait_for(lambda: "a worker has not moved for" in daemon.stderr(), "the log to tell")
    manager.wait_alive(2)


def test_workers_move_or_the_manager_hears_nothing(manager, pki):
    with Ksplitd(pki, "127.0.0.1:1", env=manager.env) as daemon:
        assert_watched(manager, daemon)


@pytest.mark.needs("ip", "nft", "nsenter", "nginx")
def test_with_capture_by_rules(manager, site):
    daemon = Capturing(site, {"outgoing": {"ports": [443]}})
    daemon.env.update(manager.env)
    with daemon:
        assert_watched(manager, daemon)


def test_it_hears_until_the_end(manager, pki, stage):
    """While the last connections are waited for, too."""
    with Ksplitd(pki, "127.0.0.1:%d" % stage.port, env=manager.env) as daemon:
        with stage.play(stages.echo) as play:
            with stages.connect(daemon.address) as sock:
                sock.sendall(b"not TLS\n")
                assert sock.recv(100) == b"not TLS\n"
                daemon.terminate()
                while not manager.hear().startswith(b"STOPPING=1"):
                    pass
                manager.wait_alive(3)
            play.result()
