# SPDX-License-Identifier: GPL-2.0-or-later
"""What the service sees of incoming calls: plain TCP, the client's address in a PROXY header or as
source; and what the kernel and the observer make of a connection that is TLS on one side alone."""

import hashlib
import socket
import struct

import pytest

from lib import env, exact, expect, stage as stages, stream
from lib.clients import curl, curl_digest
from lib.daemon import Ksplitd
from lib.docs import commands
from lib.netns import Row, within
from lib.records import RecordPeer
from lib.service import BIG, incoming
from lib.tls import SUITES, client_context

pytestmark = pytest.mark.needs("nginx", "curl", "openssl")

BIG_DIGEST = hashlib.sha256(bytes(range(256)) * (BIG // 256)).hexdigest()


def who(daemon, pki, *options, **more):
    """What /who says: port, scheme, version, client, PROXY client, PROXY port."""
    return curl(daemon.port, "/who", pki.origin_ca, "-i", *options, name="shop.test",
                **more).stdout.decode().splitlines()[-1].split(" ")


# -- plain TCP ---------------------------------------------------------------------------------


# In the VM with what the kernel has to do with.
@pytest.mark.parametrize("relay", ("splice", "copy") if env.IN_VM and env.EXPECT_KTLS else
                         ("auto", "splice", "copy", "user"))
def test_half_tls_in_the_kernel(ksplitd, service, identities, pki, relay):
    """The client's side in the kernel, the service's in plain TCP; bytes by splice; observed."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     {"identities": identities.settings(identities.shop), "relay": relay,
                      "sampler": "auto"})
    before = env.read_tls_stat()
    assert curl_digest(daemon.port, "/big", pki.origin_ca, name="shop.test") == BIG_DIGEST
    (line,) = daemon.wait_log()
    kernel = expect.kernel_expected(relay)
    if kernel:
        now = env.read_tls_stat()
        for name in ("TlsRxSw", "TlsTxSw"):
            grown = now[name] - before.get(name, 0)
            assert grown == 1 or (grown > 1 and not env.IN_VM), (name, grown)
    ktls = line["client_tls"]["ktls"]
    assert ktls == ({"rx": True, "tx": True} if kernel else
                    dict.fromkeys(("rx", "tx"), expect.fallback_reason(relay))), line
    assert (line["mode"], line["direction"], line["alpn"]) == ("intercept", "incoming", "http/1.1")
    assert line["upstream_tls"] is None and line["reason"] == "closed", line
    flow = line["to_client"]
    assert flow["bytes"] > BIG
    if kernel and relay != "copy":
        assert flow["spliced"] > BIG // 2, flow
    else:
        assert flow["spliced"] == 0, flow
    (request,) = env.wait_for(daemon.request_log, "the request's line")
    assert (request["direction"], request["uri"], request["status"]) == ("incoming", "/big", 200)
    (row,) = [row for row in exact.status(daemon, "requests")["series"] if not row["other"]]
    assert (row["direction"], row["server.name"]) == ("incoming", "shop.test"), row
    (row,) = env.wait_for(lambda: [
        row for row in exact.status(daemon, "endpoints")["endpoints"]
        if not row["connections"]["open"]], "the observer to see the end")
    assert row["direction"] == "incoming", row
    assert row["ktls"] == {"directions": 2, "kernel": 2 * kernel, "share": float(kernel)}, row


def test_every_cipher_both_ways_with_a_plain_service(ksplitd, stage, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % stage.port, upstream_tls=False),
                     {"identities": identities.settings(identities.shop)})
    size = 300000

    def exchange(sock):
        return stream.exchange(sock, stream.random_chunks(size), size)

    for suite in SUITES:
        with stage.play(exchange) as play:
            with stages.connect_tls(daemon.address, client_context(pki.origin_ca, suite),
                                    "shop.test") as sock:
                sent, received = exchange(sock)
                assert play.result() == (received, sent), suite


def test_ends_are_translated(ksplitd, stage, identities, pki):
    """close_notify of the client is a FIN to the service, a FIN of the service is a close_notify to
    the client, and a reset stays one."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % stage.port, upstream_tls=False),
                     {"identities": identities.settings(identities.shop)})
    context = client_context(pki.origin_ca)

    def speak_last(sock):
        flow = stream.receive_all(sock)
        sock.sendall(b"after your end")
        return flow.bytes

    # RFC 8446 6.1: close_notify ends one direction only; no FIN goes with it.
    with stage.play(speak_last) as play:
        with RecordPeer(stages.connect(daemon.address), context, name="shop.test") as client:
            client.send(b"question")
            client.close_notify()
            assert client.receive_end() == (b"after your end", "close_notify")
        assert play.result() == 8
    with stage.play(lambda sock: sock.sendall(b"first")) as play:
        with stages.connect_tls(daemon.address, context, "shop.test") as sock:
            assert stream.receive_exactly(sock, 5) == b"first"
            assert sock.recv(1) == b""  # close_notify: a bare FIN would raise
            play.result()

    def reset(sock):
        stream.receive_exactly(sock, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with stage.play(reset) as play:
        with RecordPeer(stages.connect(daemon.address), context, name="shop.test") as client:
            client.send(b"x")
            play.result()
            with pytest.raises(ConnectionResetError):
                client.receive()
    assert sorted(line["reason"] for line in daemon.wait_log(count=3)) == [
        "closed", "closed", "reset_by_origin"]


# -- who calls ---------------------------------------------------------------------------------


def test_proxy_header_before_plain_http(ksplitd, service, identities, pki):
    daemon = ksplitd(
        incoming("127.0.0.1:%d" % service.proxy, upstream_tls=False, client_address="proxy_v2"),
        {"identities": identities.settings(identities.shop)})
    told = who(daemon, pki, "--interface", "127.0.0.9")
    (line,) = daemon.wait_log()
    host, port = line["client"].split(":")
    assert host == "127.0.0.9"
    assert told == [str(service.proxy), "http", "HTTP/1.1", "127.0.0.1", host, port]


def test_proxy_header_before_tls(ksplitd, service, identities, pki):
    """Intercepted and passed: the service waits for it in either case."""
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.proxy_tls, client_address="proxy_v2"),
                     {"identities": identities.settings(identities.shop),
                      "upstream": {"verify": "off"}})
    told = who(daemon, pki, "--interface", "127.0.0.9")
    assert told[1] == "https" and told[4] == "127.0.0.9", told
    body = curl(daemon.port, "/who", pki.origin_ca, "--interface", "127.0.0.8").stdout.split()
    assert body[4] == b"127.0.0.8"
    assert [line["mode"] for line in daemon.wait_log(count=2)] == ["intercept", "pass"]


