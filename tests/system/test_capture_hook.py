# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture by connect hook: real programs in a cgroup of the test's own are steered to ksplitd, without
rules. Needs root. Everything that goes direct is tried in tests/unit/test_steer.c."""

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib import env
from lib import stage as stages
from lib.cgroups import Cgroup, mount, own_name
from lib.daemon import CONTROL_VERSION, Ksplitd, ask_control
from lib.env import BUILD
from lib.held_worker import held_worker
from lib.process import ENV, run
from lib.tls import server_context

pytestmark = pytest.mark.needs("curl", "bpftool", "nft")
HOSTS = {4: "127.0.0.1", 6: "::1"}
LINKS = {"cgroup_inet4_connect", "cgroup_inet6_connect", "cgroup_inet4_getpeername",
         "cgroup_inet6_getpeername", "cgroup_sock_ops"}
UDP_LINKS = {"cgroup_udp4_sendmsg", "cgroup_udp6_sendmsg"}
NO_OTHER_BPF = {"sampler": "user", "sampling": {"timings": False, "processes": False}}


@pytest.fixture
def app():
    assert os.geteuid() == 0, "these tests need root"
    with Cgroup(own_name("app")) as cgroup:
        yield cgroup


@pytest.fixture(scope="module")
def origins(pki):
    """One for each family: each answers what it is asked by its name, over TLS."""
    def act(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\norigin")

    listening = {family: stages.Stage.listen(host) for family, host in HOSTS.items()}
    plays = [stage.play_tls(server_context(pki.origin), act) for stage in listening.values()]
    yield listening
    for stage, play in zip(listening.values(), plays):
        stage.dismiss(play)
        stage.close()


def hook_daemon(pki, app, ports, hook=None, capture=None, prefix=()):
    """A listener for each family, both "original"."""
    section = dict({"cgroups": [app.name], "ports": list(ports)}, **(hook or {}))
    daemon = Ksplitd(pki, ["original", "original"],
                     dict(NO_OTHER_BPF, capture=dict({"hook": section}, **(capture or {}))),
                     prefix=prefix)
    daemon.config["listeners"][1]["listen"] = "[::1]:%d" % daemon.ports[1]
    return daemon


def curl(family, port, authority, *prefix):
    """One call; whose certificate it is decides `authority`. What curl says of its peer."""
    host = {4: "127.0.0.1", 6: "[::1]"}[family]
    return run(*prefix, "curl", "--silent", "--show-error", "--max-time", int(env.PATIENCE),
               "--cacert", authority.cert, "--noproxy", "*", "--output", os.devnull,
               "--resolve", "origin.test:%d:%s" % (port, host),
               "--write-out", "%{http_code} %{remote_ip} %{remote_port}",
               "https://origin.test:%d/" % port).stdout.decode()


def links_of(app):
    """The kernel's own word on what hangs on the cgroup."""
    number = app.path.stat().st_ino
    # One that goes while it is listed is an error of bpftool's, told in its place in the list.
    shown = json.loads(run("bpftool", "-j", "link", "show", check=False).stdout)
    return {link["attach_type"] for link in shown if link.get("cgroup_id") == number}


def rules():
    return run("nft", "list", "ruleset").stdout


PEER = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
with socket.create_connection((host, port), 60) as sock:
    print(*sock.getpeername()[:2])
