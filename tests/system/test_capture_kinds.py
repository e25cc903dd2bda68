# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that ksplitd loads itself: what is captured, what is left alone, and what is told."""

import contextlib
import ssl

import pytest

from lib import env
from lib.cgroups import Cgroup, own_name
from lib.capturing import Capturing, within
from lib.env import wait_for
from lib.netns import Row
from lib.process import run

pytestmark = pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")

OUTGOING = {"outgoing": {"ports": [443]}}
FORWARDED = {"forwarded": {"ports": [443], "interfaces": ["veth1"]}}
EVERYWHERE = ("0.0.0.0", "[::]")
FAMILIES = (4, 6)


def assert_logged(daemon, family, client):
    """The access log has the call under the addresses of client and origin."""
    host = "[%s]" if family == 6 else "%s"
    entry = daemon.wait_log()[-1]
    assert entry["mode"] == "intercept", entry
    assert entry["upstream"] == (host % Row.ORIGIN[family]) + ":443", entry
    assert entry["client"].startswith((host % client) + ":"), entry
    if env.EXPECT_KTLS:
        for side in ("client_tls", "upstream_tls"):
            assert entry[side]["ktls"] == {"rx": True, "tx": True}, entry


def test_calls_of_the_host_itself(site):
    """What is captured is relayed as anything else: with kernel TLS on both sides, where there is."""
    with Capturing(site, OUTGOING) as daemon:
        told = daemon.capture()
        assert (told["state"], told["by"], told["why"]) == ("on", "start", None), told
        # The flag is of Linux 5.12 (net/netfilter/nf_tables_api.c).
        assert told["owner"] is (env.kernel_version() >= (5, 12)) and told["loads"] == 1, told
        before = site.kernel_tls() if env.EXPECT_KTLS else None
        for family in FAMILIES:
            assert site.issuer(family) == "ksplit"
        if before:
            assert site.kernel_tls() == (before[0] + 4, before[1] + 4)
        # Nobody else's: the gateway forwards the client's calls as ever.
        assert site.issuer(place=site.row.client) == "origin"
        assert_logged(daemon, 6, "fd77:2::1")
    assert not site.table()
    assert site.issuer() == "origin"


def test_forwarded_calls_by_redirect(site):
    with Capturing(site, FORWARDED, hosts=EVERYWHERE) as daemon:
        for family, client in ((4, "10.77.1.2"), (6, "fd77:1::2")):
            assert site.issuer(family, site.row.client) == "ksplit"
            daemon.wait_log(count=3 + FAMILIES.index(family))  # two self-tests before
            assert_logged(daemon, family, client)
        assert site.issuer() == "origin"
    assert site.issuer(place=site.row.client) == "origin"


@contextlib.contextmanager
def tproxy_route(site):
    """What docs/capture.md has the administrator set: marked packets are this host's."""
    commands = [["ip", "-%d" % family] for family in FAMILIES]
    for command in commands:
        run(*within(site.row.gateway, *command, "rule", "add", "fwmark", "0x6b74", "lookup",
                    "27507"))
        run(*within(site.row.gateway, *command, "route", "add", "local", "default", "dev", "lo",
                    "table", "27507"))
    try:
        yield
    finally:
        for command in commands:
            run(*within(site.row.gateway, *command, "rule", "del", "fwmark", "0x6b74", "lookup",
                        "27507"))
            run(*within(site.row.gateway, *command, "route", "flush", "table", "27507"))


def test_forwarded_calls_by_tproxy(site):
    capture = {"forwarded": dict(FORWARDED["forwarded"], method="tproxy")}
    with tproxy_route(site), Capturing(site, capture, to="tproxy", hosts=EVERYWHERE) as daemon:
        for family, client in ((4, "10.77.1.2"), (6, "fd77:1::2")):
            assert site.issuer(family, site.row.client) == "ksplit"
            daemon.wait_log(count=3 + FAMILIES.index(family))
            assert_logged(daemon, family, client)
    assert not site.table()


@pytest.mark.parametrize("method", ("redirect", "tproxy"))
def test_forwarded_calls_that_were_there_before(site, method):
    """Rules that are loaded, and loaded anew, leave open connections alone: they reach the origin."""
    capture = {"forwarded": dict(FORWARDED["forwarded"], method=method)}
    trusted = ssl.create_default_context(cafile=site.pki.origin_ca.cert)
    with contextlib.ExitStack() as ending:
        ending.enter_context(tproxy_route(site))
        socks = [ending.enter_context(site.row.connect(Row.ORIGIN[family], 443, env.PATIENCE))
                 for family in FAMILIES]
        daemon = ending.enter_context(Capturing(
            site, capture, to="tproxy" if method == "tproxy" else "original", hosts=EVERYWHERE))
        for _ in range(2):
            for family in FAMILIES:
                assert site.issuer(family, site.row.client) == "ksplit"
            assert daemon.capture("off")["state"] == "off"
            assert daemon.capture("on")["state"] == "on"
        for sock in socks:
            tls = ending.enter_context(trusted.wrap_socket(sock, server_hostname="origin.test"))
            tls.sendall(b"GET / HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n")
            assert tls.recv(12) == b"HTTP/1.1 200"


