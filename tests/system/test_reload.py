# SPDX-License-Identifier: GPL-2.0-or-later
"""A new configuration while ksplitd runs: by command and by SIGHUP, under load, and refused."""

import json
import os
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from lib import env, http_load, stage as stages, status, stream
from lib.capturing import TABLE, WATCHDOG_MS, Capturing
from lib.daemon import Ksplitd
from lib.env import wait_for
from lib.pki import Certificate
from lib.service import fingerprint, fingerprint_shown
from lib.tls import client_context, server_context

# What is tried here has nothing to do with observation, and starts in no time without.
PLAIN = {"sampler": "user", "sampling": {"timings": False, "processes": False}}
REQUESTS = 10000
PER_CONNECTION = 40
FRESH = 400  # of the requests have a connection each


def configure(daemon, **members):
    """Write the file; None takes a member out."""
    for key, value in members.items():
        if value is None:
            daemon.config.pop(key, None)
        else:
            daemon.config[key] = value
    daemon.config_path.write_text(json.dumps(daemon.config, indent=1))


def reloaded(daemon, **members):
    """Reload what was configured so; the answer."""
    configure(daemon, **members)
    answer = daemon.ask("reload")
    assert answer["reloaded"] and answer["why"] is None, (answer, daemon.tail())
    return answer


def ca_of(authority):
    return {"cert": str(authority.cert), "key": str(authority.key)}


def listener(port, to, **more):
    return dict(more, listen="127.0.0.1:%d" % port, to=to)


def trust(folder, *authorities):
    path = folder / "trust.pem"
    path.write_bytes(b"".join(a.cert.read_bytes() for a in authorities))
    return Certificate(path, None)


def issuer_shown(port, authorities):
    """Which of the authorities signed what a client is shown."""
    for authority in authorities:
        try:
            stages.connect_tls(("127.0.0.1", port), client_context(authority)).close()
            return authority
        except OSError:
            continue
    raise AssertionError("signed by none of them")


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


# -- under load --------------------------------------------------------------------------------


