# SPDX-License-Identifier: GPL-2.0-or-later
"""What ksplit cannot or must not intercept passes as it is, with the reason told; and a ClientHello
is understood however it is cut into segments and records."""

import re
import socket
import ssl
import threading

import pytest

from lib import clients, origins, stage as stages, stream
from lib.records import HEADER
from lib.tls import SUITES, client_context, server_context

pytestmark = pytest.mark.relays("auto")


def assert_passed(entry, reason):
    assert (entry["mode"], entry["pass_reason"]) == ("pass", reason), entry
    assert entry["leaf_fingerprint_sha256"] is None, entry
    for flow in ("to_origin", "to_client"):
        assert entry[flow]["relay"] in ("raw", "none"), entry


def test_plain_http_passes(proxy):
    request = b"GET / HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"

    def act(sock):
        got = stream.receive_exactly(sock, len(request))
        sock.sendall(answer)
        return got

    with proxy.stage.play(act) as play:
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(request)
            assert stream.receive_exactly(sock, len(answer)) == answer
            assert sock.recv(1) == b""
        assert play.result() == request
    entry = proxy.line()
    assert_passed(entry, "not_tls")
    assert (entry["to_origin"]["bytes"], entry["to_client"]["bytes"]) == (len(request),
                                                                         len(answer))


def test_many_raw_bytes_pass_both_ways_at_once(proxy):
    size = 8 << 20
    with proxy.stage.play(lambda sock: stream.exchange(
            sock, [b"\0"] + list(stream.random_chunks(size)), size + 1)) as play:
        with stages.connect(proxy.to_stage) as sock:
            sent, received = stream.exchange(
                sock, [b"\0"] + list(stream.random_chunks(size)), size + 1)
            assert play.result() == (received, sent)
    assert_passed(proxy.line(), "not_tls")


def test_raw_half_close_and_reset_pass(proxy):
    def answer_after_end(sock):
        flow = stream.receive_all(sock)
        sock.sendall(b"after your end")
        return flow.bytes

    with proxy.stage.play(answer_after_end) as play:
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(b"not TLS at all")
            sock.shutdown(socket.SHUT_WR)
            assert stream.receive_exactly(sock, 14) == b"after your end"
            assert sock.recv(1) == b""
        assert play.result() == 14

    def wait_for_reset(sock):
        sock.sendall(stream.receive_exactly(sock, 3))
        with pytest.raises(ConnectionResetError):
            stream.receive_all(sock)

    with proxy.stage.play(wait_for_reset) as play:
        sock = stages.connect(proxy.to_stage)
        sock.sendall(b"raw")
        stream.receive_exactly(sock, 3)
        stream.reset(sock)
        play.result()
    assert proxy.lines(2)[1]["reason"] == "reset_by_client"


def test_client_without_a_common_version_passes(proxy):
    """A ClientHello of TLS 1.1 alone goes to the origin as it is."""
    hello = old_client_hello(b"\x03\x02")

    def act(sock):
        return stream.receive_exactly(sock, len(hello))

    with proxy.stage.play(act) as play:
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(hello)
            assert play.result() == hello
    assert_passed(proxy.line(), "no_common_version")


def old_client_hello(version):
    body = (version + bytes(range(32)) + b"\0" + b"\0\x04\xc0\x13\x00\x2f" + b"\x01\0")
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_client_without_a_common_cipher_passes(proxy):
    """TLS 1.2 with a suite that no OpenSSL of today has (TLS_RSA_WITH_NULL_MD5)."""
    body = b"\x03\x03" + bytes(range(32)) + b"\0" + b"\0\x02\x00\x01" + b"\x01\0"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    hello = b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message

    with proxy.stage.play(lambda sock: stream.receive_exactly(sock, len(hello))) as play:
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(hello)
            assert play.result() == hello
    assert_passed(proxy.line(), "no_common_cipher")


