# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogues that begin in plain and turn to TLS, and those that do not."""

import contextlib
import socket
import ssl
import threading

import pytest

from lib import env, stage as stages, starttls, stream
from lib.tls import TLS12, TLS13, client_context, server_context

NAMES = {"postgres": "postgresql", "irc": "other"}


@pytest.fixture
def daemon(ksplitd, stage):
    return ksplitd("127.0.0.1:%d" % stage.port)


def origin(stage, pki, talk, **more):
    return starttls.serve(stage, pki.origin, talk, **more)


@pytest.mark.parametrize("protocol", starttls.SERVERS)
def test_upgrades(daemon, stage, pki, protocol):
    with origin(stage, pki, starttls.SERVERS[protocol]) as play:
        assert starttls.s_client(daemon.address, protocol, pki.ca) == b"HELLO\n"
        assert play.result() == b"hello\n"
    (entry,) = daemon.wait_log()
    assert entry["mode"] == "intercept", entry
    name = NAMES.get(protocol, protocol)
    assert entry["starttls"]["protocol"] == name, entry
    assert entry["leaf_fingerprint_sha256"], entry
    assert entry["to_origin"]["bytes"] == entry["to_client"]["bytes"] == 6, entry
    assert entry["starttls"]["to_client_bytes"] > 0, entry
    assert daemon.ask("summary")["starttls"][name] == 1
    assert_in_the_kernel(entry)


def assert_in_the_kernel(entry):
    expected = True if env.EXPECT_KTLS else "ktls_not_in_kernel"
    for side in ("client_tls", "upstream_tls"):
        assert entry[side]["ktls"] == {"rx": expected, "tx": expected}, entry


@pytest.mark.parametrize("suite", [TLS12, TLS13], ids=str)
def test_bulk_after_an_upgrade(daemon, stage, pki, suite):
    """Keys into the kernel in mid stream: nothing that went in plain counts as a record."""
    size = 300000

    def act(sock):
        starttls.smtp(sock)
        context = server_context(pki.origin, suite)
        with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as tls:
            return stream.exchange(tls, stream.random_chunks(size), size)

    with stage.play(act) as play:
        sock = stages.connect(daemon.address)
        for command in b"EHLO x\r\n", b"STARTTLS\r\n":
            while starttls.line(sock)[3:4] == b"-":
                pass
            sock.sendall(command)
        while not starttls.line(sock).startswith(b"220 "):
            pass
        with client_context(pki.ca, suite).wrap_socket(sock, server_hostname="origin.test") as tls:
            sent, received = stream.exchange(tls, stream.random_chunks(size), size)
        assert play.result() == (received, sent)
    (entry,) = daemon.wait_log()
    assert entry["starttls"]["protocol"] == "smtp", entry
    assert entry["to_origin"]["bytes"] == entry["to_client"]["bytes"] == size, entry
    assert_in_the_kernel(entry)


# -- what does not turn to TLS, or not for us ----------------------------------------------------


def converse(stage, daemon, talk, client):
    """A server in plain, and a client that is given its socket."""
    with stage.play(talk) as play:
        with stages.connect(daemon.address) as sock:
            sock.settimeout(env.PATIENCE)
            client(sock)
        return play.result()


def hello_of(pki):
    """The bytes of a real ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(pki.ca).wrap_bio(incoming, outgoing, server_hostname="origin.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def rest(sock):
    return b"".join(stream.pieces(sock))


def passed(daemon, reason):
    (entry,) = daemon.wait_log()
    assert (entry["mode"], entry["pass_reason"]) == ("pass", reason), entry
    assert entry["leaf_fingerprint_sha256"] is None, entry
    return entry


def test_refusal(daemon, stage, pki):
    """The dialogue goes on in plain; a hello all the same is the origin's affair."""
    hello = hello_of(pki)

    def server(sock):
        sock.sendall(b"220 x\r\n")
        starttls.expect(sock, b"STARTTLS")
        sock.sendall(b"454 not now\r\n")
        return rest(sock)

    def client(sock):
        starttls.line(sock)
        sock.sendall(b"STARTTLS\r\n")
        assert starttls.line(sock) == b"454 not now\r\n"
        sock.sendall(hello)

    assert converse(stage, daemon, server, client) == hello
    passed(daemon, "server_first")


