# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules that ksplitd prints, loaded by nft and met by packets: what is captured comes to the
listener with its original destination, what is exempt goes where it wanted to."""

import os
import uuid
from pathlib import Path

import pytest

from lib import env
from lib.capture import (ANY, LOOPBACK, Echo, Places, Rules, call, cgroup2_mount, cgroup_caller,
                         in_namespace, listen, print_rules, refused_udp)
from lib.netns import Row
from lib.process import Program, run

GATEWAY = {4: "10.77.1.1", 6: "fd77:1::1"}
CLIENT = {4: "10.77.1.2", 6: "fd77:1::2"}
OTHER = {4: "10.77.1.77", 6: "fd77:1::77"} # of the client, too
ORIGIN = Row.ORIGIN
PLAIN = [("127.0.0.1:8443", "original"), ("[::1]:8443", "original"),
         ("0.0.0.0:8444", "original"), ("[::]:8444", "original"),
         ("127.0.0.1:8445", "tproxy"), ("[::]:8445", "tproxy")]
MARK = 0x6b73
APP, EXEMPT_USER = 64100, 64101 # nobody has to have these numbers

pytestmark = pytest.mark.needs("ip", "nft", "nsenter")
families = pytest.mark.parametrize("family", (4, 6), ids=("IPv4", "IPv6"))


@pytest.fixture(scope="module")
def row(row):
    """The client has a second address."""
    for family, length in ((4, 24), (6, 64)):
        run("ip", "-n", row.client, "addr", "add", "%s/%d" % (OTHER[family], length),
            "dev", "veth0", *(["nodad"] if family == 6 else []))
    return row


def reaches(places, row, family, namespace, host, port, **how):
    """Who gets a call; the client's come from its first address unless told otherwise."""
    if namespace == row.client:
        how.setdefault("source", CLIENT[family])
    return places.reached_by(lambda: call(namespace, family, host, port, **how))


CASES = sorted(path.stem for path in (env.ROOT / "tests/unit/rules").glob("*.json"))


def test_every_text_of_the_unit_tests_loads(row):
    """But for cgroups, which have to be there: see below."""
    for case in CASES:
        if case == "outgoing-cgroups":
            continue
        text = (env.ROOT / "tests/unit/rules" / (case + ".nft")).read_text()
        with Rules(row.gateway, text):
            listed = in_namespace(row.gateway, "nft", "list", "ruleset").stdout.decode()
            # Loaded rule for rule: nft has nothing to add and nothing to leave out.
            assert listed.count("comment") == text.count("comment"), case


def test_owned_table_lives_as_long_as_who_loads_it(row, tmp_path):
    """As it would be loaded: nft's own end takes the table away."""
    path = tmp_path / "ksplit.json"
    print_rules(tmp_path, PLAIN, {"outgoing": {}})
    text = run(env.BUILD / "ksplitd", "-c", path, "--print-rules").stdout.decode()
    assert "\tflags owner;\n" in text
    script = text + "list tables\n"
    listed = in_namespace(row.gateway, "nft", "-f", "-", stdin=script).stdout.decode()
    assert "table inet ksplit" in listed
    assert in_namespace(row.gateway, "nft", "list", "ruleset").stdout == b""


OUTGOING = {
    "ports": [443, 8443, 993], "users": [APP, EXEMPT_USER],
    "networks": ["10.77.0.0/16", "127.0.0.0/8", "fd77::/16"],
    "exempt": {"ports": [993], "users": [EXEMPT_USER],
               "networks": [CLIENT[4] + "/31", CLIENT[6] + "/127"]}}