@pytest.mark.parametrize("wire", (
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
), ids=("cut short", "no ClientHello"))
def test_malformed_hello_passes(proxy, wire):
    with proxy.stage.play(lambda sock: stream.receive_exactly(sock, len(wire))) as play:
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(wire)
            assert play.result() == wire
    assert_passed(proxy.line(), "hello_malformed")


def test_origin_that_asks_for_a_client_certificate_gets_it(proxy):
    """Only the client has the key: the connection passes, and the client sees the origin's own
    certificate."""
    for suite in (SUITES[0], SUITES[3]):
        def act(sock):
            subject = sock.getpeercert()["subject"]
            stages.echo(sock)
            return subject

        context = server_context(proxy.pki.origin, suite, client_ca=proxy.pki.client_ca)
        mine = client_context(proxy.pki.origin_ca, suite, certificate=proxy.pki.client)
        with proxy.stage.play_tls(context, act) as play:
            # ksplitd's own try, which told it of the wish, ends at the origin first.
            sock = stages.connect_tls(proxy.to_stage, mine)
            sock.sendall(b"with a certificate")
            assert stream.receive_exactly(sock, 18) == b"with a certificate"
            stream.close_orderly(sock)
            assert subject_of(play) == ((("commonName", "test client"),),)
    for entry in proxy.lines(2):
        assert_passed(entry, "client_certificate")


def subject_of(play):
    """The result of the connection that came to an end; the one that was given up is passed over."""
    for _ in range(2):
        try:
            return play.result()
        except (ssl.SSLError, OSError):
            continue
    raise AssertionError("no connection with a client certificate")


@pytest.mark.needs("openssl", "curl")
def test_origin_with_optional_client_certificate_passes(proxy):
    """`openssl s_server -verify` asks without insisting."""
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, "-verify", "1", "-www"):
        page = clients.curl(proxy.to_spare[1], "/", proxy.pki.origin_ca)
        assert b"s_server" in page.stdout
    assert_passed(proxy.line(), "client_certificate")


def test_origin_without_a_common_version_is_left_to_the_client(proxy):
    """An origin that refuses the versions and ciphers that ksplitd offers gets the client's own
    hello: the client sees that refusal and no other."""
    def refuse(sock):
        """Any ClientHello is answered by protocol_version (RFC 8446 6.2)."""
        sock.recv(65536)
        sock.sendall(b"\x15\x03\x03\0\2\2\x46")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with proxy.stage.play(refuse) as play:
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            proxy.client()
        play.result()
    assert_passed(proxy.line(), "upstream_refused")


# -- how a ClientHello may come ----------------------------------------------------------------


class CutSocket:
    """Sends what a TLS library writes first in pieces, or cut into records anew."""

    def __init__(self, address, suite, pki, cut):
        self._sock = stages.connect(address)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context(pki.ca, suite).wrap_bio(self._in, self._out,
                                                           server_hostname="origin.test")
        self._first = cut
        self._step(self._tls.do_handshake)

    def _flush(self):
        data = self._out.read()
        if data and self._first:
            cut, self._first = self._first, None
            cut(self._sock, data)
        elif data:
            self._sock.sendall(data)

    def _step(self, action):
        while True:
            try:
                value = action()
                self._flush()
                return value
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(65536)
                if not data:
                    raise AssertionError("closed in the middle") from None
                self._in.write(data)

    def echo(self, data):
        self._step(lambda: self._tls.write(data))
        return self._step(lambda: self._tls.read(len(data)))

    def close(self):
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()
        self._sock.close()


def byte_at_a_time(sock, data):
    for at in range(len(data)):
        sock.sendall(data[at:at + 1])


def in_small_records(size):
    """The same handshake message in records of `size` bytes."""
    def send(sock, data):
        message = data[HEADER:]
        sock.sendall(b"".join(
            data[:3] + len(part).to_bytes(2, "big") + part
            for part in (message[at:at + size] for at in range(0, len(message), size))))
    return send