@pytest.mark.parametrize("behind", [b"RSET\r\n", None], ids=["command", "hello"])
def test_bytes_behind_the_command_reach_the_origin_in_plain(daemon, stage, pki, behind):
    """CVE-2011-0411. What comes after them is not ours either."""
    behind = behind or hello_of(pki)

    def server(sock):
        sock.sendall(b"220 x\r\n")
        assert starttls.line(sock) == b"STARTTLS\r\n"
        heard = starttls.exactly(sock, len(behind))
        sock.sendall(b"220 go\r\n")
        return heard + rest(sock)

    def client(sock):
        starttls.line(sock)
        sock.sendall(b"STARTTLS\r\n" + behind)
        assert starttls.line(sock) == b"220 go\r\n"
        sock.sendall(hello_of(pki)[:100])

    heard = converse(stage, daemon, server, client)
    assert heard[:len(behind)] == behind and len(heard) == len(behind) + 100
    passed(daemon, "starttls_pipelined")


def test_bytes_behind_the_answer_reach_the_client_in_plain(daemon, stage, pki):
    def server(sock):
        sock.sendall(b"220 x\r\n")
        starttls.line(sock)
        sock.sendall(b"220 go\r\n250 injected\r\n")
        return rest(sock)

    def client(sock):
        starttls.line(sock)
        sock.sendall(b"STARTTLS\r\n")
        assert starttls.exactly(sock, 22) == b"220 go\r\n250 injected\r\n"
        sock.sendall(b"x")

    assert converse(stage, daemon, server, client) == b"x"
    passed(daemon, "starttls_pipelined")


def test_hello_inside_a_message_is_no_hello(daemon, stage, pki):
    hello = hello_of(pki)

    def server(sock):
        sock.sendall(b"220 x\r\n")
        for answer in b"250 x", b"250 x", b"250 x", b"354 go":
            starttls.line(sock)
            sock.sendall(answer + b"\r\n")
        return rest(sock)

    def client(sock):
        starttls.line(sock)
        for command in b"EHLO x", b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"DATA":
            sock.sendall(command + b"\r\n")
            starttls.line(sock)
        sock.sendall(hello)

    assert converse(stage, daemon, server, client) == hello
    passed(daemon, "server_first")


def test_hello_out_of_turn_is_no_hello(daemon, stage, pki):
    """An unknown protocol: more than a hello, or not the client's turn."""
    message = hello_of(pki) + b"and more"

    def server(sock):
        starttls.exactly(sock, 1)
        sock.sendall(b"?")
        return rest(sock)

    def client(sock):
        sock.sendall(b"\x05")
        starttls.exactly(sock, 1)
        sock.sendall(message)

    assert converse(stage, daemon, server, client) == message
    passed(daemon, "not_tls")


def test_rule_passes_after_the_dialogue(ksplitd, stage, pki):
    """Nothing of the hello was taken: the two ends shake hands with each other."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"pass": [{"sni": "origin.test"}]})
    with origin(stage, pki, starttls.smtp) as play:
        assert starttls.s_client(daemon.address, "smtp", pki.origin_ca) == b"HELLO\n"
        assert play.result() == b"hello\n"
    assert passed(daemon, "pass_rule")["starttls"]["protocol"] == "smtp"


def test_client_certificate_is_learned(ksplitd, stage, pki):
    """The first one cannot be started over; the next is passed and works."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"learned_pass": 60000}})
    certificate = ("-cert", pki.client.cert, "-key", pki.client.key)
    with origin(stage, pki, starttls.smtp, client_ca=pki.client_ca) as play:
        with pytest.raises(AssertionError, match="s_client ended"):
            starttls.s_client(daemon.address, "smtp", pki.origin_ca, more=certificate)
        with pytest.raises((ssl.SSLError, OSError)):
            play.result()
        assert starttls.s_client(daemon.address, "smtp", pki.origin_ca,
                                 more=certificate) == b"HELLO\n"
    first, second = daemon.wait_log(count=2)
    assert (first["reason"], first["mode"]) == ("upgrade_failed", "intercept"), first
    assert (second["mode"], second["pass_reason"]) == ("pass", "starttls_learned"), second
    assert daemon.ask("summary")["reasons"]["pass"]["client_certificate"] == 1


