# SPDX-License-Identifier: GPL-2.0-or-later
"""Resumption (docs/sessions.md): towards origins and towards clients, never from one name to
another, with the right record numbers in the kernel afterwards."""

import json
import re
import ssl

import pytest

from lib import clients, env, expect, origins, stage as stages, stream
from lib.env import free_port, wait_for
from lib.nginx import NginxProgram
from lib.service import incoming
from lib.stage import connect_tls
from lib.tls import TLS12, TLS13, client_context, server_context
from lib.upgrade import Upgrading

VERSIONS = pytest.mark.parametrize("suite", (TLS12, TLS13), ids=repr)
COUNT = 6 if env.IN_VM else 50  # of the kind that is met most; else FEW
FEW = 6

SERVER = """
	server {{
		listen 127.0.0.1:%d ssl backlog=1024;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		ssl_protocols %s;
		ssl_session_cache %s;
		ssl_session_tickets %s;
		location / {{ return 200 "$ssl_session_reused $ssl_protocol"; }}
	}}
"""
KINDS = {
    "tls12-tickets": ("TLSv1.2", "off", "on", TLS12),
    "tls12-ids": ("TLSv1.2", "shared:ids:1m", "off", TLS12),
    "tls13-tickets": ("TLSv1.3", "off", "on", TLS13),
    "tls13-stateful": ("TLSv1.3", "shared:stateful:1m", "off", TLS13),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory, pki):
    """nginx, which says whether a call's session was resumed: kind -> port."""
    ports = {kind: free_port() for kind in KINDS}
    text = "".join(SERVER % (ports[kind], *KINDS[kind][:3]) for kind in KINDS)
    program = NginxProgram(tmp_path_factory.mktemp("nginx"), text, ports.values(),
                           certificate=pki.origin)
    yield ports
    program.close()


def get(address, context, session=None, name="origin.test"):
    """One call of its own: was the origin's handshake, was ours resumed, and our session then."""
    sock = stages.connect(address)
    sock = context.wrap_socket(sock, server_hostname=name, session=session)
    with sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name.encode())
        text = b""
        while True:
            try:
                more = sock.recv(65536)
            except ssl.SSLEOFError:
                break
            if not more:
                break
            text += more
        answer = re.search(rb"([r.]) TLSv1\.\d$", text)
        assert answer, text
        return answer.group(1) == b"r", sock.session_reused, sock.session


def calls(address, context, count, resume):
    """`count` calls, with or without a session of the client's own: how many the origin resumed, and
    how many of ours were."""
    session, of_origin, of_client = None, 0, 0
    for _ in range(count):
        reused, ours, session = get(address, context, session)
        of_origin, of_client = of_origin + reused, of_client + ours
        session = session if resume else None
    return of_origin, of_client


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_those_without_the_proxy(ksplitd, pki, servers, kind):
    """A client that resumes does so as often, and the origin sees no fewer; nor does it of a client
    that never resumes."""
    count, suite = COUNT if kind == "tls13-tickets" else FEW, KINDS[kind][3]
    direct = ("127.0.0.1", servers[kind])
    daemon = ksplitd("127.0.0.1:%d" % servers[kind], {"workers": 1})
    straight = calls(direct, client_context(pki.origin_ca, suite), count, True)
    assert straight == (count - 1, count - 1)
    assert calls(daemon.address, client_context(pki.ca, suite), count, True) == straight
    assert calls(daemon.address, client_context(pki.ca, suite), count, False) == (count, 0)
    summary = daemon.summary()
    assert summary["handshakes"]["upstream_resumed"] == 2 * count - 1
    assert summary["sessions"]["upstream_hits"] == 2 * count - 1
    assert summary["sessions"]["upstream_misses"] == 1
    assert summary["sessions"]["upstream_refused"] == 0
    assert summary["sessions"]["upstream_stored"] >= 1
    entries = daemon.wait_log(0, 2 * count)
    assert [entry["upstream_tls"]["resumed"] for entry in entries].count(True) == 2 * count - 1
    for entry in entries:
        expect.assert_relayed(entry, "auto")


@VERSIONS
def test_data_after_resumption(proxy, suite):
    """Both sides resumed, many records both ways: the kernel began with the right numbers."""
    def act(sock):
        reused = sock.session_reused
        flows = stream.exchange(sock, stream.random_chunks(300000), 300000)
        stream.receive_all(sock)
        stream.close_orderly(sock)
        return flows, reused

    context, session, told = client_context(proxy.pki.ca, suite), None, []
    with proxy.origin(act, suite) as play:
        for _ in range(3):
            sock = context.wrap_socket(stages.connect(proxy.to_stage), session=session,
                                       server_hostname="origin.test")
            sent, received = stream.exchange(sock, stream.random_chunks(300000), 300000)
            session = sock.session
            told.append(sock.session_reused)
            stream.close_orderly(sock)
            sock.close()
            (origin_sent, origin_received), reused = play.result()
            assert (origin_received, received) == (sent, origin_sent)
            told.append(reused)
    assert told == [False, False, True, True, True, True]
    for entry in proxy.lines(3):
        expect.assert_relayed(entry, proxy.relay)


