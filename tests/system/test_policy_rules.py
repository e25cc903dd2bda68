# SPDX-License-Identifier: GPL-2.0-or-later
"""Section "pass": what a rule names goes to the origin as it is, everything else is intercepted, and
`ksplit-status passes` tells of both."""

import json

import pytest

from lib import clients, env, stage as stages
from lib.daemon import run_to_end
from lib.passes import FORGED, ORIGINAL, origin, passes, seen
from lib.process import run
from lib.tls import client_context

STATUS = env.BUILD / "ksplit-status"


def start(ksplitd, stage, *rules, **settings):
    return ksplitd("127.0.0.1:%d" % stage.port, dict({"pass": list(rules)}, **settings))


def status(daemon, *options):
    return run(STATUS, "--control", daemon.control_path, "passes", *options,
               env={"COLUMNS": "80"}).stdout.decode()


def test_names(ksplitd, pki, stage):
    """Labels are compared, in any case; the order of rules decides which one counts."""
    daemon = start(ksplitd, stage, {"sni": "*.BANK.example", "comment": "banks"},
                   {"sni": ["health.example", "a*.b.example"]}, {"sni": "www.bank.example"},
                   upstream={"verify": "off"})
    with origin(stage, pki):
        for name, expected in (("www.bank.example", ORIGINAL), ("a.b.bank.example", ORIGINAL),
                               ("bank.example", FORGED), ("Health.Example", ORIGINAL),
                               ("abc.b.example", ORIGINAL), ("x.abc.b.example", FORGED),
                               ("origin.test", FORGED)):
            assert seen(daemon.address, pki, name) == expected, name
    entries = {entry["sni"]: entry["pass_reason"] for entry in daemon.wait_log(0, 7)}
    assert entries["www.bank.example"] == "pass_rule" and entries["bank.example"] is None
    rules = daemon.ask("passes")["rules"]
    assert [(rule["count"], rule["comment"]) for rule in rules] == [(2, "banks"), (2, None),
                                                                    (0, None)]
    assert daemon.reason_count("pass_rule") == 4
    row, = passes(daemon, name="health.example")
    assert (row["reason"], row["rule"], row["count"]) == ("pass_rule", 1, 1)
    assert row["last_time"] and row["expires_ms"] is None and row["client"] is None
    assert "www.bank.example: passed through" in daemon.stderr()
    assert "pass[0], banks" in daemon.stderr()


def test_table(ksplitd, pki, stage):
    daemon = start(ksplitd, stage, {"sni": "origin.test", "comment": "ours"}, {"ports": 1})
    assert "Nothing was passed through" in status(daemon)
    with origin(stage, pki):
        for _ in range(3):
            assert seen(daemon.address, pki) == ORIGINAL
    daemon.settle()
    text = status(daemon)
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "3 pass_rule" in text.splitlines()[0], text
    used, unused = text.splitlines()[-2:]
    assert used.split()[0] == "3" and "pass[0] ours" in used and used.endswith("origin.test")
    assert unused.split() == ["0", "-", "-", "pass[1]", "-"], text
    assert "pass[1]" in status(daemon, "--sort=name", "--top=1")
    data = json.loads(status(daemon, "--json"))
    assert data.keys() == daemon.ask("passes").keys() and data["reasons"] == {"pass_rule": 3}
    assert [row["name"] for row in data["passes"]] == ["origin.test", None]


@pytest.mark.parametrize("rule", (
    {"networks": "127.0.0.0/8"},
    {"networks": ["192.0.2.0/24", "127.0.0.1"]},
    {"ports": "PORT"},
    {"ports": ["1-1023", "PORT"]},
    {"networks": "0.0.0.0/0", "ports": "PORT", "sni": "*"},
    {"alpn": "h2"},
    {"alpn": ["h3", "http/1.1"]},
), ids=json.dumps)
def test_rule_that_matches(ksplitd, pki, stage, rule):
    rule = json.loads(json.dumps(rule).replace('"PORT"', str(stage.port)))
    daemon = start(ksplitd, stage, rule)
    with origin(stage, pki):
        assert seen(daemon.address, pki, alpn=["http/1.1", "h2"]) == ORIGINAL


@pytest.mark.parametrize("rule", (
    {"networks": ["127.0.0.2", "::/0", "10.0.0.0/8"]},
    {"ports": ["1-1023", 65535]},
    {"networks": "127.0.0.0/8", "sni": "other.test"},
    {"alpn": "h2c"},
    {"process": "no-such-program"},
), ids=json.dumps)
def test_rule_that_does_not_match(ksplitd, pki, stage, rule):
    """All that one rule names must match."""
    daemon = start(ksplitd, stage, rule)
    with origin(stage, pki):
        assert seen(daemon.address, pki, alpn=["http/1.1", "h2"]) == FORGED


@pytest.mark.needs("curl")
@pytest.mark.parametrize("process", ("curl", "/usr/*/curl"))
def test_process(ksplitd, pki, nginx, process):
    """curl's calls pass; those of this test's own process are intercepted."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"pass": [{"process": process}]})
    clients.curl(daemon.port, "/", pki.origin_ca)
    assert passes(daemon, reason="pass_rule")[0]["count"] == 1
    with stages.connect_tls(daemon.address, client_context(pki.ca)):
        pass
    assert [entry["pass_reason"] for entry in daemon.wait_log(0, 2)] == ["pass_rule", None]


def test_destination_by_name(ksplitd, pki, stage):
    """Where the name says where to go, what is passed raw goes there too."""
    daemon = ksplitd("sni:%d" % stage.port, {"pass": [{"sni": "localhost"}]})
    with origin(stage, pki):
        assert seen(daemon.address, pki, "localhost") == ORIGINAL


@pytest.mark.parametrize("value, message", (
    ({}, '"pass": is an object, expected a list of rules'),
    ([1], '"pass[0]": is a number, expected an object'),
    ([{"comment": "all"}], '"pass[0]": says nothing about which connections'),
    ([{"sni": []}], '"pass[0].sni": is empty and would match nothing'),
    ([{"sni": "a..b"}], '"pass[0].sni": is "a..b", expected a name without empty labels'),
    ([{"sni": "b\u00fccher.example"}], "A-label form"),
    ([{"sni": "x"}, {"networks": ["10.1.2.3/8"]}],
     '"pass[1].networks[0]": is "10.1.2.3/8", expected no bits set'),
    ([{"networks": "example.com"}], "expected an address or a network"),
    ([{"ports": [0]}], '"pass[0].ports[0]": is 0, expected a whole number from 1 to 65535'),
    ([{"ports": "9-1"}], 'expected a port as a number, or two as in "8000-8100"'),
    ([{"process": "a-name-of-more-than-15"}], "at most 15 characters"),
    ([{"snni": "x"}], '"pass[0].snni": unknown key, did you mean "pass[0].sni"?'),
), ids=str)
def test_wrong_rule_is_refused(tmp_path, value, message):
    path = tmp_path / "ksplit.json"
    path.write_text(json.dumps({"pass": value}, ensure_ascii=False))
    done = run_to_end(["--check", "-c", path])
    assert done.returncode != 0
    assert "%s:1: " % path in done.stderr, done.stderr
    message = message.replace("\u00fc", "\\xc3\\xbc")
    assert message in done.stderr, done.stderr