"""


def told_peer(app, host, port):
    done = run(*app.prefix, sys.executable, "-c", PEER, host, port)
    return done.stdout.decode().split()


def test_programs_of_the_cgroup_are_steered(pki, app, origins):
    """The daemon is in the cgroup, too: its own calls are not steered, or none would come to an
    end."""
    before = rules()
    # Of a daemon that was killed while it tried itself; no process has such a number (proc(5)).
    (mount() / "ksplit-check-4194305").mkdir()
    with hook_daemon(pki, app, [stage.port for stage in origins.values()],
                     prefix=app.prefix) as daemon:
        assert links_of(app) == LINKS
        assert rules() == before, "no rule is needed"
        for family, stage in origins.items():
            told = "200 %s %d" % (HOSTS[family], stage.port)
            mark = daemon.mark()
            assert curl(family, stage.port, pki.ca, *app.prefix) == told
            (entry,) = daemon.wait_log(mark)
            name = "[::1]:%d" if family == 6 else "127.0.0.1:%d"
            assert entry["mode"] == "intercept", entry
            assert entry["upstream"] == name % stage.port, entry
            assert told_peer(app, HOSTS[family], stage.port) == [HOSTS[family], str(stage.port)]
            daemon.wait_log(mark, 2)
            # Others get the origin's own certificate.
            assert curl(family, stage.port, pki.origin_ca) == told
            daemon.settle()
            assert len(daemon.access_log()) == mark + 2
        # A program with one socket for both families: the mapped address is what it called.
        assert told_peer(app, "::ffff:127.0.0.1", origins[4].port) == [
            "::ffff:127.0.0.1", str(origins[4].port)]
        hook = daemon.ask("kernel")["capture_hook"]
        assert (hook["on"], hook["why"], hook["wanted"], hook["attached"]) == (True, None, 1, 1)
        assert hook["calls"]["steered"] >= 5 and hook["calls"]["own"] >= 2, hook
    assert links_of(app) == set()
    assert not list(mount().glob("ksplit-check-*"))


def test_exempt_port_and_network_go_direct(pki, app, origins):
    ports = [stage.port for stage in origins.values()]
    with hook_daemon(pki, app, ports, {"exempt": {"ports": [origins[4].port],
                                                  "networks": ["::1/128"]}}) as daemon:
        for family, stage in origins.items():
            curl(family, stage.port, pki.origin_ca, *app.prefix)
        assert daemon.access_log() == []
        assert daemon.ask("kernel")["capture_hook"]["calls"]["exempt"] == 2


QUIC = """
import socket, sys
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for port in (443, 4433):
        for connected in (False, True):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                try:
                    if connected:
                        sock.connect((host, port))
                    else:
                        sock.sendto(b"x", (host, port))
                    print(port, "goes")
                except PermissionError:
                    print(port, "refused")
"""


def test_quic_is_refused_on_request(pki, app):
    expected = (["443 refused"] * 2 + ["4433 goes"] * 2) * 2
    with hook_daemon(pki, app, [443], capture={"refuse_quic": True}) as daemon:
        assert links_of(app) == LINKS | UDP_LINKS
        done = run(*app.prefix, sys.executable, "-c", QUIC)
        assert done.stdout.decode().splitlines() == expected
        assert daemon.ask("kernel")["capture_hook"]["calls"]["quic_refused"] == 4
        assert b"refused" not in run(sys.executable, "-c", QUIC).stdout


def test_daemon_that_hangs_or_is_killed(pki, app, origins):
    """Stopped, it is out of the way when the watchdog's time is over; killed, at once."""
    port = origins[4].port
    daemon = hook_daemon(pki, app, [port], capture={"watchdog": 1000}).start()
    try:
        curl(4, port, pki.ca, *app.prefix)
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            # Calls before that wait for it in the listener's queue.
            env.wait_for(lambda: run(*app.prefix, sys.executable, "-c", DIRECT, port,
                                     pki.origin_ca.cert, check=False).returncode == 0,
                         "calls to go direct")
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        env.wait_for(lambda: run(*app.prefix, sys.executable, "-c", DIRECT, port,
                                 pki.origin_ca.cert, check=False).returncode != 0,
                     "calls to be steered again")
        daemon.kill()
        assert links_of(app) == set()
        curl(4, port, pki.origin_ca, *app.prefix)
    finally:
        daemon.kill()


def hook_state(daemon):
    return ask_control(daemon.control_path, {"version": CONTROL_VERSION, "command": "capture"})[
        "data"]["hook"]


def status_tool(daemon, *words):
    """ksplit-status: (exit code, what it printed)."""
    done = subprocess.run([BUILD / "ksplit-status", "--control", daemon.control_path, *words],
                          text=True, env=ENV, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=env.PATIENCE)
    return done.returncode, done.stdout + done.stderr


def test_one_worker_hangs(pki, app, origins):
    """The daemon answers, and half of the calls would wait: all go direct, until it moves again."""
    port = origins[4].port
    with hook_daemon(pki, app, [port], capture={"watchdog": 1000}) as daemon:
        curl(4, port, pki.ca, *app.prefix)
        with held_worker(daemon.pid):
            env.wait_for(lambda: hook_state(daemon)["state"] == "withdrawn", "the hook to be off")
            for _ in range(3):
                curl(4, port, pki.origin_ca, *app.prefix)
            code, text = status_tool(daemon, "capture")
            assert code == 1 and text.startswith("Connect hook  withdrawn since"), text
            assert "a worker" in text and "by watchdog" in text, text
            code, text = status_tool(daemon)
            assert code == 1 and "DEGRADED" in text, text
            assert "Capture by    connect hook withdrawn\n" in text, text
        env.wait_for(lambda: hook_state(daemon)["state"] == "on", "the hook to be on again")
        curl(4, port, pki.ca, *app.prefix)
        told = hook_state(daemon)["withdrawals"]
        assert told["watchdog"] >= 1 and told["command"] == told["end"] == 0, told


