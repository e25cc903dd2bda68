# SPDX-License-Identifier: GPL-2.0-or-later
"""Where connections go: a fixed address or name, the SNI, the original destination of a redirected
or transparently proxied connection; IPv4 and IPv6."""

import socket

import pytest

from lib import env, stage as stages, stream
from lib.daemon import Ksplitd
from lib.netns import Row
from lib.tls import client_context, server_context


def echo_through(address, pki, name="origin.test", sock=None):
    """A TLS call that must work; returns the socket's own address."""
    context = client_context(pki.ca)
    sock = context.wrap_socket(sock or stages.connect(address), server_hostname=name)
    sock.sendall(b"are you there")
    assert stream.receive_exactly(sock, 13) == b"are you there"
    mine = sock.getsockname()
    stream.close_orderly(sock)
    return mine


def last_line(daemon):
    return daemon.wait_log()[-1]


@pytest.mark.parametrize("to", ("127.0.0.1:%d", "localhost:%d"))
def test_fixed_destination(ksplitd, pki, stage, to):
    daemon = ksplitd(to % stage.port)
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        echo_through(daemon.address, pki)
        play.result()
    assert last_line(daemon)["upstream"] == "127.0.0.1:%d" % stage.port


def test_ipv6_listener_and_destination(ksplitd, pki):
    stage = stages.Stage.listen("::1")
    daemon = ksplitd("[::1]:%d" % stage.port, host="::1")
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        echo_through(("::1", daemon.port), pki)
        play.result()
    entry = last_line(daemon)
    assert entry["client"].startswith("[::1]:") and entry["local"] == "[::1]:%d" % daemon.port
    assert entry["upstream"] == "[::1]:%d" % stage.port
    stage.close()


def test_several_listeners(ksplitd, pki, stage):
    other = stages.Stage.listen()
    daemon = ksplitd(["127.0.0.1:%d" % stage.port, "127.0.0.1:%d" % other.port])
    for theatre, port in ((stage, daemon.ports[0]), (other, daemon.ports[1])):
        with theatre.play_tls(server_context(pki.origin), stages.echo) as play:
            echo_through(("127.0.0.1", port), pki)
            play.result()
    other.close()


HOSTS = "127.0.0.1 localhost origin.test www.origin.test\n::1 six.wild.test\n"


@pytest.fixture
def with_hosts(tmp_path):
    """A prefix that gives the daemon an /etc/hosts of its own in a mount namespace."""
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, hosts]


@pytest.mark.needs("unshare")
def test_sni_destination(ksplitd, pki, stage, with_hosts):
    """Each connection goes to the address of the name that its client asks for."""
    six = stages.Stage(socket.create_server(("::1", stage.port), family=socket.AF_INET6))
    daemon = ksplitd("sni:%d" % stage.port, prefix=with_hosts)
    for theatre, name, address in ((stage, "www.origin.test", "127.0.0.1:%d"),
                                   (six, "six.wild.test", "[::1]:%d")):
        mark = daemon.mark()
        with theatre.play_tls(server_context(pki.origin), stages.echo) as play:
            echo_through(daemon.address, pki, name)
            play.result()
        (entry,) = daemon.wait_log(mark)
        assert (entry["sni"], entry["upstream"]) == (name, address % stage.port), entry
    six.close()


@pytest.mark.needs("unshare")
def test_sni_without_an_address_or_a_name(ksplitd, pki, stage, with_hosts):
    daemon = ksplitd("sni:%d" % stage.port, prefix=with_hosts,
                     settings={"limits": {"deadlines_ms": {"resolve": 2000}}})
    with pytest.raises(OSError):
        stages.connect_tls(daemon.address, client_context(pki.ca), "nowhere.invalid")
    assert last_line(daemon)["reason"] in ("resolve_failed", "resolve_timeout")
    mark, context = daemon.mark(), client_context(pki.ca)
    context.check_hostname = False
    with pytest.raises(OSError):
        context.wrap_socket(stages.connect(daemon.address))
    (entry,) = daemon.wait_log(mark)
    assert entry["reason"] == "sni_missing", entry