def await_refusals(daemon, count):
    """A reason is counted when its connection has ended, which the client does not wait for."""
    wait_for(lambda: daemon.reason_count("upstream_unverified") == count, "what was refused")


def counted(daemon, name):
    return daemon.summary()["sessions"][name]


def test_names_do_not_share(ksplitd, pki, servers):
    """Neither a client's session nor an origin's is good for another name of the certificate."""
    daemon = ksplitd("127.0.0.1:%d" % servers["tls13-tickets"], {"workers": 1})
    context = client_context(pki.ca, TLS13)
    first, _, session = get(daemon.address, context)
    other, ours, _ = get(daemon.address, context, session, name="www.origin.test")
    assert (first, other, ours) == (False, False, False)
    again, ours, _ = get(daemon.address, context, session)
    assert (again, ours) == (True, True)


def test_other_alpn_offers_do_not_share(ksplitd, pki, servers):
    daemon = ksplitd("127.0.0.1:%d" % servers["tls13-tickets"], {"workers": 1})
    assert not get(daemon.address, client_context(pki.ca, TLS13))[0]
    assert not get(daemon.address, client_context(pki.ca, TLS13, alpn=["http/1.1"]))[0]
    assert get(daemon.address, client_context(pki.ca, TLS13))[0]


def with_rules(daemon, *rules):
    """Other rules for origins by a reload."""
    daemon.config["upstream"]["rules"] = list(rules)
    daemon.config_path.write_text(json.dumps(daemon.config))
    assert daemon.ask("reload")["reloaded"]


def strict(name, authority):
    return {"sni": name, "verify": "require", "ca": str(authority.cert)}


BOTH = pytest.mark.parametrize("kind", ("tls12-ids", "tls13-tickets"))
REFUSED = (ssl.SSLError, ConnectionError)


@BOTH
def test_rules_do_not_share(ksplitd, pki, servers, kind):
    """Two names of one origin under two rules, one of which does not trust it: no session of the
    other name spares it the check, whichever the client shows."""
    daemon = ksplitd("127.0.0.1:%d" % servers[kind], {
        "workers": 1, "upstream": {"rules": [strict("www.origin.test", pki.client_ca),
                                             strict("origin.test", pki.origin_ca)]}})
    context = client_context(pki.ca, KINDS[kind][3])
    # OpenSSL resumes none that had a part in a handshake that failed.
    spoiled, session = (get(daemon.address, context)[2] for _ in range(2))
    for offered in (None, spoiled):
        with pytest.raises(REFUSED):
            get(daemon.address, context, offered, name="www.origin.test")
    assert counted(daemon, "upstream_hits") == 1
    assert get(daemon.address, context, session)[:2] == (True, True)
    await_refusals(daemon, 2)


@BOTH
def test_reloads_do_not_share(ksplitd, pki, servers, kind):
    """Another rule for the same origin and name: each generation begins with a full handshake, also
    the one that has the first one's rule again; one that trusts it no more refuses it."""
    daemon = ksplitd("127.0.0.1:%d" % servers[kind], {
        "workers": 1, "upstream": {"rules": [dict(strict("*.test", pki.origin_ca))]}})
    context, session = client_context(pki.ca, KINDS[kind][3]), None
    for rules in ((), (strict("origin.test", pki.origin_ca),), ({"sni": "*", "verify": "off"},)):
        with_rules(daemon, *rules)
        reused, _, session = get(daemon.address, context, session)
        assert not reused, rules
        assert get(daemon.address, context, session)[:2] == (True, True)
    with_rules(daemon, strict("origin.test", pki.client_ca))
    with pytest.raises(REFUSED):
        get(daemon.address, context, session)
    await_refusals(daemon, 1)
    assert counted(daemon, "upstream_hits") == 3