def test_switched_off_and_on(pki, app, origins):
    """The hook alone, by a daemon without privileges: nothing of it is left while it is off."""
    port = origins[4].port
    daemon = hook_daemon(pki, app, [port])
    daemon.config["user"] = "www-data"
    daemon.folder.chmod(0o777)
    with daemon:
        for count in (1, 2):
            curl(4, port, pki.ca, *app.prefix)
            code, text = status_tool(daemon, "capture", "off")
            assert code == 0 and "off since" in text and "command of user 0" in text, text
            assert links_of(app) == set()
            curl(4, port, pki.origin_ca, *app.prefix)
            assert status_tool(daemon, "capture")[0] == 0
            assert status_tool(daemon)[0] == 0
            hook = daemon.ask("kernel")["capture_hook"]
            assert not hook["on"] and hook["why"].startswith("off: by command"), hook
            code, text = status_tool(daemon, "capture", "on")
            assert code == 0 and "on since" in text, text
            assert "1 of 1 cgroups and units" in text, text
            assert links_of(app) == LINKS
            told = hook_state(daemon)
            assert told["withdrawals"]["command"] == count, told
            assert told["loads"] == 1 + count + told["withdrawals"]["watchdog"], told
        curl(4, port, pki.ca, *app.prefix)
        code, text = status_tool(daemon, "--json", "capture")
        assert code == 0 and json.loads(text)["state"] == "not_configured", text
        assert json.loads(text)["hook"]["attached"] == 1, text
    assert links_of(app) == set()


# Does a call reach the origin itself? It has a second to answer.
DIRECT = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as sock:
    sock.settimeout(1)
    with context.wrap_socket(sock, server_hostname="origin.test"):
        pass
"""


def test_daemon_without_root(pki, app, origins):
    """As a user of its own, with few capabilities and behind its seccomp filter, it finds the cgroup
    of a service that was started again."""
    port = origins[4].port
    daemon = hook_daemon(pki, app, [port])
    daemon.config["user"] = "www-data"
    daemon.folder.chmod(0o777)
    with daemon:
        assert "Uid:\t%d\t" % pwd.getpwnam("www-data").pw_uid in Path(
            "/proc/%d/status" % daemon.pid).read_text()
        curl(4, port, pki.ca, *app.prefix)
        app.remove()
        with Cgroup(app.name) as again:
            env.wait_for(lambda: links_of(again) == LINKS, "the hook on the new cgroup")
            curl(4, port, pki.ca, *again.prefix)
        app.path.mkdir()


@pytest.mark.needs("unshare")
def test_no_cgroup_of_its_own_is_needed(pki, app, origins):
    """Where none can be made the daemon tries the hook on its own."""
    read_only = ["unshare", "--mount", "sh", "-c",
                 'mount -o remount,bind,ro "$0" && exec "$@"', mount()]
    with hook_daemon(pki, app, [origins[4].port], prefix=read_only) as daemon:
        assert daemon.ask("kernel")["capture_hook"]["on"], daemon.tail()
        curl(4, origins[4].port, pki.ca, *app.prefix)


@pytest.mark.needs("unshare")
def test_without_a_working_hook_the_daemon_runs_and_says_why(pki, app, origins):
    """It sees no cgroup v2."""
    blind = ["unshare", "--mount", "sh", "-c", 'umount -l "$0" && exec "$@"', mount()]
    with hook_daemon(pki, app, [origins[4].port], prefix=blind) as daemon:
        hook = daemon.ask("kernel")["capture_hook"]
        assert not hook["on"] and "ksplitd's own cgroup" in hook["why"], hook
        assert "capture by connect hook is off" in daemon.stderr()
        assert links_of(app) == set()
        curl(4, origins[4].port, pki.origin_ca, *app.prefix)
        assert daemon.access_log() == []
        code, text = status_tool(daemon, "capture", "on")
        assert code == 1 and "failed since" in text and "ksplitd's own cgroup" in text, text
        assert status_tool(daemon, "capture", "off")[0] == 0