@families
def test_outgoing(row, tmp_path, family):
    """This host's own calls by port, network and user, less what is exempt."""
    origin, rules = ORIGIN[family], print_rules(tmp_path, PLAIN, {"outgoing": OUTGOING})
    with Rules(row.gateway, rules) as loaded, \
            Places(ksplit=listen(row.gateway, family, LOOPBACK[family], 8443),
                   origin=listen(row.origin, family, ANY[family], 443),
                   other=listen(row.origin, family, ANY[family], 8443),
                   mail=listen(row.origin, family, ANY[family], 993),
                   web=listen(row.origin, family, ANY[family], 80),
                   near=listen(row.client, family, ANY[family], 443)) as places:
        def gets_to(host, port, **how):
            return places.reached_by(lambda: call(row.gateway, family, host, port, **how))[:2]

        assert gets_to(origin, 443, user=APP) == ("ksplit", (origin, 443))
        assert gets_to(origin, 8443, user=APP) == ("ksplit", (origin, 8443))
        assert loaded.packets("outgoing") == 2
        # The mark of ksplitd's own calls: no loop, whoever has it.
        assert gets_to(origin, 443, user=APP, mark=MARK)[0] == "origin"
        assert gets_to(origin, 443, user=APP + 2)[0] == "origin"
        assert gets_to(origin, 443, user=EXEMPT_USER)[0] == "origin"
        assert gets_to(origin, 80, user=APP)[0] == "web"
        assert gets_to(origin, 993, user=APP)[0] == "mail"
        assert gets_to(CLIENT[family], 443, user=APP)[0] == "near"
        # ksplitd's own port is left alone on this host, though it is listed.
        assert gets_to(LOOPBACK[family], 8443, user=APP)[0] == "ksplit"
        assert loaded.packets("outgoing") == 2


@families
def test_own_calls_never_loop_even_when_others_change_marks(row, tmp_path, family):
    """Somebody's rule gives every packet a mark of its own before ours see it."""
    others = """
table inet others {
	chain out {
		type route hook output priority mangle;
		meta mark set 0x5
	}
}
"""
    rules = print_rules(tmp_path, PLAIN, {"outgoing": {}})
    with Rules(row.gateway, others + rules), \
            Places(ksplit=listen(row.gateway, family, LOOPBACK[family], 8443),
                   origin=listen(row.origin, family, ANY[family], 443)) as places:
        def gets_to(**how):
            return places.reached_by(
                lambda: call(row.gateway, family, ORIGIN[family], 443, **how))[0]

        assert gets_to(mark=MARK) == "origin"
        assert gets_to() == "ksplit"


@pytest.fixture
def cgroup():
    """A cgroup with one below it and one beside it, by name and as folders."""
    mount, name = cgroup2_mount(), "ksplit-test-%s" % uuid.uuid4().hex[:8]
    folders = [Path(mount, name + end) for end in ("", "/it's\\x2dinner", "-exempt")]
    for folder in folders:
        folder.mkdir()
    yield [str(folder.relative_to(mount)) for folder in folders], folders
    for folder in reversed(folders):
        env.wait_for(lambda f=folder: "populated 0" in (f / "cgroup.events").read_text(),
                     "the cgroup to be empty")
    for folder in (folders[1], folders[0], folders[2]):
        folder.rmdir()


@families
def test_cgroups(row, tmp_path, cgroup, family):
    """A cgroup and those below it are captured, or exempt; the cgroups beside it are not."""
    names, folders = cgroup

    def gets_to(places, folder):
        caller = []

        def start():
            caller.append(Program(*cgroup_caller(row.gateway, str(folder), ORIGIN[family], 443)))
            return caller[0]

        return places.reached_by(start)[0]

    with Places(ksplit=listen(row.gateway, family, LOOPBACK[family], 8443),
                origin=listen(row.origin, family, ANY[family], 443)) as places:
        chosen = print_rules(tmp_path, PLAIN, {"outgoing": {"cgroups": ["/" + names[0]]}})
        with Rules(row.gateway, chosen):
            assert [gets_to(places, folder) for folder in folders] == ["ksplit", "ksplit", "origin"]
        but = print_rules(tmp_path, PLAIN, {"outgoing": {"exempt": {"cgroups": names[1:]}}})
        with Rules(row.gateway, but):
            assert [gets_to(places, folder) for folder in folders] == ["ksplit", "origin", "origin"]