def test_split_hello_and_late_hello(daemon, stage, pki):
    """A client that is slow to begin is intercepted, however its hello arrives."""
    with origin(stage, pki, lambda sock: None):
        with stages.connect(daemon.address) as sock:
            env.wait_for(lambda: [c for c in daemon.connections() if c["state"] == "plain"],
                         "the origin to be called for a silent client")
            relayed, ours = socket.socketpair()
            with relayed, ours:
                thread = threading.Thread(target=dribble, args=(relayed, sock), daemon=True)
                thread.start()
                with client_context(pki.ca).wrap_socket(
                        ours, server_hostname="origin.test") as tls:
                    tls.sendall(b"x")
                    assert tls.recv(1) == b"X"
            sock.shutdown(socket.SHUT_WR)
            thread.join(env.PATIENCE)
    (entry,) = daemon.wait_log()
    assert (entry["mode"], entry["starttls"]) == ("intercept", None), entry


def dribble(ours, sock):
    """Relay between two sockets; what goes into the second goes in two parts."""
    def back():
        with contextlib.suppress(OSError): # either end may be closed before this ends
            while data := sock.recv(65536):
                ours.sendall(data)

    threading.Thread(target=back, daemon=True).start()
    while True:
        data = ours.recv(65536)
        if not data:
            return
        for part in data[:7], data[7:]:
            sock.sendall(part)


def test_off(ksplitd, stage, pki):
    daemon = ksplitd({"to": "127.0.0.1:%d" % stage.port, "starttls": "off"},
                     {"limits": {"deadlines_ms": {"peek": 300}}})
    with origin(stage, pki, starttls.smtp):
        assert starttls.s_client(daemon.address, "smtp", pki.origin_ca) == b"HELLO\n"
    passed(daemon, "server_first")


def test_long_dialogue_is_not_watched(daemon, stage, pki):
    """After 64 KiB nobody looks."""
    hello = hello_of(pki)

    def server(sock):
        starttls.exactly(sock, 70000)
        sock.sendall(b"?")
        return rest(sock)

    def client(sock):
        sock.sendall(b"x" * 70000)
        starttls.exactly(sock, 1)
        sock.sendall(hello)

    assert converse(stage, daemon, server, client) == hello
    passed(daemon, "not_tls")


def test_postgresql_in_tls_from_the_first_byte(daemon, stage, pki):
    """libpq's sslnegotiation=direct (PostgreSQL 17): its ALPN tells the server what it is."""
    def act(tls):
        assert stream.receive_exactly(tls, 8) == b"startup\0"
        tls.sendall(b"R")
        return tls.selected_alpn_protocol()

    with stage.play_tls(server_context(pki.origin, alpn=["postgresql"]), act) as play:
        with stages.connect_tls(daemon.address,
                                client_context(pki.ca, alpn=["postgresql"])) as tls:
            assert tls.selected_alpn_protocol() == "postgresql"
            tls.sendall(b"startup\0")
            assert stream.receive_exactly(tls, 1) == b"R"
        assert play.result() == "postgresql"
    (entry,) = daemon.wait_log()
    assert (entry["mode"], entry["starttls"], entry["alpn"]) == ("intercept", None, "postgresql"), entry
    assert_in_the_kernel(entry)
