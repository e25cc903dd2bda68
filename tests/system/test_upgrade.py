# SPDX-License-Identifier: GPL-2.0-or-later
"""A new ksplitd takes over from the one that runs: nobody that calls notices, and when it cannot, the
old one goes on as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest

from lib import stage as stages, stream
from lib.daemon import PROGRAM
from lib.env import free_port, wait_for
from lib.http_load import Book, Request, connector, play_all
from lib.origins import Nginx
from lib.process import ENV, proc_listens
from lib.tls import client_context, server_context
from lib.upgrade import STATUS, Upgrading, children, is_alive

QUICK = {"sampler": "user", "sampling": {"timings": False, "processes": False},
         "limits": {"learned_pass": 0, "deadlines_ms": {"upgrade_drain": 20000}}}


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, pki):
    server = Nginx(tmp_path_factory.mktemp("upgrade") / "nginx", pki.origin)
    yield server
    server.close()


def started(pki, to, **settings):
    return Upgrading(pki, to, dict(QUICK, **settings))


def load(daemon, pki, book, connections, requests):
    """Requests on so many connections; any that fails ends it."""
    plan = [Request("GET", "/", version="1.1")] * requests, 1
    play_all(connector(daemon.port, pki.ca), [plan] * connections, book)


class Load:
    """Load in the background."""

    def __init__(self, daemon, pki, connections, requests):
        self.book, self.error = Book(), None
        self._thread = threading.Thread(target=self._run,
                                        args=(daemon, pki, self.book, connections, requests))

    def _run(self, *args):
        try:
            load(*args)
        except AssertionError as exc:
            self.error = exc

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._thread.join()

    def under_way(self):
        return self._thread.is_alive()


@pytest.mark.needs("nginx")
def test_no_request_fails(pki, nginx):
    """10,000 requests, some on connections that live through upgrades, some on new ones."""
    port = free_port()
    with started(pki, "127.0.0.1:%d" % nginx.port,
                 metrics={"prometheus": "127.0.0.1:%d" % port}) as daemon:
        first = daemon.pid
        with Load(daemon, pki, 200, 50) as running:
            while running.under_way() and len(daemon.retired) < 8:
                daemon.upgrade()
        assert running.error is None, "%s\n%s" % (running.error, daemon.tail())
        assert running.book.total() == 10000
        assert len(daemon.retired) >= 3 and daemon.pid != first
        # A port of its own cannot be bound twice: it was handed over as well.
        with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % port) as answer:
            assert answer.read() == b"ok\n"
        for pid in daemon.retired:
            wait_for(lambda pid=pid: not is_alive(pid) or pid == first,
                     lambda pid=pid: "process %d to end\n%s" % (pid, daemon.tail()))
        assert sorted(children(daemon.pid).values()) == ["ksplit-launcher", "ksplit-signer"]


def test_connections_of_before_are_relayed_on(pki):
    """They are the old one's to their end, and it ends with the last of them, in order."""
    stage = stages.Stage.listen()
    with started(pki, "127.0.0.1:%d" % stage.port) as daemon:
        def act(sock):
            received = stream.receive_all(sock)
            stream.close_orderly(sock)
            return received

        with stage.play_tls(server_context(pki.origin), act) as play:
            with stages.connect_tls(daemon.address, client_context(pki.ca)) as held:
                held.sendall(b"before")
                wait_for(lambda: daemon.open_count() == 1, "the connection to be open")
                mark = daemon.mark()
                old = daemon.pid
                daemon.upgrade()
                assert daemon.open_count() == 0
                assert is_alive(old)
                held.sendall(b" and after")
                stream.close_orderly(held)
            assert play.result().bytes == len(b"before and after")
        assert daemon.process.wait(20) == 0
        line = daemon.wait_log(mark)[0]
        assert line["reason"] == "closed", line
    stage.close()


def break_configuration(daemon):
    text = daemon.config_path.read_text()
    daemon.config_path.write_text(text.replace('"workers"', '"wrokers"'))
    return text