def specific(family):
    """Listeners on the gateway's own address instead of all."""
    return [("%s:8446" % ("[%s]" % GATEWAY[f] if f == 6 else GATEWAY[f]), "original")
            for f in (4, 6)]


@families
@pytest.mark.parametrize("listeners, host, port", ((PLAIN, ANY, 8444), (None, GATEWAY, 8446)),
                         ids=("all addresses", "one address"))
def test_incoming(row, tmp_path, family, listeners, host, port):
    """Calls from elsewhere to this host; what passes it and what it calls itself goes on."""
    rules = print_rules(tmp_path, listeners or specific(family), {"incoming": {
        "ports": [443, port], "sources": ["10.77.1.0/24", "fd77:1::/64"],
        "exempt": {"sources": [OTHER[4], OTHER[6]]}}})
    with Rules(row.gateway, rules) as loaded, \
            Places(ksplit=listen(row.gateway, family, host[family], port),
                   service=listen(row.gateway, family, ANY[family], 443),
                   origin=listen(row.origin, family, ANY[family], 443)) as places:
        def gets_to(namespace, address, at=443, **how):
            return reaches(places, row, family, namespace, address, at, **how)[:2]

        here = GATEWAY[family]
        assert gets_to(row.client, here) == ("ksplit", (here, 443))
        assert loaded.packets("incoming") == 1
        assert gets_to(row.client, here, source=OTHER[family])[0] == "service"
        assert gets_to(row.origin, here)[0] == "service" # not of the sources
        assert gets_to(row.client, ORIGIN[family])[0] == "origin"
        assert gets_to(row.gateway, here)[0] == "service"
        assert gets_to(row.gateway, here, mark=MARK)[0] == "service"
        assert gets_to(row.client, here, port)[0] == "ksplit"
        assert loaded.packets("incoming") == 1


FORWARDED = {"interfaces": ["veth1", "veth7"], "networks": ["10.77.0.0/16", "fd77::/16"],
             "exempt": {"sources": [OTHER[4], OTHER[6]], "ports": [993]}, "ports": [443, 993]}


@families
@pytest.mark.parametrize("listeners, host, port", ((PLAIN, ANY, 8444), (None, GATEWAY, 8446)),
                         ids=("all addresses", "one address"))
def test_forwarded(row, tmp_path, family, listeners, host, port):
    """Calls that pass this host, by interface, less what is exempt."""
    rules = print_rules(tmp_path, listeners or specific(family), {"forwarded": FORWARDED})
    with Rules(row.gateway, rules) as loaded, \
            Places(ksplit=listen(row.gateway, family, host[family], port),
                   service=listen(row.gateway, family, ANY[family], 443),
                   origin=listen(row.origin, family, ANY[family], 443),
                   mail=listen(row.origin, family, ANY[family], 993),
                   client=listen(row.client, family, ANY[family], 443)) as places:
        def gets_to(namespace, address, at=443, **how):
            return reaches(places, row, family, namespace, address, at, **how)[:2]

        there = ORIGIN[family]
        assert gets_to(row.client, there) == ("ksplit", (there, 443))
        assert loaded.packets("forwarded") == 1
        assert gets_to(row.client, there, source=OTHER[family])[0] == "origin"
        assert gets_to(row.client, there, 993)[0] == "mail"
        assert gets_to(row.client, GATEWAY[family])[0] == "service"
        assert gets_to(row.origin, CLIENT[family])[0] == "client" # by another interface
        assert gets_to(row.gateway, there)[0] == "origin"
        assert loaded.packets("forwarded") == 1


def told_routing(text):
    """The commands that the text says are needed beside it."""
    return [line.split("#", 1)[1].strip() for line in text.splitlines()
            if line.startswith("\t#   ip ")]


