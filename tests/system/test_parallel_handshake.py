# SPDX-License-Identifier: GPL-2.0-or-later
"""The client's handshake beside the origin's, where the origin is known (docs/sessions.md)."""

import hashlib
import ssl
import threading

import pytest

from lib import env, expect, stage as stages, stream
from lib.chromium import Chromium
from lib.env import free_port
from lib.nginx import NginxProgram
from lib.stage import connect_tls
from lib.tls import TLS12, TLS13, client_context, server_context
from lib.visits import CLIENTS, Trust, Visit

VERSIONS = pytest.mark.parametrize("suite", (TLS12, TLS13), ids=repr)
ON = {"workers": 1, "upstream": {"parallel_handshake": True}}
SIZE = 300000


@pytest.fixture
def daemon(ksplitd, stage):
    return ksplitd("127.0.0.1:%d" % stage.port, ON)


def counted(daemon):
    """Handshakes beside the origin's: how many, and how many of them for nothing."""
    handshakes = daemon.summary()["handshakes"]
    return handshakes["parallel"], handshakes["parallel_wrong"]


def call(daemon, context, size=1000):
    """One call to an origin that echoes."""
    with connect_tls(daemon.address, context) as sock:
        sock.sendall(b"x" * size)
        assert stream.receive_exactly(sock, size) == b"x" * size
        stream.close_orderly(sock)


def make_known(daemon, stage, context, of_origin):
    mark = daemon.mark()
    with stage.play_tls(of_origin, stages.echo) as play:
        call(daemon, context)
        play.result()
    daemon.wait_log(mark)


def await_client(daemon):
    """The origin's part: say nothing before the client was answered, or there is nothing to guess."""
    env.wait_for(lambda: counted(daemon)[0] == 1, "the client's handshake beside the origin's")


def patient_echo(daemon, of_origin):
    def act(sock):
        await_client(daemon)
        with of_origin.wrap_socket(sock, server_side=True) as secured:
            return stages.echo(secured)
    return act


def assert_closed_unused(daemon, context, mark, reason):
    """The client's handshake is done; then it is told an orderly end, and nothing else."""
    with connect_tls(daemon.address, context) as sock:
        assert sock.recv(1) == b""  # a close_notify: else SSLEOFError
    entry, = daemon.wait_log(mark)
    assert (entry["reason"], entry["to_origin"]["bytes"]) == (reason, 0), entry


