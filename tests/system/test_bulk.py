# SPDX-License-Identifier: GPL-2.0-or-later
"""Many bytes, odd records, slow readers and many connections."""

import hashlib
import os
import threading

import pytest

from lib import env, expect, stage as stages, stream
from lib.env import wait_for
from lib.tls import SUITES, client_context, server_context

MIB = 1 << 20


def test_64_mib_both_ways_at_once(proxy):
    """Compared by SHA-256 on either end. An emulated machine moves a quarter of it."""
    size = (16 if env.IN_VM else 64) * MIB
    proxy.exchange(size=size)
    entry = proxy.line()
    expect.assert_relayed(entry, proxy.relay)
    assert (entry["to_origin"]["bytes"], entry["to_client"]["bytes"]) == (size, size)
    for flow in (entry["to_client"], entry["to_origin"]):
        expect.assert_spliced(flow, proxy.relay)  # with auto, too: without being told to


@pytest.mark.parametrize("suite", (SUITES[0], SUITES[3]), ids=repr)
def test_random_record_sizes_from_1_to_16384(proxy, suite):
    proxy.exchange(suite, suite, 4 * MIB, client_records="random", origin_records="random")
    expect.assert_relayed(proxy.line(), proxy.relay)


def test_records_of_one_byte(proxy):
    proxy.exchange(size=3000, client_records=1, origin_records=1)
    assert proxy.line()["to_origin"]["bytes"] == 3000


def test_client_and_origin_alternate(proxy):
    """Question and answer in turn: nothing may wait for more bytes to come."""
    with proxy.origin(stages.echo) as play:
        with proxy.client() as sock:
            for size in [1, 2, 100, 1460, 3000, 16384, 16385, 40000] * 3:
                question = os.urandom(size)
                sock.sendall(question)
                assert stream.receive_exactly(sock, size) == question
            sock.unwrap()
        play.result()


@pytest.mark.parametrize("slow", ("client", "origin"))
def test_slow_reader_holds_the_sender_up(proxy, slow):
    """Back-pressure: while one side does not read, the other must stop before ksplitd has taken
    more than some buffers full, and everything arrives once reading goes on."""
    size, enough = 48 * MIB, threading.Event()
    before = proxy.daemon.rss_kib()

    def send(sock):
        """Non-blocking until the way is full, then say so, then the rest."""
        flow = stream.Flow()
        chunks = stream.random_chunks(size)
        sock.settimeout(2)
        for chunk in chunks:
            try:
                sock.sendall(chunk)
            except TimeoutError:
                enough.set()
                sock.settimeout(env.PATIENCE)
                sock.sendall(chunk)
            flow.add(chunk)
        enough.set()
        return flow

    def receive(sock):
        assert enough.wait(env.PATIENCE), "the sender is neither held up nor done"
        grown = proxy.daemon.rss_kib() - before
        return stream.receive_all(sock), grown

    act = send if slow == "client" else receive

    def play_origin(sock):
        value = act(sock)
        stream.close_orderly(sock)
        return value

    with proxy.origin(play_origin) as play:
        sock = proxy.client()
        mine = (receive if slow == "client" else send)(sock)
        stream.close_orderly(sock)
        theirs = play.result()
    sent, (received, grown) = (theirs, mine) if slow == "client" else (mine, theirs)
    assert received == sent
    if not env.SANITIZED:
        assert grown < 8 * 1024, "ksplitd grew by %d KiB" % grown


@pytest.mark.relays("auto")
def test_500_connections_at_once(proxy):
    """All open at the same time, each with an answer of its own, then all closed. Handshakes are
    what an emulated machine is slowest at: fewer there."""
    count = 100 if env.IN_VM else 500
    context = client_context(proxy.pki.ca)
    with proxy.origin(stages.echo) as play:
        socks = []
        try:
            for batch in range(0, count, 50):
                socks += connect_many(proxy.to_stage, context, 50)
            # A client has finished its handshake a moment before ksplitd has.
            wait_for(lambda: proxy.daemon.summary()["connections"]["by_state"]["relay"] == count,
                     lambda: "all to be relayed: %s" % proxy.daemon.summary()["connections"])
            for number, sock in enumerate(socks):
                sock.sendall(b"connection %d" % number)
            for number, sock in enumerate(socks):
                wanted = b"connection %d" % number
                assert stream.receive_exactly(sock, len(wanted)) == wanted
            for sock in socks:
                sock.unwrap()
            for _ in socks:
                play.result()
        finally:
            for sock in socks:
                sock.close()
    lines = proxy.lines(count)
    assert len(lines) == count
    for entry in lines:
        expect.assert_relayed(entry, proxy.relay)


