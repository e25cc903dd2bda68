# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins that are down, silent or not to be trusted: the client gets an alert or a close in time,
and the reason is counted."""

import socket
import ssl
import time

import pytest

from lib import env, origins, stage as stages, stream
from lib.tls import client_context, server_context

# Far above scheduling noise, far below the test's patience.
DEADLINE_MS = 700


def call(daemon, pki, context=None):
    """A client's try: what it got instead of a connection."""
    try:
        sock = stages.connect_tls(daemon.address, context or client_context(pki.ca))
    except ssl.SSLEOFError:
        return "eof"
    except ssl.SSLError as exc:
        return exc.reason or str(exc)
    except ConnectionResetError:
        return "reset"
    sock.close()
    return "connected"


REFUSALS = ("eof", "reset", "UNEXPECTED_EOF_WHILE_READING")


def assert_refused(got):
    assert got in REFUSALS or "ALERT" in got, got


def one_line(daemon, reason):
    (entry,) = daemon.wait_log()
    assert entry["reason"] == reason, entry
    assert daemon.reason_count(reason) == 1
    return entry


def test_origin_down(ksplitd, pki):
    daemon = ksplitd("127.0.0.1:%d" % env.free_port())
    assert_refused(call(daemon, pki))
    one_line(daemon, "connect_failed")
    assert daemon.summary()["handshakes"]["client_completed"] == 0


def test_origin_that_never_answers(ksplitd, pki):
    """The TCP connection stands, the handshake does not come."""
    silent = origins.Silent()
    daemon = ksplitd("127.0.0.1:%d" % silent.port,
                     {"limits": {"deadlines_ms": {"upstream_handshake": DEADLINE_MS}}})
    start = time.monotonic()
    assert_refused(call(daemon, pki))
    assert time.monotonic() - start >= DEADLINE_MS / 1000 * 0.9
    one_line(daemon, "upstream_handshake_timeout")
    silent.close()


def test_origin_that_does_not_accept(ksplitd, pki):
    """A full backlog: SYNs are not answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", env.free_port()))
        listener.listen(0)
        fillers = []
        try:
            # The backlog takes one more than it says; connects beyond stay unanswered.
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            daemon = ksplitd("127.0.0.1:%d" % listener.getsockname()[1],
                             {"limits": {"deadlines_ms": {"connect": DEADLINE_MS}}})
            assert_refused(call(daemon, pki))
            one_line(daemon, "connect_timeout")
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("how", ("closes", "resets", "stops"))
def test_origin_that_breaks_the_handshake_off(ksplitd, pki, stage, how):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"deadlines_ms": {"upstream_handshake": DEADLINE_MS}}})

    def act(sock):
        sock.recv(65536)
        if how == "resets":
            stream.reset(sock)
        elif how == "stops":
            # The first bytes of a ServerHello that never ends.
            sock.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
            while sock.recv(65536):
                pass

    with stage.play(act):
        assert_refused(call(daemon, pki))
    one_line(daemon, "upstream_handshake_timeout" if how == "stops"
             else "upstream_handshake_failed")


def test_origin_that_does_not_speak_tls(ksplitd, pki, stage):
    """What it says instead may be handed to the client, but no connection comes of it."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)

    def act(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)

    with stage.play(act):
        got = call(daemon, pki)
    assert got in REFUSALS + ("WRONG_VERSION_NUMBER",) or "ALERT" in got, got
    (entry,) = daemon.wait_log()
    assert entry["reason"] == "upstream_handshake_failed" or (
        entry["pass_reason"] == "upstream_refused"), entry


@pytest.mark.parametrize("which", ("unknown", "expired"))
@pytest.mark.parametrize("verify", ("require",))
def test_unverified_origin_is_refused_with_an_alert(ksplitd, pki, stage, which, verify):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": {"verify": verify}})
    with stage.play_tls(server_context(getattr(pki, which)), stages.echo):
        got = call(daemon, pki)
    assert "ALERT" in got, got
    one_line(daemon, "upstream_unverified")


