# SPDX-License-Identifier: GPL-2.0-or-later
"""Web clients of every make against web servers of every make, through one ksplitd: what comes is
what was sent, in the version of HTTP that both would speak without ksplitd between them, on one
connection where they would keep it, and in resumed sessions where the client would resume."""

import ctypes

import pytest

from lib import env, exact, expect
from lib.visits import CLIENTS
from lib.web_origins import KINDS, nginx_sessions
from lib.web_world import World

# In the VM: each TLS library once, the servers that everybody has, each in one version of HTTP.
CLIENTS_IN_VM = ("curl", "libcurl-gnutls", "libcurl-nss", "node", "go")
KINDS_IN_VM = {"nginx": ("2",), "haproxy": ("1.1",)}


def chosen(kinds, in_vm):
    return [kind for kind in kinds if not env.IN_VM or kind.name in in_vm]


ORIGINS = chosen(KINDS, KINDS_IN_VM)


@pytest.fixture(scope="module")
def world(tmp_path_factory, pki):
    with World(tmp_path_factory.mktemp("interop"), pki, ORIGINS) as made:
        yield made


def needs(client):
    missing = env.missing_programs(*client.needs)
    if client.name.startswith("libcurl"):
        try:
            ctypes.CDLL({"libcurl-openssl": "libcurl"}.get(client.name, client.name) + ".so.4")
        except OSError as exc:
            missing.append(str(exc))
    return missing


@pytest.fixture(params=chosen(CLIENTS, CLIENTS_IN_VM), ids=lambda client: client.name)
def client(request):
    missing = needs(request.param)
    if missing:
        pytest.skip("needs " + ", ".join(missing))
    return request.param


@pytest.mark.parametrize("kind", ORIGINS, ids=lambda kind: kind.name)
def test_origin_is_there(world, kind):
    if kind not in world.origins:
        pytest.skip("needs " + kind.needs)


def plan(client, kind, port):
    """One origin, in each version of HTTP that both speak."""
    versions = KINDS_IN_VM[kind.name] if env.IN_VM else kind.http()
    return [visit for http in client.http if http in versions
            for visit in client.visits(port, http, kind.steps())]


def check_answers(world, kind, visit, answers):
    told = "%s, HTTP/%s: %s" % (kind.name, visit.http, answers)
    assert [answer.error for answer in answers] == [None] * len(visit.steps), told
    for (method, path), answer in zip(visit.steps, answers):
        assert answer.status == 200, told
        assert answer.http == (visit.http if kind.full else "1.0") or not kind.full, told
        if not kind.pages:
            assert answer.digest == world.content.answer_digest(method, path), told
        # "-": a program that tells no issuer. It trusts nobody but ksplit's CA, all the same.
        assert answer.issuer == "-" or "ksplit test CA" in answer.issuer, told


def check_entry(client, kind, visit, entry):
    assert entry["local"] == "127.0.0.1:%d" % visit.port, entry
    assert entry["sni"] == "localhost", entry
    offered = visit.http in client.alpn and kind.full
    assert entry["alpn"] == ({"1.1": "http/1.1", "2": "h2"}[visit.http] if offered else None), entry
    # Go's frames are as long as the origin takes (nginx: 16 MiB), 512 KiB at most.
    expect.assert_relayed(entry, "auto",
                          long_frames=(client.name, kind.name) == ("go", "nginx"))


def test_client_with_all_origins(world, client):
    planned = [(kind, visit) for kind, port in world.ports.items()
               for visit in plan(client, kind, port)]
    before = env.read_tls_stat()
    entries, answers = world.visit(client, [visit for _, visit in planned])
    if expect.kernel_expected("auto"):
        expect.assert_kernel_counted(before, len(planned))
    for number, (kind, visit) in enumerate(planned):
        check_answers(world, kind, visit, [a for a in answers if a.visit == number])
        check_entry(client, kind, visit, entries[number])
    assert exact.status(world.daemon, "kernel")["sampler"]["lost_bytes"] == 0


def test_sessions_are_resumed_as_without_ksplitd(world, client):
    """Calls in one process, first past ksplitd: where the client resumes then, it does so through
    ksplitd."""
    kind, server = next(iter(world.origins.items()))
    before = len(nginx_sessions(server))

    def visits(port):
        return plan(client, kind, port) * 2

    direct = visits(server.port)
    answers = client.visit_all(world.trust_of_origins, world.content.body, direct)
    assert not any(answer.error for answer in answers), answers
    wanted = env.wait_for(
        lambda: (lambda seen: len(seen) == len(direct) and seen)(nginx_sessions(server)[before:]),
        lambda: "nginx to log %d connections: %s" % (len(direct), nginx_sessions(server)))
    entries, answers = world.visit(client, visits(world.ports[kind]))
    assert not any(answer.error for answer in answers), answers
    assert [entry["client_tls"]["resumed"] for entry in entries] == wanted


def test_client_refuses_the_origins_own_certificate(world, client):
    """Past ksplitd each client fails: that it was content before is because it was shown a leaf of
    ksplit's CA, and because that CA is the only one that it trusts."""
    kind, origin = next(iter(world.origins.items()))
    answers = client.visit_all(world.trust, world.content.body,
                               plan(client, kind, origin.port)[:1])
    assert answers and all(answer.error for answer in answers), answers
