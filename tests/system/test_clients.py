# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that people use: curl, openssl s_client, gnutls-cli and Python as clients; nginx,
openssl s_server and gnutls-serv as origins."""

import hashlib
import itertools
import json

import pytest

from lib import clients, expect, origins, stage as stages, stream
from lib.process import run
from lib.tls import SUITES, TLS12, TLS13, client_context

CURL = pytest.mark.needs("curl", "nginx")
HTTP = pytest.mark.parametrize("http", ("--http1.1", "--http2"))


@CURL
@HTTP
def test_curl_downloads_from_nginx(proxy, http):
    """Files of several sizes, byte for byte, over ksplit's certificate."""
    names = list(proxy.nginx.SIZES)
    for name in names:
        digest = clients.curl_digest(proxy.to_nginx[1], "/" + name, proxy.pki.ca, http)
        assert digest == proxy.nginx.digests[name], name
    for name, entry in zip(names, proxy.lines(len(names))):
        expect.assert_relayed(entry, proxy.relay)
        assert entry["alpn"] == ("h2" if http == "--http2" else "http/1.1"), entry
        assert entry["sni"] == "origin.test", entry
        if (name, http) == ("mega.bin", "--http1.1"):
            expect.assert_spliced(entry["to_client"], proxy.relay)


@CURL
def test_http2_is_spliced_where_nobody_looks(ksplitd, nginx, pki):
    """That HTTP/2 goes by copy is the price of seeing its frames."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"relay": "splice", "sampler": "off"})
    digest = clients.curl_digest(daemon.port, "/mega.bin", pki.ca, "--http2")
    assert digest == nginx.digests["mega.bin"]
    entry, = daemon.wait_log()
    assert entry["alpn"] == "h2"
    expect.assert_relayed(entry, "splice", observed=False)
    expect.assert_spliced(entry["to_client"], "splice")


@CURL
@HTTP
def test_curl_uploads_to_nginx(proxy, http):
    source = proxy.nginx.prefix / "files" / "mega.bin"
    name = "%s-%s.bin" % (proxy.relay, http.strip("-"))
    clients.curl(proxy.to_nginx[1], "/upload/" + name, proxy.pki.ca, http, "-T", source)
    assert proxy.nginx.uploaded(name) == proxy.nginx.digests["mega.bin"]
    assert proxy.line()["to_origin"]["bytes"] > proxy.nginx.SIZES["mega.bin"]


@CURL
def test_origin_sees_protocol_and_name_of_the_client(proxy):
    """ALPN and SNI are handed on: the origin speaks HTTP/2 because the client does."""
    for http, told in (("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")):
        who = clients.curl(proxy.to_nginx[1], "/who", proxy.pki.ca, http).stdout.decode()
        assert who.split()[0] == told
        assert who.split()[-1] == "origin.test"


@CURL
def test_alpn_is_the_origins_choice(proxy):
    """An origin without HTTP/2: the client is told http/1.1, not something that it cannot have."""
    def act(sock):
        return sock.selected_alpn_protocol()

    for offered, origin, wanted in ((["h2", "http/1.1"], ["http/1.1"], "http/1.1"),
                                    (["h2", "http/1.1"], ["h2"], "h2"),
                                    (["made-up/9"], ["made-up/9"], "made-up/9"),
                                    (["h2", "http/1.1"], None, None)):
        with proxy.origin(act, alpn=origin) as play:
            with proxy.client(alpn=offered) as sock:
                assert sock.selected_alpn_protocol() == wanted
            assert play.result() == wanted


@CURL
def test_curl_keeps_a_connection_for_many_requests(proxy):
    urls = ["https://origin.test:%d/%s" % (proxy.to_nginx[1], name)
            for name in ("small.txt", "record.bin", "empty.bin", "one.bin") * 10]
    done = clients.curl(proxy.to_nginx[1], "/small.txt", proxy.pki.ca, "--http1.1", *urls)
    size = sum(proxy.nginx.SIZES[url.rpartition("/")[2]] for url in urls)
    assert len(done.stdout) == size + proxy.nginx.SIZES["small.txt"]
    proxy.line()


@CURL
def test_curl_runs_many_http2_streams_at_once(proxy, tmp_path):
    config = tmp_path / "urls"
    config.write_text("".join("url = https://origin.test:%d/medium.bin\noutput = %s\n" % (
        proxy.to_nginx[1], tmp_path / ("body-%d" % number)) for number in range(20)))
    clients.curl(proxy.to_nginx[1], "/small.txt", proxy.pki.ca, "--http2", "--parallel",
                 "--parallel-max", "20", "-K", config)
    for number in range(20):
        body = (tmp_path / ("body-%d" % number)).read_bytes()
        assert hashlib.sha256(body).hexdigest() == proxy.nginx.digests["medium.bin"]


_lines = itertools.count()


def chat(client, server):
    """Lines both ways between two line-oriented programs, no two alike."""
    for _ in range(3):
        number = next(_lines)
        client.say("question %d.\n" % number)
        server.expect("question %d." % number)
        server.say("answer %d.\n" % number)
        client.expect("answer %d." % number)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_openssl_client_and_server(proxy, version):
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, version) as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version) as client:
            client.expect("Verify return code: 0")
            chat(client, server)
            client.say("Q\n")
            assert client.wait() == 0
    expect.assert_relayed(proxy.line(), proxy.relay)


@pytest.mark.needs("openssl")
def test_rsa_origin(proxy):
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin_rsa):
        for version in ("-tls1_2", "-tls1_3"):
            with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version) as client:
                client.expect("Verify return code: 0")
                client.say("Q\n")
                assert client.wait() == 0


@pytest.mark.needs("gnutls-cli", "gnutls-serv")
@pytest.mark.parametrize("version", ("VERS-TLS1.2", "VERS-TLS1.3"))
def test_gnutls_client_and_server(proxy, version):
    priority = "NORMAL:-VERS-ALL:+" + version
    with origins.gnutls_serv(proxy.spare_port, proxy.pki.origin, "--echo",
                             "--priority", priority):
        with clients.gnutls_cli(proxy.to_spare[1], proxy.pki.ca,
                                "--priority", priority) as client:
            client.expect("Simple Client Mode")
            for number in range(3):
                client.say("line %d\n" % number)
                client.expect("line %d" % number)
            client.close_input()
            assert client.wait() == 0
    expect.assert_relayed(proxy.line(), proxy.relay)


@pytest.mark.needs("gnutls-cli", "openssl")
def test_gnutls_client_and_openssl_server(proxy):
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin) as server:
        with clients.gnutls_cli(proxy.to_spare[1], proxy.pki.ca) as client:
            client.expect("Simple Client Mode")
            chat(client, server)
            client.close_input()
            client.wait()


@pytest.mark.needs("gnutls-serv", "openssl")
def test_openssl_client_and_gnutls_server(proxy):
    with origins.gnutls_serv(proxy.spare_port, proxy.pki.origin, "--echo"):
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca) as client:
            client.expect("Verify return code: 0")
            client.say("echoed by gnutls\n")
            client.expect("echoed by gnutls")
            client.say("Q\n")
            assert client.wait() == 0


# -- session resumption ------------------------------------------------------------------------


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_openssl_client_resumes_its_session(proxy, version, tmp_path):
    session = tmp_path / "session.pem"
    resumed = proxy.daemon.summary()["handshakes"]["client_resumed"]
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, version) as server:
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version,
                              "-sess_out", session) as client:
            client.expect("Verify return code: 0")
            # A line to and fro: TLS 1.3 tickets come after the handshake.
            chat(client, server)
            client.say("Q\n")
            assert client.wait() == 0
            assert "New, TLSv1" in client.text()
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version,
                              "-sess_in", session) as client:
            client.expect("Reused, TLSv1")
            chat(client, server)
            client.say("Q\n")
            assert client.wait() == 0
    first, second = proxy.lines(2)
    assert (first["client_tls"]["resumed"], second["client_tls"]["resumed"]) == (False, True)
    assert proxy.daemon.summary()["handshakes"]["client_resumed"] == resumed + 1
    expect.assert_relayed(second, proxy.relay)


@pytest.mark.parametrize("suite", SUITES, ids=repr)
def test_python_client_resumes_its_session(proxy, suite):
    context = client_context(proxy.pki.ca, suite)

    def call(session):
        sock = stages.connect(proxy.to_stage)
        sock = context.wrap_socket(sock, server_hostname="origin.test", session=session)
        sock.sendall(b"x" * 1000)
        assert stream.receive_exactly(sock, 1000) == b"x" * 1000
        told = sock.session, sock.session_reused
        stream.close_orderly(sock)
        return told

    with proxy.origin(stages.echo, suite) as play:
        session, reused = call(None)
        assert not reused
        play.result()
        _, reused = call(session)
        assert reused
        play.result()
    for entry in proxy.lines(2):
        expect.assert_relayed(entry, proxy.relay)


# -- what is told of a connection --------------------------------------------------------------


@CURL
def test_access_log_line_is_complete(proxy):
    # Over HTTP/2 curl 7.88 closes without close_notify: here an orderly end is wanted.
    clients.curl(proxy.to_nginx[1], "/medium.bin", proxy.pki.ca, "--http1.1", "--tlsv1.3")
    entry = proxy.line()
    assert entry["type"] == "connection"
    assert entry["time"].endswith("Z") and "T" in entry["time"]
    assert isinstance(entry["id"], int)
    assert entry["client"].startswith("127.0.0.1:")
    assert entry["local"] == "127.0.0.1:%d" % proxy.to_nginx[1]
    assert entry["upstream"] == "127.0.0.1:%d" % proxy.nginx.port
    assert entry["upstream_local"].startswith("127.0.0.1:")
    assert (entry["mode"], entry["pass_reason"]) == ("intercept", None)
    assert (entry["sni"], entry["alpn"]) == ("origin.test", "http/1.1")
    for side in ("client_tls", "upstream_tls"):
        assert entry[side]["version"] == "TLSv1.3"
        assert entry[side]["cipher"].startswith("TLS_")
    assert entry["to_client"]["bytes"] > proxy.nginx.SIZES["medium.bin"]
    assert 0 < entry["to_origin"]["bytes"] < 10000
    phases = entry["phases_ms"]
    for phase in ("peek", "connect", "upstream_handshake", "client_handshake", "relay"):
        assert phases[phase] > 0, phases
    assert abs(sum(phases.values()) - entry["duration_ms"]) < 1
    assert entry["origin_fingerprint_sha256"] == fingerprint(proxy.pki.origin.cert)
    leaf = entry["leaf_fingerprint_sha256"]
    assert len(leaf) == 64 and leaf != entry["origin_fingerprint_sha256"]
    assert entry["reason"] == "closed"


def fingerprint(cert):
    """SHA-256 of the DER certificate as hex."""
    told = run("openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256").stdout.decode()
    return told.partition("=")[2].strip().replace(":", "").lower()


def test_open_connection_is_told(proxy):
    """`connections` of the control socket while the connection is open."""
    with proxy.origin(stages.echo) as play:
        with proxy.client(TLS13) as sock:
            sock.sendall(b"x" * 100)
            stream.receive_exactly(sock, 100)
            (told,) = proxy.daemon.connections()
            assert told["state"] == "relay"
            assert told["client"] == "127.0.0.1:%d" % sock.getsockname()[1]
            assert told["to_origin"]["bytes"] == told["to_client"]["bytes"] == 100
            assert proxy.daemon.summary()["connections"]["by_state"]["relay"] == 1
            stream.close_orderly(sock)
        play.result()


def test_counters_add_up(proxy):
    before = proxy.daemon.summary()
    proxy.exchange(TLS12, TLS13, 50000)
    proxy.exchange(TLS13, TLS12, 50000)
    proxy.lines(2)
    after = proxy.daemon.summary()

    def grown(group, name):
        return after[group][name] - before[group][name]

    assert grown("connections", "accepted") == 2
    assert grown("connections", "intercepted") == 2
    assert grown("connections", "closed") == 2
    assert grown("handshakes", "client_completed") == 2
    assert grown("handshakes", "upstream_completed") == 2
    assert grown("bytes", "to_origin") == grown("bytes", "to_client") == 100000
    for direction in ("client_rx", "client_tx", "upstream_rx", "upstream_tx"):
        kernel = expect.kernel_expected(proxy.relay)
        assert grown("ktls", direction) == (2 if kernel else 0)
        assert grown("user_tls", direction) == (0 if kernel else 2)
    assert after["reasons"]["end"]["closed"] - before["reasons"]["end"].get("closed", 0) == 2
    json.dumps(after)