def read_header(sock):
    """Addresses and TLVs of a PROXY v2 header."""
    fixed = stream.receive_exactly(sock, 16)
    assert fixed[:14] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11", fixed
    rest = stream.receive_exactly(sock, struct.unpack("!H", fixed[14:])[0])
    fields, at = {}, 12
    while at < len(rest):
        kind, size = struct.unpack("!BH", rest[at:at + 3])
        fields[kind] = rest[at + 3:at + 3 + size]
        at += 3 + size
    return socket.inet_ntoa(rest[:4]), struct.unpack("!HH", rest[8:12]), fields


def test_proxy_header_says_name_protocol_and_tls(ksplitd, stage, identities, pki):
    daemon = ksplitd(
        incoming("127.0.0.1:%d" % stage.port, upstream_tls=False, client_address="proxy_v2",
                 alpn=["h2", "http/1.1"]),
        {"identities": identities.settings(identities.shop)})
    with stage.play(lambda sock: (read_header(sock), sock.sendall(b"x"))) as play:
        context = client_context(pki.origin_ca, SUITES[3], alpn=["http/1.1"])
        with stages.connect_tls(daemon.address, context, "shop.test") as sock:
            assert sock.selected_alpn_protocol() == "http/1.1"
            mine = sock.getsockname()
            assert stream.receive_exactly(sock, 1) == b"x"
            (address, ports, fields), _ = play.result()
    assert (address, ports) == ("127.0.0.1", (mine[1], daemon.port))
    assert fields[2] == b"shop.test" and fields[1] == b"http/1.1"
    assert fields[0x20] == (b"\x01\0\0\0\x01" b"\x21\0\x07TLSv1.3"
                            b"\x23\0\x16TLS_AES_128_GCM_SHA256")


# -- transparent: namespaces -------------------------------------------------------------------


@pytest.fixture(scope="module")
def routes(row):
    """docs/incoming.md, "The client's address"; the port of its service."""
    row.run("bash", "-euc", commands("incoming.md", "transparent"))
    return 9080


@pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))
@pytest.mark.parametrize("where", ("same host", "other host"))
def test_transparent_source(ksplitd, row, routes, identities, pki, family, where):
    """The service, on this host or another, sees the client's own address."""
    host = {4: "10.77.1.1", 6: "fd77:1::1"}[family]
    quoted = "[%s]:%d" if family == 6 else "%s:%d"
    if where == "same host":
        address = (host, routes)
        listener = within(row.gateway, lambda: socket.create_server(
            address, family=socket.AF_INET6 if family == 6 else socket.AF_INET))
    else:
        address = (Row.ORIGIN[family], 8080)
        listener = row.listen(family, 8080)
    theatre = stages.Stage(listener)
    try:
        daemon = ksplitd(
            incoming(quoted % address, upstream_tls=False,
                     client_address="transparent"),
            {"identities": identities.settings(identities.shop)}, host=host_any(family),
            prefix=["ip", "netns", "exec", row.gateway])

        def tell(sock):
            sock.sendall(sock.getpeername()[0].encode() + b"\n")

        with theatre.play(tell) as play:
            sock = row.connect(host, daemon.port, env.PATIENCE)
            mine = sock.getsockname()[0]
            with client_context(pki.origin_ca).wrap_socket(sock, server_hostname="shop.test") as s:
                assert s.makefile("rb").readline().decode().strip() == mine
            play.result()
        line = daemon.wait_log()[-1]
        assert line["upstream_local"].startswith(line["client"].rpartition(":")[0] + ":"), line
    finally:
        theatre.close()


def host_any(family):
    return "::" if family == 6 else "0.0.0.0"


@pytest.mark.needs("setpriv")
def test_transparent_without_permission_is_told_at_start(identities, pki, tmp_path):
    daemon = Ksplitd(pki, incoming("127.0.0.1:1", upstream_tls=False,
                                   client_address="transparent"),
                     {"identities": identities.settings(identities.shop)}, folder=tmp_path,
                     prefix=["setpriv", "--bounding-set", "-net_admin,-net_raw",
                             "--inh-caps", "-net_admin,-net_raw"])
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert "client_address" in daemon.stderr() and "CAP_NET_ADMIN" in daemon.stderr()


def test_transparent_source_of_another_family_is_counted(ksplitd, identities, pki, service):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False,
                              client_address="transparent"),
                     {"identities": identities.settings(identities.shop)}, host="::1")
    with pytest.raises(OSError):
        stages.connect_tls(daemon.address, client_context(pki.origin_ca), "shop.test")
    assert daemon.wait_log()[0]["reason"] == "source_refused"
    assert daemon.reason_count("source_refused") == 1
