# SPDX-License-Identifier: GPL-2.0-or-later
"""Captured calls to services of this host: a client of another host, real curl; nginx on the
gateway, with TLS, in plain TCP and with the PROXY protocol; IPv4 and IPv6. Clients see the
identity that ksplitd shows, and nginx's own certificate when it is not in between."""

import hashlib
import ssl
import time

import pytest

from lib import env, stage as stages
from lib.capturing import Capturing, Site, within
from lib.docs import commands
from lib.env import wait_for
from lib.netns import Row, within as in_namespace
from lib.nginx import NginxProgram
from lib.process import run
from lib.service import fingerprint, incoming
from lib.tls import client_context

pytestmark = pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl", "openssl")

HERE = {4: "10.77.1.1", 6: "fd77:1::1"}
CLIENT = {4: "10.77.1.2", 6: "fd77:1::2"}
OTHER = {4: "10.77.1.77", 6: "fd77:1::77"}  # of the client, too
EVERYWHERE = ("0.0.0.0", "[::]")
FAMILIES = (4, 6)
TLS, PLAIN, PROXY, PROXY_TLS = 443, 444, 445, 446
families = pytest.mark.parametrize("family", FAMILIES, ids=("IPv4", "IPv6"))

HTTP = """
	server {{
		listen {v4}:443 ssl http2; listen [{v6}]:443 ssl http2;
		listen {v4}:444; listen [{v6}]:444;
		listen {v4}:445 proxy_protocol; listen [{v6}]:445 proxy_protocol;
		listen {v4}:446 ssl proxy_protocol; listen [{v6}]:446 ssl proxy_protocol;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		set $who "$remote_addr $proxy_protocol_addr";
		location / {{ return 200 "$server_port $scheme $server_protocol $who"; }}
	}}
"""


class Services(Site):
    """The row, and nginx on its gateway."""

    def __init__(self, folder, pki):
        super().__init__(folder / "nginx", pki)
        self._gateway = None
        try:
            for family, length in ((4, 24), (6, 64)):
                run("ip", "-n", self.row.client, "addr", "add",
                    "%s/%d" % (OTHER[family], length), "dev", "veth0",
                    *(["nodad"] if family == 6 else []))
            self.own = pki.issue("nginx-own", pki.origin_ca, san="DNS:shop.test")
            self.shown = pki.issue("nginx-shown", pki.origin_ca, san="DNS:shop.test")
            self._gateway = NginxProgram(
                folder / "gateway", HTTP, (TLS, PLAIN, PROXY, PROXY_TLS),
                within(self.row.gateway), v4=HERE[4], v6=HERE[6], certificate=self.own)
        except BaseException:
            self.close()
            raise

    def close(self):
        if self._gateway:
            self._gateway.close()
        super().close()

    def call(self, family=4, port=TLS, *options, source=None, place=None, name="shop.test"):
        """A call of the client's; what nginx saw (PORT SCHEME PROTOCOL CLIENT PROXY-CLIENT), and
        the SHA-256 of the certificate that was shown. None: curl's call failed."""
        host = HERE[family] if family == 4 else "[%s]" % HERE[family]
        done = run(*within(place or self.row.client, "curl", "-sS", "--max-time", 20,
                           "--noproxy", "*", "--cacert", self.pki.origin_ca.cert,
                           "--interface", source or (CLIENT[family] if not place else HERE[family]),
                           "--connect-to", "%s:%d:%s:%d" % (name, port, host, port),
                           "-w", "\n%{certs}", *options, "https://%s:%d/" % (name, port)),
                   check=False)
        if done.returncode:
            return None
        seen, _, certificates = done.stdout.decode().partition("\n")
        begin = certificates.index("-----BEGIN")
        pem = certificates[begin:certificates.index("-----END", begin) + 26]
        der = ssl.PEM_cert_to_DER_cert(pem)
        return seen.split(" "), hashlib.sha256(der).hexdigest()

    def open(self, family, port):
        """A TLS connection of the client's, without a request so far."""
        plain = in_namespace(self.row.client, lambda: stages.connect((HERE[family], port)))
        return client_context(self.pki.origin_ca).wrap_socket(plain, server_hostname="shop.test")

    def direct(self, **how):
        """Does such a call reach nginx itself?"""
        answer = self.call(**how)
        return answer and answer[1] == fingerprint(self.own)


@pytest.fixture(scope="module")
def site(tmp_path_factory, pki):
    place = Services(tmp_path_factory.mktemp("incoming"), pki)
    yield place
    place.close()


def daemon_for(site, port=TLS, capture=None, **listener):
    """It shows an identity of its own for shop.test, and needs no CA for that."""
    daemon = Capturing(
        site, {"incoming": dict({"ports": [port]}, **(capture or {}))},
        to=incoming("original", **listener), hosts=EVERYWHERE,
        settings={"identities": [{"cert": str(site.shown.cert), "key": str(site.shown.key)}]})
    del daemon.config["ca"]
    return daemon


def calls_of(daemon):
    """Lines of the access log but those of self-tests."""
    return [line for line in daemon.access_log() if line["sni"] != "self-test.ksplit.invalid"]


def assert_captured(site, daemon, family, seen, port, client=None):
    """One call was captured, shown to be who it is, and came to nginx."""
    line = wait_for(lambda: calls_of(daemon), daemon.tail)[-1]
    host = "[%s]" % HERE[family] if family == 6 else HERE[family]
    assert (line["mode"], line["direction"]) == ("intercept", "incoming"), line
    assert line["upstream"] == "%s:%d" % (host, port), line
    assert CLIENT[family] in line["client"], line
    assert line["leaf_fingerprint_sha256"] == fingerprint(site.shown), line
    if env.EXPECT_KTLS:
        # Both sides; of a service in plain TCP there is but one.
        for side in ("client_tls", *(["upstream_tls"] if line["upstream_tls"] else [])):
            assert line[side]["ktls"] == {"rx": True, "tx": True}, line
    assert seen[0] == str(port) and seen[3] == (client or HERE[family]), seen