def test_own_calls_are_not_captured(site):
    """Each call is one connection of ksplitd's and no more: its own have the mark."""
    with Capturing(site, OUTGOING) as daemon:
        before = site.captured()
        for _ in range(5):
            assert site.issuer() == "ksplit"
        daemon.settle()
        assert site.captured() - before == 5
        entries = [e for e in daemon.access_log() if e["sni"] == "origin.test"]
        assert len(entries) == 5, entries
        assert daemon.reason_count("destination_self") == 0
        # Anybody's call with the mark goes by, too: it is the mark that counts.
        assert site.captured() == before + 5


def test_own_calls_that_others_bring_back_are_refused(site):
    """Somebody's rule takes the mark away, and another leads all calls to ksplitd: no loop."""
    with Capturing(site, OUTGOING) as daemon:
        site.row.rules("table inet wild {\n\tchain unmark {\n\t\t"
                       "type route hook output priority -150; meta mark set 0\n\t}\n\tchain lead {\n"
                       "\t\ttype nat hook output priority -110; tcp dport 443 redirect to :%d\n"
                       "\t}\n}\n" % daemon.port)
        try:
            for family in FAMILIES:
                assert site.issuer(family).startswith("curl: 35"), daemon.tail()
                daemon.settle()
                # Each call has two of its own that come back: to be intercepted, then to be passed.
                assert daemon.reason_count("destination_self") == 2 * (1 + FAMILIES.index(family))
        finally:
            site.row.run("nft", "delete", "table", "inet", "wild")
        assert len([e for e in daemon.access_log() if e["sni"] == "origin.test"]) == 6
        assert site.issuer() == "ksplit"


APP, EXEMPT_USER, OTHER_USER = 64100, 64101, 64102  # nobody has to have these numbers
CHOSEN = {"users": [APP, EXEMPT_USER], "networks": ["10.77.2.0/24", "fd77:2::/64"]}


@pytest.mark.needs("setpriv")
def test_calls_are_chosen_by_user_and_network(site):
    """By those of the process and of the destination together; what is exempt goes direct."""
    def who(family, user=APP):
        # Who may read the CA's file in a folder of root's, too.
        return site.issuer(family, prefix=["setpriv", "--reuid", user, "--clear-groups", "--inh-caps",
                                           "+dac_override", "--ambient-caps", "+dac_override"])

    with Capturing(site, {"outgoing": dict(CHOSEN, exempt={"users": [EXEMPT_USER]})}):
        for family in FAMILIES:
            assert who(family) == "ksplit" and who(family, EXEMPT_USER) == "origin"
            assert who(family, OTHER_USER) == "origin" and site.issuer(family) == "origin"
    with Capturing(site, {"outgoing": dict(CHOSEN, exempt={"networks": ["10.77.2.2"]})}):
        assert who(4) == "origin" and who(6) == "ksplit"


def test_calls_are_chosen_by_cgroup(site):
    with Cgroup(own_name("chosen")) as chosen, Cgroup(own_name("chosen") + "/left") as left:
        with Capturing(site, {"outgoing": {"cgroups": [chosen.name],
                                           "exempt": {"cgroups": [left.name]}}}):
            for family in FAMILIES:
                assert site.issuer(family, prefix=chosen.prefix) == "ksplit"
                assert site.issuer(family, prefix=left.prefix) == "origin"
                assert site.issuer(family) == "origin"


def test_pinned_client_is_captured_once(site):
    """It trusts the origin's CA alone: the first call fails, the second one passes."""
    settings = {"limits": {"learned_pass": 60000}}
    with Capturing(site, OUTGOING, settings=settings) as daemon:
        for family in FAMILIES:
            assert site.issuer(family, authority=site.pki.origin_ca).startswith("curl: 60")
            assert site.issuer(family, authority=site.pki.origin_ca) == "origin"
        daemon.settle()
        assert [e["pass_reason"] for e in daemon.access_log()
                if e["sni"] == "origin.test"] == [None, "learned"] * 2


def test_own_exports_are_not_captured(site):
    """A collector behind a port that is captured: nginx, which takes nothing but TLS there."""
    otlp = {"endpoint": "http://%s:443/v1/metrics" % Row.ORIGIN[4], "interval_ms": 1000}
    with Capturing(site, OUTGOING, settings={"metrics": {"otlp": otlp}}) as daemon:
        before = site.captured()
        wait_for(lambda: daemon.ask("summary")["otlp"]["last_error"], "an answer to an export")
        assert site.captured() == before
        assert {entry["sni"] for entry in daemon.access_log()} <= {"self-test.ksplit.invalid"}


OTHERS = """
table inet mine {
	set nets {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24 }
	}
	chain output {
		type nat hook output priority -100; policy accept;
		ip daddr 192.0.2.1 tcp dport 443 redirect to :9
	}
}
table ip ksplit_not {
	comment "loaded by ksplitd"
	chain c {
	}
}
table ip6 ksplit {
	chain c {
	}
}
"""