@VERSIONS
def test_identities_do_not_share(ksplitd, pki, stage, suite):
    """A session is the identity's for which it was made (RFC 8446 4.6.1): who calls as another one after
    a reload is seen as that one."""
    def rule(certificate):
        return {"sni": "origin.test",
                "identity": {"cert": str(certificate.cert), "key": str(certificate.key)}}

    def greet(sock):
        (name,), = sock.getpeercert()["subject"]
        sock.sendall(("%s %d" % (name[1], sock.session_reused)).encode().ljust(100))
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def call():
        with stage.play_tls(context, greet) as play:
            with connect_tls(daemon.address, client_context(pki.ca, suite)) as sock:
                seen = stream.receive_exactly(sock, 100).decode().strip()
                stream.close_orderly(sock)
            play.result()
        return seen

    other = pki.issue("other-client", pki.client_ca, subject="/CN=other client",
                      san="email:other@origin.test", eku="clientAuth")
    context = server_context(pki.origin, suite, client_ca=pki.client_ca)
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {
        "workers": 1, "upstream": {"rules": [rule(pki.client)]}})
    assert [call(), call()] == ["test client 0", "test client 1"]
    with_rules(daemon, rule(other))
    assert [call(), call()] == ["other client 0", "other client 1"]


@pytest.mark.parametrize("kind", ("tls12-tickets", "tls13-tickets"))
def test_old_sessions_are_not_offered(ksplitd, pki, servers, kind):
    """However often it was resumed meanwhile: the origin shows its certificate again."""
    daemon = ksplitd("127.0.0.1:%d" % servers[kind],
                     {"workers": 1, "sessions": {"upstream": {"lifetime_s": 1}}})
    context = client_context(pki.ca)
    assert not get(daemon.address, context)[0]
    wait_for(lambda: not get(daemon.address, context)[0], "a full handshake")
    assert counted(daemon, "upstream_misses") >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_switched_off(ksplitd, pki, servers, kind):
    daemon = ksplitd("127.0.0.1:%d" % servers[kind], {
        "workers": 1, "sessions": {"upstream": {"cache": 0},
                                   "client": {"cache": 0, "tickets": False}}})
    context, session = client_context(pki.ca, KINDS[kind][3]), None
    for _ in range(3):
        reused, ours, session = get(daemon.address, context, session)
        assert (reused, ours) == (False, False)
    assert counted(daemon, "upstream_stored") == 0


def test_cache_tells_how_full_it_is(ksplitd, pki, servers):
    """One session at most: the second name's makes the first's go."""
    daemon = ksplitd("127.0.0.1:%d" % servers["tls12-tickets"],
                     {"workers": 1, "sessions": {"upstream": {"cache": 1}}})
    told = []
    for name in ("origin.test", "www.origin.test", "origin.test"):
        assert not get(daemon.address, client_context(pki.ca, TLS12), name=name)[0]
        told.append(daemon.summary()["session_cache"])
    assert told == [{"entries": 1, "evicted": evicted} for evicted in range(3)]


@VERSIONS
def test_client_without_tickets(ksplitd, pki, servers, suite):
    """The daemon keeps the sessions of clients then."""
    daemon = ksplitd("127.0.0.1:%d" % servers["tls13-tickets"], {
        "workers": 2, "sessions": {"client": {"tickets": False}}})
    context = client_context(pki.ca, suite)
    session = get(daemon.address, context)[2]
    assert not session.has_ticket or suite is TLS13
    assert get(daemon.address, context, session)[1]


def test_origin_without_tickets_wanted(ksplitd, pki, servers):
    """TLS 1.2 has session ids; TLS 1.3 has tickets or nothing."""
    daemon = ksplitd(["127.0.0.1:%d" % servers[kind] for kind in ("tls12-ids", "tls13-tickets")], {
        "workers": 1, "sessions": {"upstream": {"tickets": False}}})
    context = client_context(pki.ca)
    for port, expected in zip(daemon.ports, (True, False)):
        assert not get(("127.0.0.1", port), context)[0]
        assert get(("127.0.0.1", port), context)[0] is expected


@VERSIONS
def test_origin_that_has_forgotten(ksplitd, pki, stage, suite):
    """It was restarted with another certificate: a full handshake, and the leaf is the new one's."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    for certificate in (pki.origin, pki.origin_rsa):
        suite = None if certificate is pki.origin_rsa else suite
        with stage.play_tls(server_context(certificate, suite), stages.echo) as play:
            sock = connect_tls(daemon.address, client_context(pki.ca, suite))
            sock.sendall(b"x" * 1000)
            assert stream.receive_exactly(sock, 1000) == b"x" * 1000
            stream.close_orderly(sock)
            play.result()
    first, second = daemon.wait_log(0, 2)
    assert first["upstream_tls"]["resumed"] is second["upstream_tls"]["resumed"] is False
    for name in ("origin_fingerprint_sha256", "leaf_fingerprint_sha256"):
        assert first[name] != second[name]
    assert counted(daemon, "upstream_hits") == counted(daemon, "upstream_refused") == 1


def test_origin_that_takes_offence(ksplitd, pki, stage):
    """It closes when it is shown a ticket: the same call gets through without."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    context, seen = server_context(pki.origin, TLS13), []

    def act(sock):
        seen.append(sock)
        if len(seen) == 2:
            sock.recv(1)
            return
        with context.wrap_socket(sock, server_side=True) as secured:
            stages.echo(secured)

    with stage.play(act) as play:
        for _ in range(2):
            sock = connect_tls(daemon.address, client_context(pki.ca, TLS13))
            sock.sendall(b"x" * 1000)
            assert stream.receive_exactly(sock, 1000) == b"x" * 1000
            stream.close_orderly(sock)
            play.result()
        play.result()
    assert len(seen) == 3
    assert counted(daemon, "upstream_refused") == 1
    assert [line["mode"] for line in daemon.wait_log(0, 2)] == ["intercept", "intercept"]


