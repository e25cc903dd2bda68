# SPDX-License-Identifier: GPL-2.0-or-later
"""Too much at once: nobody is refused. New connections are passed raw first, and only when there is
no descriptor for that either do they wait."""

import contextlib
import resource
import threading

import pytest

from lib import env, stage as stages, stream
from lib.passes import FORGED, ORIGINAL, greet, issuer_of, origin, passes, seen
from lib.tls import client_context, server_context

CLIENTS = 1000
DESCRIPTORS = ["prlimit", "--nofile=256:256"]


@pytest.fixture
def many_descriptors():
    """For the clients, which all live in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.needs("prlimit")
def test_1000_clients_at_256_descriptors(ksplitd, pki, nginx, many_descriptors):
    """All are connected before the first one speaks; each gets its answer, and the process lives."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {}, prefix=DESCRIPTORS)
    waiting = [stages.connect(daemon.address) for _ in range(CLIENTS)]
    context = client_context(pki.both_authorities())
    answers, failures = [], []

    def work():
        with contextlib.suppress(IndexError):
            while not failures:
                sock = waiting.pop(0)
                try:
                    answers.append(get(sock, context))
                except OSError as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sock in waiting:
        sock.close()
    assert not failures, "%s after %d answers\n%s" % (failures, len(answers), daemon.tail())
    assert answers == [b"HTTP/1.1 "] * CLIENTS
    daemon.settle()
    told = daemon.summary()["connections"]
    assert told["intercepted"] + told["passed"] == CLIENTS, told
    assert told["accept_paused"] > 0, "the limit was never reached"
    assert daemon.reason_count("no_memory") == 0


def get(sock, context):
    with context.wrap_socket(sock, server_hostname="origin.test") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n")
        return stream.receive_exactly(tls, 9)


@pytest.mark.needs("prlimit")
def test_few_descriptors_pass_new_connections(ksplitd, pki, stage):
    """As many are intercepted as there are descriptors for; later ones are passed, and when the
    others have gone all is as before."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1}, prefix=DESCRIPTORS)
    context = client_context(pki.both_authorities())
    kinds = []
    with origin(stage, pki), contextlib.ExitStack() as kept:
        while ORIGINAL not in kinds and len(kinds) < 256:
            sock = stages.connect_tls(daemon.address, context)
            kept.enter_context(contextlib.closing(sock))
            sock.sendall(b"here")
            assert stream.receive_exactly(sock, 4) == b"here"
            kinds.append(issuer_of(sock))
        assert kinds == [FORGED] * (len(kinds) - 1) + [ORIGINAL] and len(kinds) > 16
        row, = passes(daemon, reason="overload")
        assert (row["name"], row["count"]) == ("origin.test", 1)
        assert "too few descriptors are left" in daemon.stderr()
        kept.close()
        daemon.settle()
        assert seen(daemon.address, pki) == FORGED


def test_too_many_handshakes(ksplitd, pki, stage):
    """An origin that does not answer the first hello holds up one client, not the next."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1, "limits": {"handshakes": 1}})
    context, over, first = server_context(pki.origin), threading.Event(), []

    def act(sock):
        if not first:
            first.append(sock)
            over.wait(env.PATIENCE)
            return
        with context.wrap_socket(sock, server_side=True) as tls:
            greet(tls)

    with stage.play(act):
        stuck = threading.Thread(target=hang, args=(daemon.address, pki))
        stuck.start()
        env.wait_for(
            lambda: daemon.summary()["connections"]["by_state"]["upstream_handshake"] == 1,
            "the first handshake")
        assert seen(daemon.address, pki) == ORIGINAL
        over.set()
        stuck.join()
        daemon.settle()
        assert seen(daemon.address, pki) == FORGED
    assert passes(daemon, reason="overload")[0]["count"] == 1
    assert "limits.handshakes" in daemon.stderr()


def hang(address, pki):
    with contextlib.suppress(OSError):
        stages.connect_tls(address, client_context(pki.ca)).close()


def test_too_much_memory(ksplitd, pki, stage):
    """A daemon is larger than 1 MiB from the start."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"memory": 1}})
    with origin(stage, pki):
        assert seen(daemon.address, pki) == ORIGINAL
    assert passes(daemon, reason="overload")[0]["count"] == 1
    assert "limits.memory" in daemon.stderr()