@families
def test_tproxy(row, tmp_path, family):
    """The same by TPROXY, with the routing that the text itself tells."""
    rules = print_rules(tmp_path, PLAIN, {"forwarded": dict(FORWARDED, method="tproxy")})
    routing = told_routing(rules)
    assert len(routing) == 4, rules
    for command in routing:
        in_namespace(row.gateway, *command.split())
    host = LOOPBACK[4] if family == 4 else "::"
    try:
        with Rules(row.gateway, rules) as loaded, \
                Places(ksplit=listen(row.gateway, family, host, 8445, transparent=True),
                       service=listen(row.gateway, family, ANY[family], 443),
                       origin=listen(row.origin, family, ANY[family], 443),
                       mail=listen(row.origin, family, ANY[family], 993)) as places:
            def gets_to(namespace, address, at=443, **how):
                return reaches(places, row, family, namespace, address, at, **how)

            there = ORIGIN[family]
            assert gets_to(row.client, there)[::2] == ("ksplit", (there, 443))
            assert loaded.packets("forwarded") > 0
            assert gets_to(row.client, there, source=OTHER[family])[0] == "origin"
            assert gets_to(row.client, there, 993)[0] == "mail"
            assert gets_to(row.client, GATEWAY[family])[0] == "service"
            # Own calls leave the host: their mark is not the one that is led back to it.
            assert gets_to(row.gateway, there, mark=MARK)[0] == "origin"
    finally:
        for command in routing:
            in_namespace(row.gateway, *command.replace(" add ", " del ", 1).split())


@families
def test_tproxied_connection_outlives_a_change_of_rules(row, tmp_path, family):
    """Exempt from now on: new connections, not those that there are."""
    before = print_rules(tmp_path, PLAIN, {"forwarded": {"method": "tproxy"}})
    after = print_rules(tmp_path, PLAIN, {"forwarded": {
        "method": "tproxy", "exempt": {"networks": ["0.0.0.0/0", "::/0"]}}})
    routing = told_routing(before)
    for command in routing:
        in_namespace(row.gateway, *command.split())
    host = LOOPBACK[4] if family == 4 else "::"
    try:
        with Rules(row.gateway, before), \
                listen(row.gateway, family, host, 8445, transparent=True) as ksplit:
            with call(row.client, family, ORIGIN[family], 443) as client:
                ksplit.settimeout(env.PATIENCE)
                accepted, _ = ksplit.accept()
                with accepted:
                    in_namespace(row.gateway, "nft", "-f", "-",
                                 stdin="delete table inet ksplit\n" + after)
                    accepted.settimeout(env.PATIENCE)
                    client.sendall(b"still there?")
                    assert accepted.recv(64) == b"still there?"
                    accepted.sendall(b"yes")
                    assert client.recv(64) == b"yes"
            with pytest.raises(OSError): # nobody listens there
                call(row.client, family, ORIGIN[family], 443)
    finally:
        for command in routing:
            in_namespace(row.gateway, *command.replace(" add ", " del ", 1).split())


@families
def test_quic_of_captured_clients_is_refused(row, tmp_path, family):
    """UDP to port 443 of whoever would be captured, of nobody else."""
    exempt_networks = [CLIENT[4] + "/32", CLIENT[6] + "/128"]
    rules = print_rules(tmp_path, PLAIN, {
        "outgoing": {"users": [APP, EXEMPT_USER],
                     "exempt": {"users": [EXEMPT_USER], "networks": exempt_networks}},
        "incoming": {"exempt": {"sources": [ORIGIN[4], ORIGIN[6]]}},
        "forwarded": {"interfaces": ["veth1"]}, "refuse_quic": True})
    there, here = ORIGIN[family], GATEWAY[family]
    with Rules(row.gateway, rules) as loaded, \
            Echo(row.origin, family, there, 443), Echo(row.origin, family, there, 444), \
            Echo(row.gateway, family, here, 443), Echo(row.client, family, CLIENT[family], 443):
        def refused(namespace, host, port=443, **how):
            return refused_udp(namespace, family, host, port, **how)

        assert refused(row.gateway, there, user=APP)
        assert not refused(row.gateway, there, 444, user=APP)
        assert not refused(row.gateway, there, user=APP + 2)
        assert not refused(row.gateway, there, user=EXEMPT_USER)
        assert not refused(row.gateway, CLIENT[family], user=APP)
        assert refused(row.client, here)
        assert not refused(row.origin, here)
        assert refused(row.client, there)
        assert not refused(row.client, there, 444)
        assert not refused(row.origin, CLIENT[family])
        assert [loaded.packets(kind + "_quic") for kind in
                ("outgoing", "incoming", "forwarded")] == [1, 1, 1]