def test_sni_that_leads_back_is_refused(pki):
    """A name that resolves to ksplitd itself, by all of its addresses: never call oneself."""
    daemon = Ksplitd(pki, "sni:OWN_PORT")
    (listener,) = daemon.config["listeners"]
    daemon.config["listeners"].append(dict(listener, listen="[::1]:%d" % daemon.port))
    with daemon:
        with pytest.raises(OSError):
            stages.connect_tls(daemon.address, client_context(pki.ca), "localhost")
        assert daemon.wait_log()[0]["reason"] == "destination_self"


def test_direct_call_where_original_is_asked_for_is_refused(ksplitd, pki):
    """Nothing brought the client here: there is no original destination."""
    daemon = ksplitd("original")
    with pytest.raises(OSError):
        stages.connect_tls(daemon.address, client_context(pki.ca))
    assert last_line(daemon)["reason"] in ("destination_self", "destination_unknown")
    assert daemon.open_count() == 0


# -- gateways ----------------------------------------------------------------------------------


def gateway_daemon(ksplitd, row, to, family):
    return ksplitd(to, host="::" if family == 6 else "0.0.0.0",
                   prefix=["ip", "netns", "exec", row.gateway])


REDIRECT = """
table inet ksplit_test {
	chain prerouting {
		type nat hook prerouting priority dstnat;
		iifname "veth1" tcp dport 443 redirect to :%d
	}
}
"""

TPROXY = """
table inet ksplit_test {
	chain prerouting {
		type filter hook prerouting priority mangle;
		iifname "veth1" tcp dport 443 tproxy to :%d meta mark set 1 accept
	}
}
"""


def call_through_gateway(daemon, row, pki, family):
    """The client calls the origin's own address; ksplitd on the gateway stands in between."""
    stage = stages.Stage(row.listen(family, 443))
    try:
        with stage.play_tls(server_context(pki.origin), stages.echo) as play:
            sock = row.connect(Row.ORIGIN[family], 443, env.PATIENCE)
            assert sock.getpeername()[0] == Row.ORIGIN[family]
            client = echo_through(None, pki, sock=sock)
            play.result()
    finally:
        stage.close()
    host = "[%s]" if family == 6 else "%s"
    entry = last_line(daemon)
    assert entry["mode"] == "intercept", entry
    assert entry["upstream"] == (host % Row.ORIGIN[family]) + ":443", entry
    assert entry["client"] == "%s:%d" % (host % client[0], client[1]), entry


@pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))
def test_redirected_connection_goes_where_it_was_meant_to(ksplitd, pki, row, family):
    daemon = gateway_daemon(ksplitd, row, "original", family)
    row.rules(REDIRECT % daemon.port)
    try:
        call_through_gateway(daemon, row, pki, family)
    finally:
        row.clear_rules()


@pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))
def test_direct_call_to_the_gateway_is_refused(ksplitd, pki, row, family):
    """The port that rules redirect to, called by itself: refused, not an endless loop."""
    daemon = gateway_daemon(ksplitd, row, "original", family)
    row.rules(REDIRECT % daemon.port)
    try:
        host = {4: "10.77.1.1", 6: "fd77:1::1"}[family]
        sock = row.connect(host, daemon.port, env.PATIENCE)
        with pytest.raises(OSError):
            client_context(pki.ca).wrap_socket(sock, server_hostname="origin.test")
        assert last_line(daemon)["reason"] in ("destination_self", "destination_unknown")
        assert daemon.open_count() == 0
    finally:
        row.clear_rules()


@pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))
def test_tproxied_connection_goes_where_it_was_meant_to(ksplitd, pki, row, family):
    daemon = gateway_daemon(ksplitd, row, "tproxy", family)
    row.rules(TPROXY % daemon.port)
    flag = "-%d" % family
    row.run("ip", flag, "rule", "add", "fwmark", "1", "lookup", "100")
    row.run("ip", flag, "route", "add", "local", "default", "dev", "lo", "table", "100")
    try:
        call_through_gateway(daemon, row, pki, family)
    finally:
        row.run("ip", flag, "rule", "del", "fwmark", "1", "lookup", "100")
        row.run("ip", flag, "route", "flush", "table", "100")
        row.clear_rules()


def test_direct_call_to_a_tproxy_listener_is_refused(ksplitd, pki):
    daemon = ksplitd("tproxy")
    with pytest.raises(OSError):
        stages.connect_tls(daemon.address, client_context(pki.ca))
    assert last_line(daemon)["reason"] == "destination_self"
