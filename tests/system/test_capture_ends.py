# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture must not cause downtime: whatever becomes of ksplitd, of a worker or of the keeper, the
rules go, calls go past it, and nothing is left behind."""

import json
import os
import signal
import threading
import time

import pytest

from lib import env, stage as stages
from lib.capturing import QUICK, Capturing, within
from lib.daemon import PROGRAM
from lib.env import wait_for
from lib.held_worker import held_worker
from lib.netns import Row, within as in_namespace
from lib.process import run
from lib.tls import client_context

pytestmark = pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")

OUTGOING = {"outgoing": {"ports": [443]}}


class Load:
    """50 TLS calls a second of the gateway itself, each a connection of its own; `failures` is when those
    that failed began."""

    def __init__(self, site):
        self.site = site
        self.context = client_context(site.pki.both_authorities())
        self.answered, self.failures = 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: in_namespace(
            site.row.gateway, self._run))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()

    def call(self):
        with stages.connect((Row.ORIGIN[4], 443), timeout=5) as plain:
            with self.context.wrap_socket(plain, server_hostname="origin.test") as sock:
                sock.sendall(b"GET / HTTP/1.0\r\nHost: origin.test\r\n\r\n")
                assert sock.recv(65536).startswith(b"HTTP/1.1 200")

    def _run(self):
        due = time.monotonic()
        while not self._over.wait(max(0, due - time.monotonic())):
            begun = time.monotonic()
            try:
                self.call()
                self.answered += 1
            except (OSError, AssertionError):
                self.failures.append(begun)
            # Those that are late are made up for, at most a second of them.
            due = max(due + 0.02, begun - 1)


def assert_gone_and_direct(site):
    assert not site.table(), site.rules()
    assert site.issuer() == "origin"


def test_killed_under_load(site):
    """SIGKILL: half a second later calls succeed, directly, and no table is left."""
    daemon = Capturing(site, OUTGOING).start()
    with Load(site) as load:
        wait_for(lambda: load.answered >= 25, "calls to be answered")
        assert not load.failures
        keeper = daemon.capture()["keeper"]
        killed = time.monotonic()
        daemon.kill()
        time.sleep(0.5)
        assert_gone_and_direct(site)
        answered = load.answered
        wait_for(lambda: load.answered >= answered + 25, "calls to be answered directly")
        late = [begun - killed for begun in load.failures if begun - killed > 0.5]
        assert not late, late
    wait_for(lambda: not os.path.exists("/proc/%d" % keeper), "the keeper to be gone")


def test_stopped_and_continued(site):
    """SIGSTOP: withdrawn by the watchdog within five seconds; SIGCONT: loaded again, told, counted."""
    daemon = Capturing(site, OUTGOING)
    del daemon.config["capture"]["watchdog"]  # the default
    with daemon:
        try:
            daemon.signal(signal.SIGSTOP)
            stopped = time.monotonic()
            daemon.wait_capturing(False)
            # An emulated machine has another idea of a second.
            assert time.monotonic() - stopped < (60 if env.IN_VM or env.SANITIZED else 5)
            assert site.issuer() == "origin" and site.issuer(6) == "origin"
        finally:
            daemon.resume()
        daemon.wait_capturing(True)
        wait_for(lambda: daemon.capture()["loads"] == 2, "rules to be loaded again")
        told = daemon.capture()
        assert told["withdrawals"]["watchdog"] == 1 and told["by"] == "watchdog", told
        assert site.issuer() == "ksplit"
        assert "capture is withdrawn: a worker" in daemon.stderr()


def test_one_worker_hangs(site):
    """The daemon answers, half of its connections would hang: withdrawn all the same."""
    with Capturing(site, OUTGOING) as daemon:
        with held_worker(daemon.pid):
            told = daemon.wait_state("withdrawn")
            assert (told["by"], told["withdrawals"]["watchdog"]) == ("watchdog", 1), told
            assert not site.capturing() and site.issuer() == "origin"
            code, text = daemon.tool("capture")
            assert code == 1 and "withdrawn since" in text, text
            assert "withdrawn" in daemon.summary()["degraded"]
        daemon.wait_state("on")
        assert site.issuer() == "ksplit"


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGTERM))
def test_keeper_ends(site, number):
    """The kernel or itself withdraws the rules; ksplitd makes another."""
    with Capturing(site, OUTGOING) as daemon:
        first = daemon.capture()["keeper"]
        os.kill(first, number)
        wait_for(lambda: daemon.capture()["loads"] == 2, "rules to be loaded again")
        told = daemon.capture()
        assert told["state"] == "on" and told["keeper"] not in (0, first), told
        assert told["withdrawals"]["keeper"] == 1, told
        assert site.issuer() == "ksplit"
    assert_gone_and_direct(site)


def test_keeper_is_held(site):
    """A keeper that is stopped does not keep the rules when ksplitd dies."""
    daemon = Capturing(site, OUTGOING).start()
    os.kill(daemon.capture()["keeper"], signal.SIGSTOP)
    daemon.kill()
    daemon.wait_table(False)
    assert site.issuer() == "origin"


def test_withdrawn_before_the_listeners_close(site):
    """While ksplitd waits for its last connection, new calls go past it, and that one goes on."""
    daemon = Capturing(site, OUTGOING).start()
    context = client_context(site.pki.ca)
    sock = in_namespace(site.row.gateway, lambda: stages.connect((Row.ORIGIN[4], 443)))
    with context.wrap_socket(sock, server_hostname="origin.test") as held:
        daemon.terminate()
        daemon.wait_capturing(False)
        assert site.issuer() == "origin"
        assert daemon.running(), daemon.tail()
        assert daemon.capture()["state"] == "off"
        # Too late to switch it on again.
        assert daemon.capture("on")["state"] == "off"
        held.sendall(b"GET / HTTP/1.0\r\nHost: origin.test\r\n\r\n")
        assert held.recv(65536).startswith(b"HTTP/1.1 200")
    daemon.stop()
    assert_gone_and_direct(site)


@pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))
def test_open_connections_outlive_a_withdrawal(site, family):
    """Nothing is captured any more; what was is translated until its end, then the table goes."""
    with Capturing(site, OUTGOING) as daemon:
        context = client_context(site.pki.ca)
        sock = in_namespace(site.row.gateway,
                            lambda: stages.connect((Row.ORIGIN[family], 443)))
        with context.wrap_socket(sock, server_hostname="origin.test") as held:
            assert daemon.capture("off")["state"] == "off"
            assert site.table() and not site.capturing()
            assert site.issuer(family) == "origin"
            held.sendall(b"GET / HTTP/1.0\r\nHost: origin.test\r\n\r\n")
            assert held.recv(65536).startswith(b"HTTP/1.1 200")
        daemon.wait_table(False)
        assert daemon.capture("on")["state"] == "on"
        assert site.issuer(family) == "ksplit"
    assert_gone_and_direct(site)


def test_in_the_background(site, tmp_path):
    daemon = Capturing(site, OUTGOING, folder=tmp_path)
    daemon.config_path.write_text(json.dumps(dict(daemon.config, **QUICK)))
    run(*within(site.row.gateway, PROGRAM, "-c", daemon.config_path))
    # It came back: everything is in place.
    assert site.table() and site.issuer() == "ksplit"
    pid = daemon.summary()["pid"]
    keeper = daemon.capture()["keeper"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not site.table(), "the table to be gone")
    wait_for(lambda: not os.path.exists("/proc/%d" % keeper), "the keeper to be gone")
    assert site.issuer() == "origin"