@pytest.mark.needs("iptables", "ip6tables")
@families
def test_iptables_lines(row, tmp_path, family):
    """The same by iptables, for hand use; its own last lines take it away again."""
    script = print_rules(tmp_path, PLAIN, {
        "outgoing": OUTGOING,
        "forwarded": {"interfaces": ["veth1"], "exempt": {"sources": [OTHER[4], OTHER[6]]}},
        "refuse_quic": True}, "iptables")
    removal = "\n".join(line.lstrip("# ") for line in script.split("# Removal:\n")[1].splitlines())
    there = ORIGIN[family]
    in_namespace(row.gateway, "sh", "-e", stdin=script)
    try:
        with Places(ksplit=listen(row.gateway, family, LOOPBACK[family], 8443),
                    all=listen(row.gateway, family, ANY[family], 8444),
                    origin=listen(row.origin, family, ANY[family], 443)) as places, \
                Echo(row.origin, family, there, 443):
            def gets_to(namespace, **how):
                return reaches(places, row, family, namespace, there, 443, **how)[:2]

            assert gets_to(row.gateway, user=APP) == ("ksplit", (there, 443))
            assert gets_to(row.gateway, user=APP, mark=MARK)[0] == "origin"
            assert gets_to(row.gateway, user=EXEMPT_USER)[0] == "origin"
            assert gets_to(row.client) == ("all", (there, 443))
            assert gets_to(row.client, source=OTHER[family])[0] == "origin"
            assert refused_udp(row.gateway, family, there, 443, user=APP)
            assert not refused_udp(row.gateway, family, there, 443, user=EXEMPT_USER)
    finally:
        in_namespace(row.gateway, "sh", "-e", stdin=removal)
    for program in ("iptables-save", "ip6tables-save"):
        assert "ksplit" not in in_namespace(row.gateway, program).stdout.decode()
    row.clear_rules()


@pytest.mark.needs("iptables", "ip6tables")
def test_every_iptables_text_of_the_unit_tests_loads(row):
    for case in CASES:
        if case == "outgoing-cgroups":
            continue
        text = (env.ROOT / "tests/unit/rules" / (case + ".iptables")).read_text()
        try:
            in_namespace(row.gateway, "sh", "-e", stdin=text)
        finally:
            row.clear_rules()


def test_nothing_to_print(tmp_path):
    path = tmp_path / "ksplit.json"
    print_rules(tmp_path, PLAIN, {})
    for option in ("--print-rules", "--print-rules=nft", "--print-rules=iptables"):
        done = run(env.BUILD / "ksplitd", "-c", path, option)
        assert done.stdout == (b"# No rules: the configuration has no section \"capture\" that asks "
                               b"for them.\n")


def test_full_standard_output_is_an_error(tmp_path):
    print_rules(tmp_path, PLAIN, {"outgoing": {}})
    done = run("sh", "-c", '"$0" -c "$1" --print-rules=nft >/dev/full', env.BUILD / "ksplitd",
               tmp_path / "ksplit.json", check=False)
    assert done.returncode == 1
    assert b"cannot print the rules: " + os.strerror(28).encode() in done.stderr