def plans():
    """10,000 requests: most keep their connections, some have one each."""
    def request():
        return http_load.Request("GET", "/small.txt")
    kept = REQUESTS - FRESH
    many = [([request() for _ in range(PER_CONNECTION)], 1) for _ in range(kept // PER_CONNECTION)]
    one = [([request()], 1) for _ in range(FRESH)]
    step = len(one) // len(many) + 1
    mixed = []
    for at, plan in enumerate(many):
        mixed += [plan] + one[at * step:(at + 1) * step]
    return mixed


def changes(pki, to, extra, identities):
    """Ten configurations, each other than the one before it."""
    own, other = {"ca": ca_of(pki.ca)}, {"ca": ca_of(pki.ca_rsa)}
    first = listener(to[0], "127.0.0.1:%d" % to[1])
    second = listener(extra, "127.0.0.1:%d" % to[1])
    service = listener(extra, "127.0.0.1:%d" % to[1], direction="incoming")
    rule = [{"sni": ["origin.test"], "comment": "raw"}]
    return [
        other,
        {"listeners": [first, second]},
        {"pass": rule},
        {"listeners": [first], "limits": {"deadlines_ms": {"idle": 30000}}},
        own,
        {"pass": None, "listeners": [service, first], "identities": identities.settings(identities.shop)},
        {"listeners": [first], "identities": None},
        {"upstream": {"verify": "off"}},
        other,
        dict(own, upstream={"ca": str(pki.origin_ca.cert)}, log_level="info"),
    ]


@pytest.mark.needs("openssl", "nginx")
def test_ten_thousand_requests_over_ten_reloads(pki, nginx, ksplitd, identities, tmp_path):
    """None fails, and all are counted."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    book, failed = http_load.Book(), []
    connect = http_load.connector(daemon.port, trust(tmp_path, pki.ca, pki.ca_rsa, pki.origin_ca))

    def load():
        try:
            http_load.play_all(connect, plans(), book)
        except BaseException as exc:  # noqa: B902 - handed over to the test's thread
            failed.append(exc)

    thread = threading.Thread(target=load)
    thread.start()
    wait_for(lambda: book.total() > 100, "the load to begin")
    try:
        for number, change in enumerate(
                changes(pki, (daemon.port, nginx.port), env.free_port(), identities)):
            before = book.total()
            assert reloaded(daemon, **change)["configuration"] == number + 2
            wait_for(lambda: book.total() > before + 300 or not thread.is_alive(),
                     "requests between two reloads")
    finally:
        thread.join(6 * env.PATIENCE)
    assert not failed, (failed, daemon.tail())
    assert book.counts() == {("GET", "/small.txt", 200, "1.1"): REQUESTS}
    daemon.settle()
    told = daemon.summary()
    assert told["connections"]["accepted"] == told["connections"]["closed"]
    assert told["connections"]["closed"] == (REQUESTS - FRESH) // PER_CONNECTION + FRESH
    assert set(told["reasons"]["end"]) <= {"closed", "truncated_by_client"} or all(
        not count for name, count in told["reasons"]["end"].items()
        if name not in ("closed", "truncated_by_client"))
    wait_for(lambda: daemon.summary()["reloads"]["old_configurations"] == 0,
             "old configurations to be freed")
    assert daemon.summary()["reloads"]["done"] == 10


# -- what stays and what changes -----------------------------------------------------------------


@pytest.mark.needs("openssl")
def test_an_open_connection_stays(pki, stage, ksplitd):
    """Its listener goes, another CA comes: it is relayed on, to its own end."""
    daemon = ksplitd(["127.0.0.1:%d" % stage.port] * 2, PLAIN)
    with stage.play_tls(server_context(pki.origin), stages.echo):
        with stages.connect_tls(("127.0.0.1", daemon.ports[0]), client_context(pki.ca)) as sock:
            for authority in (pki.ca_rsa, pki.ca, pki.ca_rsa):
                reloaded(daemon, ca=ca_of(authority), listeners=[
                    listener(daemon.ports[1], "127.0.0.1:%d" % stage.port)])
                sock.sendall(b"still here")
                assert stream.receive_exactly(sock, 10) == b"still here"
            assert not is_listening(daemon.ports[0])
            wait_for(lambda: daemon.summary()["reloads"]["old_configurations"] == 1,
                     "the configurations in between to be freed")
        wait_for(lambda: daemon.summary()["reloads"]["old_configurations"] == 0,
                 "the old configuration to be freed")
        assert issuer_shown(daemon.ports[1], [pki.ca, pki.ca_rsa]) is pki.ca_rsa


def test_sighup_does_the_same(pki, stage, ksplitd):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, PLAIN)
    port = env.free_port()
    configure(daemon, listeners=daemon.config["listeners"] + [listener(port, "127.0.0.1:1")])
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: is_listening(port), "the new listener")
    wait_for(lambda: daemon.summary()["reloads"]["done"] == 1, "the reload to be counted")
    assert daemon.summary()["reloads"]["by"] == "SIGHUP"
    configure(daemon, relay="teleport")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.summary()["reloads"]["failed"] == 1, "the failure to be counted")
    assert "%s:" % daemon.config_path in daemon.summary()["reloads"]["why"]
    assert "teleport" in daemon.stderr()


def test_what_is_fixed_is_kept_and_named(pki, stage, ksplitd):
    """The rest takes effect."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, PLAIN)
    answer = reloaded(daemon, workers=3, sampler="off", ca=ca_of(pki.ca_rsa),
                      metrics={"max_series": 10})
    assert sorted(answer["kept"]) == ["metrics.max_series", "sampler", "workers"]
    assert daemon.summary()["workers"] == 2
    with stage.play_tls(server_context(pki.origin), stages.echo):
        assert issuer_shown(daemon.port, [pki.ca, pki.ca_rsa]) is pki.ca_rsa
    told = status.run(daemon.control_path, "reload")
    assert told.returncode == 0, told
    assert "configuration 3\n" in told.stdout
    assert "next upgrade or restart: " in told.stdout and "sampler" in told.stdout


def test_identities_come_and_change(pki, stage, ksplitd, identities):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, dict(PLAIN, upstream={"verify": "off"}))
    service = listener(daemon.port, "127.0.0.1:%d" % stage.port, direction="incoming")
    for certificate in (identities.shop, identities.shop_rsa):
        reloaded(daemon, listeners=[service], identities=identities.settings(certificate))
        with stage.play_tls(server_context(pki.origin), stages.echo):
            shown = fingerprint_shown(("127.0.0.1", daemon.port), "shop.test")
        assert shown == fingerprint(certificate)


def test_port_0_stays_what_it_was(pki, stage, ksplitd):
    """A listener whose port the kernel chose keeps it."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, PLAIN)
    added = [listener(0, "127.0.0.1:%d" % stage.port)]
    reloaded(daemon, listeners=daemon.config["listeners"] + added)
    port = int(daemon.stderr().rsplit("listening on 127.0.0.1:", 1)[1].split()[0])
    assert port != daemon.port and is_listening(port)
    reloaded(daemon, ca=ca_of(pki.ca_rsa))
    with stage.play_tls(server_context(pki.origin), stages.echo):
        assert issuer_shown(port, [pki.ca, pki.ca_rsa]) is pki.ca_rsa


def test_counts_by_rule_go_with_their_rules(pki, stage, ksplitd):
    """Rules that stay the same keep them."""
    rule = {"sni": ["origin.test"], "comment": "first"}
    daemon = ksplitd("127.0.0.1:%d" % stage.port, dict(PLAIN, **{"pass": [rule]}))
    with stage.play_tls(server_context(pki.origin), stages.echo):
        stages.connect_tls(("127.0.0.1", daemon.port), client_context(pki.origin_ca)).close()
        assert [r["count"] for r in daemon.ask("passes")["rules"]] == [1]
        reloaded(daemon, ca=ca_of(pki.ca_rsa))
        assert [r["count"] for r in daemon.ask("passes")["rules"]] == [1]
        reloaded(daemon, **{"pass": [{"sni": ["other.test"]}, rule]})
        assert [r["count"] for r in daemon.ask("passes")["rules"]] == [0, 0]


# -- what changes nothing ------------------------------------------------------------------------


def no_file(daemon, pki, folder):
    daemon.config_path.unlink()
    return str(daemon.config_path)


def bad_json(daemon, pki, folder):
    daemon.config_path.write_text('{\n "relay": auto\n}')
    return "%s:2: not JSON" % daemon.config_path


def unknown_key(daemon, pki, folder):
    daemon.config_path.write_text('{\n "relya": "auto"\n}')
    return '%s:2: "relya"' % daemon.config_path


def key_of_another(daemon, pki, folder):
    configure(daemon, ca={"cert": str(pki.ca_rsa.cert), "key": str(pki.ca.key)})
    return str(pki.ca.key)


def no_key(daemon, pki, folder):
    configure(daemon, ca={"cert": str(pki.ca_rsa.cert), "key": str(folder / "nowhere.key")})
    return "nowhere.key"


def key_with_another_content(daemon, pki, folder):
    """The same paths, so that only a look at the files tells."""
    shutil.copy(pki.ca_rsa.key, folder / "ca.key")
    return str(folder / "ca.key")


def no_upstream_ca(daemon, pki, folder):
    configure(daemon, upstream={"ca": str(folder / "nowhere.pem")})
    return "nowhere.pem"


def no_identity(daemon, pki, folder):
    configure(daemon, identities=[{"cert": str(folder / "nowhere.pem"), "key": str(pki.ca.key)}])
    return "nowhere.pem"


def port_taken(daemon, pki, folder):
    sock = socket.create_server(("127.0.0.1", 0))
    daemon.taken = sock
    configure(daemon, listeners=[listener(env.free_port(), "127.0.0.1:1")] +
              daemon.config["listeners"] + [listener(sock.getsockname()[1], "127.0.0.1:1")])
    return "127.0.0.1:%d: Address already in use" % sock.getsockname()[1]


REFUSED = [no_file, bad_json, unknown_key, key_of_another, no_key, key_with_another_content,
           no_upstream_ca, no_identity, port_taken]


@pytest.mark.needs("openssl")
def test_what_is_not_good_changes_nothing(pki, stage, ksplitd, tmp_path):
    """Told by the command, its exit code and the log; descriptors and processes stay as many."""
    shutil.copy(pki.ca.cert, tmp_path / "ca.pem")
    shutil.copy(pki.ca.key, tmp_path / "ca.key")
    own = Certificate(tmp_path / "ca.pem", tmp_path / "ca.key")
    daemon = ksplitd("127.0.0.1:%d" % stage.port, dict(PLAIN, ca=ca_of(own)))
    good = dict(daemon.config)
    files, listeners = daemon.fd_count(), daemon.config["listeners"]
    for refused in REFUSED:
        words = refused(daemon, pki, tmp_path)
        told = status.run(daemon.control_path, "reload")
        assert told.returncode == 1, (refused, told)
        assert "nothing has changed: " in told.stdout and words in told.stdout, told.stdout
        assert words in daemon.stderr()
        with stage.play_tls(server_context(pki.origin), stages.echo):
            assert issuer_shown(daemon.port, [pki.ca_rsa, pki.ca]) is pki.ca
        if refused is port_taken:
            free = int(daemon.config["listeners"][0]["listen"].rsplit(":", 1)[1])
            assert not is_listening(free)
            daemon.taken.close()
        if refused is key_with_another_content:
            shutil.copy(pki.ca.key, tmp_path / "ca.key")
        daemon.config = dict(good, listeners=listeners)
        configure(daemon)
    told = daemon.summary()["reloads"]
    assert (told["done"], told["failed"], told["configuration"]) == (0, len(REFUSED), 1)
    assert told["old_configurations"] == 0
    wait_for(lambda: daemon.fd_count() <= files, "descriptors to be closed")
    assert status.run(daemon.control_path, "reload").returncode == 0


# -- with fewer rights -----------------------------------------------------------------------------


@pytest.mark.needs("openssl")
def test_a_user_without_the_key_has_another_ca(pki, stage):
    """Neither key can be read by that user; what takes a right that it gave up is refused."""
    assert os.geteuid() == 0, "this test needs root"
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for authority in ("ca", "ca_rsa", "origin_ca"):
            made = getattr(pki, authority)
            shutil.copy(made.cert, folder / (authority + ".pem"))
            shutil.copy(made.key, folder / (authority + ".key"))
            (folder / (authority + ".key")).chmod(0o600)

        def ca(authority):
            return ca_of(Certificate(folder / (authority + ".pem"), folder / (authority + ".key")))

        control = folder / "run" / "control.sock"
        daemon = Ksplitd(pki, "127.0.0.1:%d" % stage.port, dict(
            PLAIN, user="daemon", control=str(control), ca=ca("ca"),
            upstream={"ca": str(folder / "origin_ca.pem")}), folder=folder)
        daemon.control_path = control
        with daemon, stage.play_tls(server_context(pki.origin), stages.echo):
            daemon.config_path.chmod(0o644)
            assert issuer_shown(daemon.port, [pki.ca, pki.ca_rsa]) is pki.ca
            reloaded(daemon, ca=ca("ca_rsa"))
            assert issuer_shown(daemon.port, [pki.ca, pki.ca_rsa]) is pki.ca_rsa
            good = daemon.config["listeners"]
            configure(daemon, listeners=good + [listener(81, "127.0.0.1:1")])
            told = status.run(control, "reload")
            assert told.returncode == 1 and "127.0.0.1:81: Permission denied" in told.stdout, told
            assert "ksplit-status upgrade" in told.stdout
            (folder / "ca.pem").chmod(0o600)
            configure(daemon, listeners=good, ca=ca("ca"))
            told = status.run(control, "reload")
            assert told.returncode == 1 and "ca.pem: Permission denied" in told.stdout, told
            assert issuer_shown(daemon.port, [pki.ca, pki.ca_rsa]) is pki.ca_rsa


# -- what is captured --------------------------------------------------------------------------------

SOME = {"watchdog": WATCHDOG_MS, "table": TABLE, "outgoing": {"ports": [443],
                                                              "networks": ["10.0.0.0/8"]}}
ALL = dict(SOME, outgoing={"ports": [443]})


@pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")
def test_rules_change_under_calls(site):
    """Other rules, and listeners on another port: every call meanwhile is captured, none fails."""
    with Capturing(site, SOME) as daemon:
        seen, over = [], threading.Event()

        def call():
            while not over.is_set():
                seen.append(site.issuer())

        callers = [threading.Thread(target=call) for _ in range(2)]
        for caller in callers:
            caller.start()
        try:
            assert site.issuer(6) == "origin"
            reloaded(daemon, capture=ALL)
            assert site.issuer(6) == "ksplit"
            old, port = daemon.port, env.free_port()
            moved = [dict(one, listen=one["listen"].replace(":%d" % old, ":%d" % port))
                     for one in daemon.config["listeners"]]
            reloaded(daemon, listeners=moved)
            assert site.issuer(6) == "ksplit"
            assert ":%d" % old not in site.rules() and ":%d" % port in site.rules()
            reloaded(daemon, capture=SOME)
            assert site.issuer(6) == "origin"
            wait_for(lambda: len(seen) > 10, "calls")
        finally:
            over.set()
            for caller in callers:
                caller.join(env.PATIENCE)
        assert set(seen) == {"ksplit"}, (seen, daemon.tail())
        told = daemon.capture()
        assert (told["state"], told["loads"]) == ("on", 4), told
        assert not any(told["withdrawals"].values()), told
    assert not site.table()


@pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")
def test_rules_that_cannot_be_loaded_change_nothing(site):
    with Capturing(site, SOME) as daemon:
        rules, port = site.rules(), env.free_port()
        more = daemon.config["listeners"] + [listener(port, "original")]
        section = dict(SOME, outgoing={"ports": [443], "cgroups": ["nowhere.slice"]})
        configure(daemon, capture=section, listeners=more)
        code, told = daemon.tool("reload")
        assert code == 1 and "nothing has changed: " in told, told
        assert site.rules() == rules
        assert site.issuer() == "ksplit"
        assert daemon.capture()["state"] == "on"
        assert "no longer listening" not in daemon.stderr()
        assert daemon.summary()["reloads"]["failed"] == 1
    assert not site.table()