@VERSIONS
def test_client_resumes_after_a_reload(ksplitd, pki, servers, suite):
    """The keys of tickets belong to no generation; what origins gave does."""
    daemon = ksplitd("127.0.0.1:%d" % servers["tls13-tickets"], {"workers": 2})
    context = client_context(pki.ca, suite)
    session = get(daemon.address, context)[2]
    assert daemon.ask("reload")["reloaded"]
    reused, ours, _ = get(daemon.address, context, session)
    assert (reused, ours) == (False, True)


@pytest.mark.needs("curl", "nginx")
@pytest.mark.parametrize("kind", KINDS)
def test_curl_resumes(ksplitd, pki, servers, kind):
    """Three calls of one curl, each on a connection of its own: it resumes through ksplitd as directly,
    and so does ksplitd. Of TLS 1.2 curl takes session ids alone (SSL_OP_NO_TICKET), which ksplitd has
    for it where the origin has none."""
    def curl(port, authority):
        again = ["https://origin.test:%d/" % port] * 2
        done = clients.curl(port, "/", authority, "-v", "-H", "Connection: close", *again)
        assert done.stderr.count(b"Connected to") == 3, done.stderr
        return (re.findall(rb"([r.]) TLSv1\.\d", done.stdout),
                len(re.findall(rb"SSL re-?using session", done.stderr)))

    daemon = ksplitd("127.0.0.1:%d" % servers[kind], {"workers": 1})
    straight = curl(servers[kind], pki.origin_ca)
    resumes = ([b".", b"r", b"r"], 2)
    assert straight == (resumes if kind != "tls12-tickets" else ([b"."] * 3, 0))
    assert curl(daemon.port, pki.ca) == resumes
    for entry, resumed in zip(daemon.wait_log(0, 3), (False, True, True)):
        assert entry["client_tls"]["resumed"] is entry["upstream_tls"]["resumed"] is resumed


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_openssl_reconnects(proxy, version):
    """s_client -reconnect: five handshakes more with one session, towards s_server."""
    with origins.openssl_s_server(proxy.spare_port, proxy.pki.origin, version):
        with clients.s_client(proxy.to_spare[1], proxy.pki.ca, version, "-reconnect") as client:
            wait_for(lambda: client.text().count("Reused, TLSv1" if version == "-tls1_2"
                                                 else "TLSv1.3, Cipher is") >= 5,
                     "five more handshakes")
    lines = proxy.lines(6)
    # The last of them may have been left before it had begun, and a client that leaves right after its
    # handshake is gone before an origin's ticket of TLS 1.3 has come.
    resumed = [line["upstream_tls"]["resumed"] for line in lines if line["upstream_tls"]]
    assert True in resumed or version == "-tls1_3", lines


@VERSIONS
def test_client_resumes_after_an_upgrade(pki, stage, identities, suite):
    """Where it is shown the same certificate: the new process has the keys of the old one's tickets."""
    context = client_context(pki.origin_ca, suite)

    def call(session):
        with context.wrap_socket(stages.connect(daemon.address), session=session,
                                 server_hostname="shop.test") as sock:
            sock.sendall(b"x" * 1000)
            assert stream.receive_exactly(sock, 1000) == b"x" * 1000
            told = sock.session_reused, sock.session
            sock.unwrap().close()
            return told

    with Upgrading(pki, incoming("127.0.0.1:%d" % stage.port, upstream_tls=False), {
            "workers": 1, "sampler": "user", "sampling": {"timings": False, "processes": False},
            "identities": identities.settings(identities.shop)}) as daemon:
        with stage.play(stages.echo):
            assert call(None)[0] is False
            session = call(None)[1]
            daemon.upgrade()
            assert call(session)[0] is True