def test_origin_of_another_name_is_refused(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": {"verify": "require"}})
    with stage.play_tls(server_context(pki.origin), stages.echo):
        with pytest.raises(ssl.SSLError, match="ALERT"):
            stages.connect_tls(daemon.address, client_context(pki.ca), name="elsewhere.test")
    one_line(daemon, "upstream_unverified")


@pytest.mark.parametrize("which", ("unknown", "expired"))
def test_unverified_origin_passes_when_told_not_to_look(ksplitd, pki, stage, which):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"upstream": {"verify": "off"}})
    context = client_context(pki.ca)
    # The leaf's validity is the origin's: an expired one stays visibly expired.
    if which == "expired":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with stage.play_tls(server_context(getattr(pki, which)), stages.echo) as play:
        sock = stages.connect_tls(daemon.address, context)
        sock.sendall(b"trusted")
        assert stream.receive_exactly(sock, 7) == b"trusted"
        stream.close_orderly(sock)
        play.result()
    one_line(daemon, "closed")


def test_client_that_refuses_the_leaf(ksplitd, pki, stage):
    """A pinned client: it trusts the origin's CA and not ksplit's."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    with stage.play_tls(server_context(pki.origin), stages.echo):
        assert "CERTIFICATE_VERIFY_FAILED" in call(daemon, pki, client_context(pki.origin_ca))
    entry = one_line(daemon, "leaf_rejected")
    assert entry["client_tls"]["alert_received"] == "unknown_ca", entry


def test_client_that_says_nothing(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"deadlines_ms": {"peek": 300}}})
    with stages.connect(daemon.address) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        told = stream.receive_exactly(sock, 7) if sock.recv(1, socket.MSG_PEEK) else b""
        assert told[:1] in (b"", b"\x15"), told
        assert sock.recv(1) == b""
    one_line(daemon, "peek_timeout")


def test_client_that_stops_in_its_handshake(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"deadlines_ms": {"client_handshake": DEADLINE_MS}}})
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(pki.ca).wrap_bio(inbound, outbound, server_hostname="origin.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with stage.play_tls(server_context(pki.origin), stages.echo):
        with stages.connect(daemon.address) as sock:
            sock.sendall(outbound.read())
            assert sock.recv(5)[0] == 22
            while sock.recv(65536):
                pass
    one_line(daemon, "client_handshake_timeout")


def test_idle_connection_ends_at_its_deadline(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"deadlines_ms": {"idle": DEADLINE_MS}}})
    with stage.play_tls(server_context(pki.origin), stages.echo):
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        # Traffic puts the deadline off: twice its length passes here.
        deadline = time.monotonic() + 2 * DEADLINE_MS / 1000
        while time.monotonic() < deadline:
            sock.sendall(b"still here")
            stream.receive_exactly(sock, 10)
        sock.settimeout(env.PATIENCE)
        try:
            assert sock.recv(1) == b""
        except (ssl.SSLError, ConnectionResetError):
            pass
        sock.close()
    one_line(daemon, "idle_timeout")


def test_client_that_does_not_take_the_last_bytes(ksplitd, pki, stage):
    """The origin has ended in order; its bytes wait for a client that reads nothing."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"deadlines_ms": {"close": DEADLINE_MS, "idle": 3000}}})

    def send_and_end(sock):
        sock.sendall(bytes(1 << 20))
        try:
            stream.close_orderly(sock)
        except (OSError, ssl.SSLError):
            pass

    with stage.play_tls(server_context(pki.origin), send_and_end) as play:
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        (entry,) = daemon.wait_log()
        sock.close()
        play.result()
    assert entry["reason"] in ("close_timeout", "idle_timeout"), entry


def test_origin_that_resets_while_the_client_reads_nothing(ksplitd, pki, stage):
    """The RST must be noticed although nobody waits for bytes of the origin just then."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)

    def flood(sock):
        sock.settimeout(1)
        try:
            while True:
                sock.sendall(bytes(65536))
        except TimeoutError:
            pass
        stream.reset(sock)

    with stage.play_tls(server_context(pki.origin), flood) as play:
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        play.result()
        (entry,) = daemon.wait_log()
        sock.close()
    assert entry["reason"] == "reset_by_origin", entry