@pytest.mark.needs("nginx")
def test_one_that_cannot_start_changes_nothing(pki, nginx):
    """A configuration that is wrong, a CA that is gone: said, and the old one goes on."""
    with started(pki, "127.0.0.1:%d" % nginx.port) as daemon:
        good = break_configuration(daemon)
        code, told = daemon.ask_upgrade()
        assert (code, told["upgraded"], told["pid"]) == (1, False, daemon.pid), told
        assert "wrokers" in told["why"], told
        daemon.config_path.write_text(good.replace(str(pki.ca.key), "/nowhere/ca.key"))
        code, told = daemon.ask_upgrade()
        assert code == 1 and "/nowhere/ca.key" in told["why"], told
        done = subprocess.run([STATUS, "--control", daemon.control_path, "upgrade"], text=True,
                              env=ENV, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and "goes on: " in done.stdout, done
        load(daemon, pki, Book(), 2, 2)
        assert "this ksplitd goes on" in daemon.stderr()
        daemon.config_path.write_text(good)
        daemon.upgrade()
        load(daemon, pki, Book(), 2, 2)


def wait_for_new(daemon):
    """The number of the one that the launcher starts."""
    launcher = daemon.launcher()
    return wait_for(lambda: next(iter(children(launcher)), None), "a new ksplitd to be started")


@pytest.mark.needs("nginx")
def test_one_that_is_killed_changes_nothing(pki, nginx):
    """At any moment of the handover; requests go on meanwhile."""
    with started(pki, "127.0.0.1:%d" % nginx.port) as daemon:
        with Load(daemon, pki, 20, 25) as running:
            for ended in (1, 2):
                os.kill(daemon.pid, signal.SIGUSR2)
                os.kill(wait_for_new(daemon), signal.SIGKILL)
                wait_for(lambda ended=ended: daemon.stderr().count(
                    "ended before it could take over") == ended, daemon.tail)
                launcher = daemon.launcher()
                wait_for(lambda: not children(launcher), "it to be gone")
        assert running.error is None, "%s\n%s" % (running.error, daemon.tail())
        assert daemon.summary()["pid"] == daemon.pid
        daemon.upgrade()
        load(daemon, pki, Book(), 2, 2)


@pytest.mark.needs("nginx")
def test_a_listener_on_fewer_addresses_and_on_more(pki, nginx):
    """The port is the old one's until the new one has taken over."""
    with started(pki, "127.0.0.1:%d" % nginx.port) as daemon:
        for host in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
            daemon.config["listeners"][0]["listen"] = "%s:%d" % (host, daemon.port)
            daemon.config_path.write_text(json.dumps(daemon.config))
            daemon.upgrade()
            load(daemon, pki, Book(), 4, 2)
            assert "another program" not in daemon.stderr()


@pytest.mark.needs("nginx")
def test_one_that_hangs_is_ended(pki, nginx):
    """In a time that is bounded; the old one serves meanwhile, and goes on."""
    with started(pki, "127.0.0.1:%d" % nginx.port,
                 limits={"learned_pass": 0, "deadlines_ms": {"upgrade": 1500}}) as daemon:
        os.kill(daemon.pid, signal.SIGUSR2)
        new = wait_for_new(daemon)
        os.kill(new, signal.SIGSTOP)
        load(daemon, pki, Book(), 2, 2)
        wait_for(lambda: not is_alive(new), "the new one to be gone")
        wait_for(lambda: "was not ready after 1500 ms" in daemon.stderr(), daemon.tail)
        load(daemon, pki, Book(), 2, 2)


def test_end_while_a_new_one_hangs(pki):
    """SIGTERM: the old one does not wait for it, and leaves nothing of it."""
    with started(pki, "127.0.0.1:1") as daemon:
        os.kill(daemon.pid, signal.SIGUSR2)
        new = wait_for_new(daemon)
        os.kill(new, signal.SIGSTOP)
        daemon.terminate()
        assert daemon.wait_exit() == 0
        wait_for(lambda: not is_alive(new), "the new one to be gone")


INHERIT = """
import os, socket, sys
for at, name in enumerate(sys.argv[1].split(",")):
    sock = socket.create_server(("127.0.0.1", int(name.partition("=")[2])))
    copy = os.dup(sock.fileno())
    os.dup2(copy, 50 + at)
for place in range(at + 1):
    os.dup2(50 + place, 3 + place)
names = [name.partition("=")[0] for name in sys.argv[1].split(",")]
os.environ.update(LISTEN_FDS=str(len(names)), LISTEN_PID=str(os.getpid()),
                  LISTEN_FDNAMES=":".join(names))
os.closerange(50, 60)
os.execv(sys.argv[2], sys.argv[2:])
"""


def with_sockets(daemon, **ports):
    """As a service manager starts it that has opened these ports."""
    text = ",".join("%s=%d" % entry for entry in ports.items())
    daemon.prefix = [sys.executable, "-c", INHERIT, text]
    return daemon


@pytest.mark.needs("nginx")
def test_sockets_of_the_service_manager(pki, nginx, tmp_path):
    """Calls wait in them from before the start on; they stay across an upgrade."""
    daemon = started(pki, "127.0.0.1:%d" % nginx.port)
    with with_sockets(daemon, https=daemon.port):
        load(daemon, pki, Book(), 4, 2)
        daemon.upgrade()
        load(daemon, pki, Book(), 4, 2)
    daemon = Upgrading(pki, "127.0.0.1:1", QUICK, folder=tmp_path)
    other = free_port()
    with_sockets(daemon, https=daemon.port, admin=other).launch()
    assert daemon.process.wait(20) == 1
    assert "admin (127.0.0.1:%d)" % other in daemon.stderr()


@pytest.mark.needs("nginx")
def test_in_the_background(pki, nginx, tmp_path):
    """As it is started without --foreground."""
    daemon = Upgrading(pki, "127.0.0.1:%d" % nginx.port, QUICK, folder=tmp_path)
    daemon.launch()
    daemon.kill()
    subprocess.run([PROGRAM, "-c", daemon.config_path], env=daemon.env, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    first = daemon.now = daemon.summary()["pid"]
    try:
        daemon.upgrade()
        load(daemon, pki, Book(), 2, 2)
        wait_for(lambda: not is_alive(first), "the old one to end")
        assert not proc_listens(daemon.pid, 1)
        daemon.terminate()
        wait_for(lambda: not is_alive(daemon.pid), "the new one to end")
        assert not daemon.control_path.exists()
    finally:
        for pid in (first, daemon.now):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