@VERSIONS
def test_client_is_answered_before_the_origin_has(ksplitd, stage, pki, suite):
    """The origin says nothing before the client's handshake is done: otherwise they would wait for
    each other. Then all that is sent arrives, and the keys are where they always are."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, ON)
    context, of_origin = client_context(pki.ca, suite), server_context(pki.origin, suite)
    make_known(daemon, stage, context, of_origin)
    shaken = threading.Event()

    def act(sock):
        assert shaken.wait(env.PATIENCE)
        with of_origin.wrap_socket(sock, server_side=True) as secured:
            flows = stream.exchange(secured, stream.random_chunks(SIZE), SIZE)
            stream.receive_all(secured)
            stream.close_orderly(secured)
            return flows

    mark, before = daemon.mark(), env.read_tls_stat()
    with stage.play(act) as play:
        with connect_tls(daemon.address, context) as sock:
            shaken.set()
            sent, received = stream.exchange(sock, stream.random_chunks(SIZE), SIZE)
            stream.close_orderly(sock)
        assert play.result() == (received, sent)
    entry, = daemon.wait_log(mark)
    expect.assert_relayed(entry, "auto")
    if expect.kernel_expected("auto"):
        expect.assert_kernel_counted(before, 1)
    assert counted(daemon) == (1, 0)


@VERSIONS
def test_client_that_is_slower_than_the_origin(daemon, stage, pki, suite):
    """Its last flight comes when the origin is long ready: the usual order."""
    context, of_origin = client_context(pki.ca, suite), server_context(pki.origin, suite)
    make_known(daemon, stage, context, of_origin)
    mark = daemon.mark()

    with stage.play(patient_echo(daemon, of_origin)) as play, \
            stages.connect(daemon.address) as sock:
        came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(came, out, server_hostname="origin.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(out.read())
        env.wait_for(lambda: daemon.connections() and
                     daemon.connections()[0]["state"] == "client_handshake",
                     "the handshake with the origin")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(out.read())
                came.write(sock.recv(65536))
        tls.write(b"hello")
        sock.sendall(out.read())
        while True:
            try:
                assert tls.read(5) == b"hello"
                break
            except ssl.SSLWantReadError:
                came.write(sock.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        sock.sendall(out.read())
        assert play.result() == 5
    assert daemon.wait_log(mark)[0]["reason"] == "closed"
    assert counted(daemon) == (1, 0)


def test_off_unless_asked_for(ksplitd, stage, pki):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    context, of_origin = client_context(pki.ca), server_context(pki.origin)
    for _ in range(2):
        make_known(daemon, stage, context, of_origin)
    assert counted(daemon) == (0, 0)


def test_nothing_is_known_after_a_reload(daemon, stage, pki):
    context, of_origin = client_context(pki.ca), server_context(pki.origin)
    make_known(daemon, stage, context, of_origin)
    with stage.play(patient_echo(daemon, of_origin)) as play:
        call(daemon, context)
        play.result()
    assert daemon.ask("reload")["reloaded"]
    make_known(daemon, stage, context, of_origin)
    assert counted(daemon) == (1, 0)


def test_what_is_known_is_not_for_others(daemon, stage, pki):
    """Another name, another ALPN offer, a client that needs another key in its leaf."""
    context, of_origin = client_context(pki.ca), server_context(pki.origin)
    make_known(daemon, stage, context, of_origin)
    rsa = client_context(pki.ca, TLS12)
    rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with stage.play_tls(of_origin, stages.echo):
        with connect_tls(daemon.address, context, name="www.origin.test") as sock:
            stream.close_orderly(sock)
        for other in (client_context(pki.ca, alpn=["http/1.1"]), rsa):
            call(daemon, other)
    assert counted(daemon) == (0, 0)


# What an origin that was known may come with, and why the call is over then.
CHANGES = {
    "certificate": (lambda pki: server_context(pki.origin_rsa), "guess_wrong"),
    "expired": (lambda pki: server_context(pki.expired), "guess_wrong"),
    "alpn": (lambda pki: server_context(pki.origin, alpn=["http/1.1"]), "guess_wrong"),
    "client certificate": (lambda pki: server_context(pki.origin, client_ca=pki.client_ca),
                           "guess_wrong"),
    "version": (lambda pki: None, "guess_wrong"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_origin_that_has_changed(daemon, stage, pki, change):
    """The client gets an orderly end and can call again; the origin has had nothing of it. The next
    calls wait for the origin."""
    context = client_context(pki.both_authorities(), alpn=["h2", "http/1.1"])
    make_known(daemon, stage, context, server_context(pki.origin, alpn=["h2"]))
    make, reason = CHANGES[change]
    of_origin, mark = make(pki), daemon.mark()

    def act(sock):
        await_client(daemon)
        if not of_origin:
            sock.recv(65536)
            sock.sendall(bytes.fromhex("15030300020246"))  # alert protocol_version
            return sock.recv(1)
        try:
            with of_origin.wrap_socket(sock, server_side=True) as secured:
                return secured.recv(1)
        except OSError:
            return b""

    with stage.play(act) as play:
        with connect_tls(daemon.address, context) as sock:
            sock.sendall(b"secret")
            told = b"".join(iter(lambda: sock.recv(64), b""))
            assert told[3:4] + told[9 + 3:9 + 4] == b"\4\7"  # SETTINGS, GOAWAY: it was told of h2
        assert play.result() == b""
    entry, = daemon.wait_log(mark)
    assert (entry["reason"], entry["to_origin"]["bytes"]) == (reason, 0), entry
    assert counted(daemon) == (1, 1)
    if change in ("certificate", "alpn"):
        for _ in range(2):
            make_known(daemon, stage, context, of_origin)
        assert counted(daemon) == (1, 1)


def test_an_origin_that_does_not_answer(ksplitd, stage, pki):
    settings = dict(ON, limits={"deadlines_ms": {"upstream_handshake": 200}})
    daemon = ksplitd("127.0.0.1:%d" % stage.port, settings)
    context = client_context(pki.ca)
    make_known(daemon, stage, context, server_context(pki.origin))
    over, mark = threading.Event(), daemon.mark()
    with stage.play(lambda sock: over.wait(env.PATIENCE)):
        assert_closed_unused(daemon, context, mark, "upstream_handshake_timeout")
        over.set()
    assert counted(daemon) == (1, 1)


def test_an_origin_that_may_not_have_faults(ksplitd, stage, pki):
    """`require`: what was trusted is not any more."""
    settings = {"workers": 1, "upstream": {"parallel_handshake": True, "verify": "require"}}
    daemon = ksplitd("127.0.0.1:%d" % stage.port, settings)
    context = client_context(pki.ca)
    make_known(daemon, stage, context, server_context(pki.origin))
    mark = daemon.mark()

    def act(sock):
        await_client(daemon)
        ssl_or_nothing(server_context(pki.unknown), sock)

    with stage.play(act):
        assert_closed_unused(daemon, context, mark, "upstream_unverified")


def ssl_or_nothing(context, sock):
    try:
        context.wrap_socket(sock, server_side=True).close()
    except OSError:
        pass


def test_client_that_refuses_the_leaf_meanwhile(ksplitd, stage, pki):
    """Its refusal teaches what it always does: the next call is passed."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, dict(ON, limits={"learned_pass": 60000}))
    of_origin = server_context(pki.origin, TLS13)
    make_known(daemon, stage, client_context(pki.ca, TLS13), of_origin)
    stranger, refused = client_context(pki.origin_ca, TLS13), threading.Event()

    def act(sock):
        assert refused.wait(env.PATIENCE)
        ssl_or_nothing(of_origin, sock)

    mark = daemon.mark()
    with stage.play(act) as play:
        with pytest.raises(ssl.SSLError):
            connect_tls(daemon.address, stranger)
        assert daemon.wait_log(mark)[0]["reason"] == "leaf_rejected"
        refused.set()
        play.result()
    make_known(daemon, stage, stranger, of_origin)
    assert counted(daemon) == (1, 0)
    assert daemon.wait_log(mark, 2)[1]["pass_reason"] == "learned"