def in_two_records_and_segments(sock, data):
    message = data[HEADER:]
    half = len(message) // 2
    for part in (message[:half], message[half:]):
        for piece in (data[:3], len(part).to_bytes(2, "big"), part):
            sock.sendall(piece)


@pytest.mark.parametrize("cut", (byte_at_a_time, in_small_records(1), in_small_records(3),
                                 in_small_records(100), in_two_records_and_segments),
                         ids=("byte at a time", "records of 1", "records of 3", "records of 100",
                              "two records in six segments"))
@pytest.mark.parametrize("suite", (SUITES[0], SUITES[3]), ids=repr)
def test_client_hello_in_pieces_is_intercepted(proxy, suite, cut):
    with proxy.origin(stages.echo, suite) as play:
        sock = CutSocket(proxy.to_stage, suite, proxy.pki, cut)
        assert sock.echo(b"understood") == b"understood"
        sock.close()
        play.result()
    entry = proxy.line()
    assert (entry["mode"], entry["sni"]) == ("intercept", "origin.test"), entry


def test_long_hello_is_intercepted(proxy):
    """A hundred ALPN names."""
    names = ["protocol-%03d/%s" % (number, "x" * 40) for number in range(8)]
    with proxy.origin(lambda sock: sock.selected_alpn_protocol(), alpn=names[-1:]) as play:
        with proxy.client(alpn=names) as sock:
            assert sock.selected_alpn_protocol() == names[-1]
        assert play.result() == names[-1]


def test_hello_without_a_name_is_intercepted(proxy):
    context = client_context(proxy.pki.ca)
    context.check_hostname = False
    with proxy.origin(stages.echo) as play:
        sock = context.wrap_socket(stages.connect(proxy.to_stage), server_hostname=None)
        sock.sendall(b"no name")
        assert stream.receive_exactly(sock, 7) == b"no name"
        stream.close_orderly(sock)
        play.result()
    entry = proxy.line()
    assert (entry["mode"], entry["sni"]) == ("intercept", None), entry


@pytest.mark.needs("openssl")
def test_client_that_cannot_verify_the_cas_signatures_passes(proxy):
    """It says that it knows RSA alone, and the CA's key is EC: whatever key the leaf has, it would
    have to refuse it."""
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin_rsa):
        authority = proxy.pki.both_authorities()
        with clients.s_client(proxy.to_spare[1], authority, "-tls1_2",
                              "-cipher", "ECDHE-RSA-AES128-GCM-SHA256",
                              "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256") as client:
            client.expect("Verify return code: 0")
            assert "origin CA" in re.search(r"issuer=(.*)", client.text()).group(1)
            client.say("Q\n")
            client.wait()
    assert_passed(proxy.line(), "no_common_signature")


def test_client_that_leaves_before_its_hello(proxy):
    stages.connect(proxy.to_stage).close()
    assert proxy.line()["reason"] == "client_gone"


def test_client_that_leaves_inside_its_hello(proxy):
    """Its few bytes go to the origin as they are, or nowhere."""
    with proxy.stage.play(lambda sock: stream.receive_all(sock).bytes):
        with stages.connect(proxy.to_stage) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        entry = proxy.line()
    assert entry["reason"] == "client_gone" or entry["mode"] == "pass", entry


def test_server_that_speaks_first_passes(ksplitd, stage):
    """A silent client and an origin that greets (SMTP, SSH): after the peek's deadline the bytes
    pass or the connection ends, but never before the client had its time."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"deadlines_ms": {"peek": 300}}})
    greeting, done = b"220 ready\r\n", threading.Event()

    def act(sock):
        sock.sendall(greeting)
        done.wait(30)

    with stage.play(act):
        with stages.connect(daemon.address) as sock:
            sock.settimeout(30)
            data = sock.recv(100)
        done.set()
    (entry,) = daemon.wait_log()
    if data:
        assert data == greeting
        assert_passed(entry, "server_first")
    else:
        assert entry["reason"] == "peek_timeout", entry