def test_service_with_tls(site):
    """Both families; what passes this host and what it calls itself is left alone; no loops."""
    shown = fingerprint(site.shown)
    with daemon_for(site) as daemon:
        before = site.captured()
        for count, family in enumerate(FAMILIES, 1):
            seen, certificate = site.call(family)
            assert certificate == shown and seen[1:3] == ["https", "HTTP/2.0"], seen
            daemon.settle()
            assert_captured(site, daemon, family, seen, TLS)
            assert len(calls_of(daemon)) == count and site.captured() - before == count
        assert site.direct(place=site.row.gateway)
        assert site.issuer(place=site.row.client) == "origin"
        # No identity, no default: nginx answers itself, which has another name.
        assert site.call(name="other.test") is None
        daemon.settle()
        line = calls_of(daemon)[-1]
        assert (line["mode"], line["pass_reason"]) == ("pass", "no_identity"), line
        assert daemon.reason_count("destination_self") == 0
        # Two self-tests, which no leaf can be forged for, are among them.
        assert daemon.reason_count("no_identity") == 3
        assert daemon.capture("off")["state"] == "off"
        assert site.direct() and site.direct(family=6)
        daemon.wait_table(False)
    assert not site.table()


def test_service_in_plain_tcp(site):
    with daemon_for(site, PLAIN, upstream_tls=False) as daemon:
        for family in FAMILIES:
            seen, certificate = site.call(family, PLAIN)
            assert certificate == fingerprint(site.shown)
            assert seen[1:3] == ["http", "HTTP/1.1"], seen
            daemon.settle()
            assert_captured(site, daemon, family, seen, PLAIN)
        assert calls_of(daemon)[-1]["upstream_tls"] is None


@pytest.mark.parametrize("port", (PROXY, PROXY_TLS), ids=("plain", "TLS"))
def test_client_is_told_in_a_proxy_header(site, port):
    with daemon_for(site, port, client_address="proxy_v2",
                    upstream_tls=port == PROXY_TLS) as daemon:
        for family in FAMILIES:
            seen, _ = site.call(family, port)
            daemon.settle()
            assert_captured(site, daemon, family, seen, port)
            assert seen[4] == CLIENT[family], seen


@pytest.fixture
def answers_come_back(site):
    """docs/incoming.md, "The client's address", for a service of the same host."""
    row = site.row

    def text(port):
        return commands("incoming.md", "transparent").replace("9080", str(port))

    def undo():
        row.run("nft", "delete", "table", "inet", "ksplit_source")
        for family in ("-4", "-6"):
            row.run("ip", family, "rule", "del", "fwmark", "1", "lookup", "100")
            row.run("ip", family, "route", "flush", "table", "100")

    def do(port):
        row.run("bash", "-euc", text(port))
        undone.append(undo)

    undone = []
    yield do
    for step in undone:
        step()


@pytest.mark.parametrize("port", (TLS, PLAIN), ids=("TLS", "plain"))
def test_client_is_the_source(site, answers_come_back, port):
    answers_come_back(port)
    with daemon_for(site, port, client_address="transparent", upstream_tls=port == TLS) as daemon:
        before = site.captured()
        for count, family in enumerate(FAMILIES, 1):
            seen, _ = site.call(family, port)
            daemon.settle()
            assert_captured(site, daemon, family, seen, port, client=CLIENT[family])
            assert site.captured() - before == count == len(calls_of(daemon))
        # What is open goes on without the rules.
        with site.open(4, port) as one, site.open(6, port) as other:
            assert daemon.capture("off")["state"] == "off"
            for held in (one, other):
                held.sendall(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
                assert held.recv(65536).startswith(b"HTTP/1.1 200")


def test_client_is_the_source_and_has_the_same_port(site, answers_come_back):
    """Kernel and client choose without knowing of each other: addresses and ports of both calls may
    be the same, which connection tracking must not take for one."""
    answers_come_back(PLAIN)
    with daemon_for(site, PLAIN, client_address="transparent", upstream_tls=False) as daemon:
        try:
            site.row.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000")
            for family in FAMILIES:
                seen, _ = site.call(family, PLAIN, "--local-port", "40000")
                daemon.settle()
                assert_captured(site, daemon, family, seen, PLAIN, client=CLIENT[family])
                line = calls_of(daemon)[-1]
                assert line["client"] == line["upstream_local"], line
        finally:
            site.row.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 60999")


@families
def test_exempt_and_others(site, family):
    """By source, by destination; another port was never captured."""
    shown = fingerprint(site.shown)
    capture = {"ports": [TLS, 8443], "sources": ["10.77.1.0/24", "fd77:1::/64"],
               "networks": ["10.77.1.1", "fd77:1::1"],
               "exempt": {"sources": [OTHER[4], OTHER[6]]}}
    with daemon_for(site, capture=capture) as daemon:
        assert site.call(family)[1] == shown
        assert site.direct(family=family, source=OTHER[family])
        # Called from the origin's namespace: not of the sources.
        assert site.direct(family=family, place=site.row.origin, source=Row.ORIGIN[family])
        daemon.settle()
        assert len(calls_of(daemon)) == 1


def test_killed(site):
    """SIGKILL: half a second later the service is called directly, and no rule is left."""
    daemon = daemon_for(site).start()
    assert site.call()[1] == fingerprint(site.shown)
    daemon.kill()
    time.sleep(0.5)
    for family in FAMILIES:
        assert site.direct(family=family)
    assert not site.table(), site.rules()