def test_origin_that_takes_offence_at_a_session(daemon, stage, pki):
    """It is called once more without it; what the client was shown holds."""
    context, of_origin = client_context(pki.ca, TLS13), server_context(pki.origin, TLS13)
    make_known(daemon, stage, context, of_origin)
    seen = []

    def act(sock):
        seen.append(sock)
        if len(seen) == 1:
            await_client(daemon)
            sock.recv(1)
            return 0
        return patient_echo(daemon, of_origin)(sock)

    with stage.play(act) as play:
        call(daemon, context)
        assert [play.result(), play.result()] == [0, 1000]
    assert counted(daemon) == (1, 0)


SITE = """
	server {{
		listen 127.0.0.1:{port} ssl http2;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		default_type text/plain;
		location / {{ return 200 "{certificate.cert}"; }}
	}}
"""


def swap_certificates(daemon, port, folder, certificates, visit):
    """A site that gets another certificate: visit(certificate) meets each, until one was unexpected."""
    # On a busy machine nginx may have answered before there was anything to guess, and of a second
    # connection of a visit, as browsers make them, the guess is right.
    for number in range(6):
        certificate = certificates[number % 2]
        program = NginxProgram(folder / str(number), SITE, (port,), port=port,
                               certificate=certificate)
        try:
            visit(certificate)
        finally:
            program.close()
        if counted(daemon)[1]:
            break
    parallel, wrong = counted(daemon)
    assert wrong == 1 and parallel >= 1, (parallel, wrong)
    env.wait_for(lambda: daemon.reason_count("guess_wrong") == 1, "the reason to be counted")


# HTTP/2 has a word for "nothing of it was done" (RFC 9113 6.8): the user does not even notice.


@pytest.mark.needs("nginx", "go")
def test_go_calls_again_by_itself(ksplitd, pki, tmp_path):
    port, body = free_port(), tmp_path / "body"
    body.write_bytes(b"body")
    daemon = ksplitd("127.0.0.1:%d" % port, ON)
    client = next(client for client in CLIENTS if client.name == "go")
    trust = Trust(tmp_path, pki.ca)
    certificates = [pki.issue("local-%d" % rsa, pki.origin_ca, san="DNS:localhost", rsa=rsa)
                    for rsa in (False, True)]

    def visit(certificate):
        answer, = client.visit_all(trust, body, [Visit(daemon.port, "2", [("GET", "/")])])
        assert (answer.status, answer.http) == (200, "2"), answer
        assert answer.digest == hashlib.sha256(str(certificate.cert).encode()).hexdigest()

    swap_certificates(daemon, port, tmp_path, certificates, visit)


@pytest.mark.needs("nginx", "chromium", "certutil")
def test_chromium_calls_again_by_itself(ksplitd, pki, tmp_path):
    port = free_port()
    daemon = ksplitd("127.0.0.1:%d" % port, ON)
    browser = Chromium(tmp_path, [pki.ca], ["origin.test"])

    def visit(certificate):
        page = browser.go("https://origin.test:%d/" % daemon.port)
        assert page.error is None, page.error
        assert page.text.strip() == str(certificate.cert)

    try:
        swap_certificates(daemon, port, tmp_path, (pki.origin, pki.origin_rsa), visit)
    finally:
        browser.close()