def connect_many(address, context, count):
    """TLS connections made by several threads at once."""
    socks, errors = [], []

    def connect_some(number):
        try:
            for _ in range(number):
                socks.append(stages.connect_tls(address, context))
        except Exception as exc:  # noqa: B902 - raised in the test's thread below
            errors.append(exc)

    threads = [threading.Thread(target=connect_some, args=(count // 5,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return socks


@pytest.mark.relays("auto")
def test_2000_connections_leave_no_descriptor(proxy):
    """Counted in /proc: after 2,000 connections as many descriptors as after 100."""
    context = client_context(proxy.pki.ca)

    def one_byte(sock):
        sock.sendall(stream.receive_exactly(sock, 1))
        stream.receive_all(sock)
        sock.unwrap()

    def call(count, threads=4):
        errors = []

        def some():
            try:
                for _ in range(count // threads):
                    sock = stages.connect_tls(proxy.to_stage, context)
                    sock.sendall(b"x")
                    stream.receive_exactly(sock, 1)
                    stream.close_orderly(sock)
            except Exception as exc:  # noqa: B902 - raised in the test's thread below
                errors.append(exc)
        crew = [threading.Thread(target=some) for _ in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        if errors:
            raise errors[0]

    with proxy.origin(one_byte):
        call(100)
        proxy.daemon.settle()
        descriptors, memory = proxy.daemon.fd_count(), proxy.daemon.rss_kib()
        call(2000)
        proxy.daemon.settle()
        wait_for(lambda: proxy.daemon.fd_count() <= descriptors,
                 lambda: "descriptors: %d, were %d" % (proxy.daemon.fd_count(), descriptors))
        if not env.SANITIZED:
            assert proxy.daemon.rss_kib() < memory + 4096


def test_idle_connection_holds_two_descriptors(proxy):
    """Pipes go back to the pool when they are empty."""
    before = proxy.daemon.fd_count()
    with proxy.origin(stages.echo) as play:
        socks = [proxy.client() for _ in range(20)]
        for sock in socks:
            sock.sendall(b"x" * 5000)
            stream.receive_exactly(sock, 5000)
        # The pool keeps a few pipes open for the next who needs one.
        wait_for(lambda: proxy.daemon.socket_count() == 40,
                 lambda: "two sockets a connection: %d" % proxy.daemon.socket_count())
        pipes = proxy.daemon.fd_count() - before - 40
        assert pipes <= 16, "%d descriptors besides the sockets" % pipes
        for sock in socks:
            stream.close_orderly(sock)
            play.result()


@pytest.mark.relays("auto", "user")
def test_bytes_sent_with_the_handshake_are_not_lost(proxy):
    """The client's first bytes come in one segment with its Finished, the origin's with its
    session tickets: both must cross the switch into the kernel in order."""
    def act(sock):
        hello = b"first bytes of the origin"
        sock.sendall(hello)
        data = stream.receive_exactly(sock, 26)
        stream.receive_all(sock)
        stream.close_orderly(sock)
        return data

    for suite in (SUITES[0], SUITES[3]):
        for _ in range(10):
            with proxy.stage.play_tls(server_context(proxy.pki.origin, suite), act) as play:
                with proxy.client(suite) as sock:
                    sock.sendall(b"first bytes of the client!")
                    assert stream.receive_exactly(sock, 25) == b"first bytes of the origin"
                    stream.close_orderly(sock)
                assert play.result() == b"first bytes of the client!"


def test_upload_and_download_digests_differ_for_different_bytes():
    """The comparison itself: one flipped bit is seen."""
    one, other = stream.Flow(), stream.Flow()
    one.add(b"\0" * 1000)
    other.add(b"\0" * 999 + b"\1")
    assert not one == other
    assert one.digest == hashlib.sha256(b"\0" * 1000).hexdigest()