def test_tables_of_others_are_never_touched(site):
    site.row.rules(OTHERS)
    try:
        before = site.rules()
        with Capturing(site, OUTGOING) as daemon:
            during = site.rules()
            assert during.replace(site.nft("-s", "list", "table", "inet", "ksplit"), "") == before
            daemon.capture("off")
            daemon.wait_table(False)
            assert site.rules() == before
            daemon.capture("on")
            daemon.wait_state("on")
        assert site.rules() == before
    finally:
        site.row.clear_rules()


def test_somebodys_table_of_our_name(site):
    """It stays, the daemon runs, and says what to do."""
    site.row.rules("table inet ksplit {\n\tchain mine {\n\t}\n}\n")
    try:
        before = site.rules()
        with Capturing(site, OUTGOING) as daemon:
            told = daemon.capture()
            assert told["state"] == "failed" and "capture.table" in told["why"], told
            assert daemon.summary()["degraded"]
            assert site.issuer() == "origin"
        assert site.rules() == before
    finally:
        site.row.clear_rules()


def test_leftover_of_an_earlier_one_is_replaced(site):
    """Of a ksplitd that was killed on a kernel without owners of tables."""
    site.row.rules("table inet ksplit {\n\tcomment \"loaded by ksplitd\"\n\tchain dead {\n\t\t"
                   "type nat hook output priority -101;\n\t\t"
                   "tcp dport 443 redirect to :9\n\t}\n}\n")
    assert site.issuer().startswith("curl: 7")
    with Capturing(site, OUTGOING):
        assert "dead" not in site.rules()
        assert site.issuer() == "ksplit"
    assert not site.table()


def test_off_and_on_by_command(site):
    with Capturing(site, OUTGOING) as daemon:
        code, told = daemon.tool_json("capture", "off")
        assert code == 0 and told["state"] == "off", told
        assert told["by"].startswith("command of user 0, process "), told
        assert not site.capturing() and site.issuer() == "origin"
        daemon.wait_table(False)
        code, text = daemon.tool("capture")
        assert code == 0 and "off since" in text and "by command 1" in text, text
        code, told = daemon.tool_json("capture", "on")
        assert code == 0 and told["state"] == "on", told
        assert (told["loads"], told["withdrawals"]["command"]) == (2, 1), told
        assert site.table() and site.issuer() == "ksplit"
        # Again: nothing happens.
        code, again = daemon.tool_json("capture", "on")
        assert code == 0 and again["loads"] == 2 and again["since"] == told["since"]
        assert daemon.tool("capture", "sideways")[0] == 64


def test_nothing_configured_is_told(ksplitd, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    assert daemon.ask("capture")["state"] == "not_configured"


def metrics(site, port):
    text = run(*within(site.row.gateway, "curl", "-sS", "--noproxy", "*",
                       "http://127.0.0.1:%d/metrics" % port)).stdout.decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines()
                if line.startswith("ksplit_capture"))


def test_metrics_tell_of_it(site):
    port = 19464
    with Capturing(site, OUTGOING, options=["--metrics", "127.0.0.1:%d" % port]) as daemon:
        assert metrics(site, port)['ksplit_capture_state{state="on"}'] == "1"
        daemon.capture("off")
        told = metrics(site, port)
        assert told['ksplit_capture_state{state="on"}'] == "0"
        assert told['ksplit_capture_state{state="off"}'] == "1"
        assert told['ksplit_capture_withdrawals_total{reason="command"}'] == "1"
        assert told["ksplit_capture_loads_total"] == "1"


def test_self_test_that_fails_keeps_capture_off(site):
    """Somebody's rule shuts the listener off: no rules are loaded, and the daemon goes on."""
    daemon = Capturing(site, OUTGOING)
    site.row.rules("table inet wall {\n\tchain output {\n\t\t"
                   "type filter hook output priority 0;\n\t\ttcp dport %d reject with tcp reset\n\t}\n}\n" % daemon.port)
    try:
        with daemon:
            told = daemon.capture()
            assert told["state"] == "failed" and told["self_tests_failed"] == 1, told
            assert "self-test of listener 127.0.0.1:%d" % daemon.port in told["why"], told
            assert not site.table() and site.issuer() == "origin"
            assert daemon.tool("capture")[0] == 1
            site.row.clear_rules()
            assert daemon.capture("on")["state"] == "on"
            assert site.issuer() == "ksplit"
    finally:
        site.row.clear_rules()


def test_without_the_right_to_set_rules(site):
    """Told well; what is asked of the listener by hand is served."""
    with Capturing(site, OUTGOING, prefix=["setpriv", "--bounding-set", "-net_admin,-net_raw",
                                           "--inh-caps", "-net_admin,-net_raw"]) as daemon:
        told = daemon.capture()
        assert told["state"] == "failed" and "CAP_NET_ADMIN" in told["why"], told
        assert site.issuer() == "origin"
        wait_for(lambda: daemon.open_count() == 0, "connections to end")
