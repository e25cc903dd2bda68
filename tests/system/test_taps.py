# SPDX-License-Identifier: GPL-2.0-or-later
"""Taps (docs/taps.md): key log, content log and PCAPNG say what was said, and nothing where they are
not asked to; limits and full disks are told; switched by configuration, reload and command."""

import json
import os
import shutil
import stat

import pytest

from lib import env, stage as stages, stream
from lib.clients import curl
from lib.daemon import RELAYS
from lib.env import wait_for
from lib.process import run
from lib.proxy import Proxy
from lib.service import incoming
from lib.tls import client_context, server_context

# Nothing here is of observation, and without it a daemon starts in no time.
PLAIN = {"sampler": "off"}
TOOL = env.BUILD / "ksplit-status"
SIZE = 3 << 20


@pytest.fixture
def folder(tmp_path):
    """For what taps write; nobody else may read it."""
    made = tmp_path / "taps"
    made.mkdir(mode=0o700)
    return made


def relays():
    """All of them on the host; in an emulated machine the two that differ there."""
    return ("splice", "auto") if env.IN_VM else RELAYS


def settings(taps, **more):
    return dict(PLAIN, taps=taps, **more)


def files(folder):
    """{name below the folder: path}, each of them 0600."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    for path in found.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    return found


def wait_files(folder, names):
    wait_for(lambda: set(files(folder)) == set(names), lambda: "%s, not %s" % (
        sorted(names), sorted(files(folder))))
    return files(folder)


def tap(daemon, kind):
    return daemon.ask("taps")[kind]


def sent_and_received(proxy, size):
    """Random bytes both ways; what each side sent, as the sides had them."""
    up, down = os.urandom(size), os.urandom(size)

    def act(sock):
        stream.exchange(sock, iter([down[at:at + 16384] for at in range(0, size, 16384)]), size)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    with proxy.origin(act) as play, proxy.client() as sock:
        stream.exchange(sock, iter([up[at:at + 16384] for at in range(0, size, 16384)]), size)
        stream.close_orderly(sock)
        play.result()
    return up, down


def proxy_of(daemon, relay, pki, stage, nginx, spare_port):
    return Proxy(daemon, relay, pki, stage, nginx, spare_port)


# -- content ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("relay", relays())
def test_content_is_what_was_sent(relay, ksplitd, folder, pki, stage, nginx, spare_port):
    """By splice the payload is duplicated in the kernel; it is the same bytes all the same."""
    daemon = ksplitd(["127.0.0.1:%d" % port for port in (stage.port, nginx.port, spare_port)],
                     settings({"content": str(folder / "%s-%r-%i"),
                               "content_connection": 65536}, relay=relay))
    proxy = proxy_of(daemon, relay, pki, stage, nginx, spare_port)
    up, down = sent_and_received(proxy, SIZE)
    (line,) = proxy.lines()
    name = "origin.test-%d-%d" % (stage.port, line["id"])
    there = wait_files(folder, [name + ".to-origin", name + ".to-client"])
    wait_for(lambda: tap(daemon, "content")["written"] == 2 * SIZE, "all to be written")
    assert there[name + ".to-origin"].read_bytes() == up
    assert there[name + ".to-client"].read_bytes() == down
    if relay == "splice" and env.EXPECT_KTLS:
        assert min(line[way]["spliced"] for way in ("to_client", "to_origin")) > SIZE / 2, line
    status = tap(daemon, "content")
    assert (status["connections"], status["truncated"], status["dropped"]) == (1, 0, 0), status


def test_limit_of_a_connection_is_marked(ksplitd, folder, pki, stage, nginx, spare_port):
    daemon = ksplitd(["127.0.0.1:%d" % port for port in (stage.port, nginx.port, spare_port)],
                     settings({"content": str(folder / "%i"), "content_connection": 100}))
    proxy = proxy_of(daemon, "auto", pki, stage, nginx, spare_port)
    up, down = sent_and_received(proxy, 300000)
    number = proxy.line()["id"]
    there = wait_files(folder, ["%d.to-%s.truncated" % (number, way)
                                for way in ("origin", "client")])
    for way, sent in (("origin", up), ("client", down)):
        assert there["%d.to-%s.truncated" % (number, way)].read_bytes() == sent[:102400]
    status = tap(daemon, "content")
    assert status["truncated"] == 1 and status["dropped"] == 2 * (300000 - 102400), status


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_disk_that_takes_no_more_disturbs_nobody(ksplitd, folder, pki, stage, nginx,
                                                   spare_port):
    """Files may not grow beyond 64 KiB: what was written is the beginning, the call is whole."""
    daemon = ksplitd(["127.0.0.1:%d" % port for port in (stage.port, nginx.port, spare_port)],
                     settings({"content": str(folder / "%i"), "pcapng": str(folder / "p"),
                               "content_connection": 65536}, log_level="info"),
                     prefix=("prlimit", "--fsize=65536"))
    proxy = proxy_of(daemon, "auto", pki, stage, nginx, spare_port)
    up, down = sent_and_received(proxy, SIZE)
    number = proxy.line()["id"]
    there = wait_files(folder, ["p"] + ["%d.to-%s.truncated" % (number, way)
                                        for way in ("origin", "client")])
    for way, sent in (("origin", up), ("client", down)):
        kept = there["%d.to-%s.truncated" % (number, way)].read_bytes()
        assert len(kept) == 65536 and kept == sent[:65536]
    for kind in ("content", "pcapng"):
        wait_for(lambda: tap(daemon, kind)["truncated"] == 1, "the tap to count it")
        assert "large" in tap(daemon, kind)["why"]
    assert there["p"].stat().st_size <= 65536
    assert tap(daemon, "content")["dropped"] == 2 * (SIZE - 65536)


# -- keys ------------------------------------------------------------------------------------------


def key_lines(path):
    return {line for line in path.read_text().splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("side", ("client", "upstream", "both"))
def test_key_log_has_the_lines_of_the_peers(side, ksplitd, folder, tmp_path, pki, stage):
    """Client and origin log their own keys: they are the same as ksplitd's."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     settings({"keylog": str(folder / "keys"), "keylog_side": side}))
    expected = set()
    for number, version in enumerate(("TLSv1_2", "TLSv1_3")):
        client, origin = client_context(pki.ca), server_context(pki.origin)
        for context, who in ((client, "client"), (origin, "upstream")):
            context.keylog_filename = str(tmp_path / ("%s%d" % (who, number)))
            context.maximum_version = context.minimum_version = getattr(
                stages.ssl.TLSVersion, version)
        with stage.play_tls(origin, stages.echo) as play:
            with stages.connect_tls(daemon.address, client) as sock:
                sock.sendall(b"question")
                assert sock.recv(100) == b"question"
                sock.unwrap()
            play.result()
        for who in ("client", "upstream"):
            if side in (who, "both"):
                expected |= key_lines(tmp_path / ("%s%d" % (who, number)))
    assert len(expected) >= 6
    wait_for(lambda: key_lines(folder / "keys") >= expected, "the lines")
    assert key_lines(folder / "keys") == expected
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o600


# -- pcapng ----------------------------------------------------------------------------------------


def tshark(path, shown, *fields):
    """Fields of the packets that the filter shows, without any option that a reader would need."""
    named = [word for field in fields for word in ("-e", field)]
    done = run("tshark", "-r", path, "-Y", shown, "-T", "fields", *named)
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


@pytest.mark.needs("tshark", "curl", "nginx")
def test_tshark_reads_requests_and_responses(ksplitd, folder, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, settings({"pcapng": str(folder / "p.pcapng")}))
    for version in ("--http1.1", "--http2"):
        curl(daemon.port, "/size/1000?of=" + version, pki.ca, version, check=False)
    wait_for(lambda: tap(daemon, "pcapng")["connections"] == 2, "two connections")
    path = folder / "p.pcapng"
    wait_for(lambda: len(tshark(path, "tcp.flags.fin == 1", "frame.number")) == 4, "their ends")
    ((method, uri, client_port),) = tshark(path, "http.request", "http.request.method",
                                           "http.request.uri", "tcp.srcport")
    assert (method, uri) == ("GET", "/size/1000?of=--http1.1")
    ((code, to),) = tshark(path, "http.response", "http.response.code", "tcp.dstport")
    assert code.isdigit() and to == client_port
    assert tshark(path, "http2.headers.method", "http2.headers.method", "http2.headers.path") == [
        ["GET", "/size/1000?of=--http2"]]
    assert len(tshark(path, "http2.headers.status", "http2.headers.status")) == 1
    comments = [line[0] for line in tshark(path, "tcp.flags.syn == 1 && tcp.flags.ack == 0",
                                           "frame.comment")]
    assert len(comments) == 2
    assert all("SNI origin.test" in text and "127.0.0.1:%d" % nginx.port in text
               for text in comments), comments
    wrong = run("tshark", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o",
                "ip.check_checksum:TRUE", "-Y",
                "tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.lost_segment")
    assert wrong.stdout == b""
    files(folder)


@pytest.mark.needs("nginx", "curl")
def test_incoming_calls_are_tapped_alike(ksplitd, folder, service, identities, pki):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False),
                     settings({"content": str(folder / "%i-%s")},
                              identities=identities.settings(identities.shop)))
    answer = curl(daemon.port, "/who", pki.origin_ca, name="shop.test").stdout
    there = wait_files(folder, ["%d-shop.test.to-%s" % (daemon.wait_log()[0]["id"], way)
                                for way in ("origin", "client")])
    texts = {name.rpartition("-")[2]: path.read_bytes() for name, path in there.items()}
    assert texts["origin"].startswith(b"GET /who HTTP/1.1\r\n")
    assert texts["client"].endswith(answer)


# -- which, and when -------------------------------------------------------------------------------


def call(daemon, pki, stage, name="origin.test"):
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        with stages.connect_tls(daemon.address, client_context(pki.ca), name) as sock:
            sock.sendall(b"a question of %s" % name.encode())
            assert sock.recv(100)
            sock.unwrap()
        play.result()


def test_only_what_is_asked_for(ksplitd, folder, pki, stage):
    """Other names, and what is passed through unread, leave nothing behind."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, settings(
        {"content": str(folder / "%i"), "keylog": str(folder / "keys"), "sni": ["*.test"],
         "ports": [1]}))
    call(daemon, pki, stage)
    daemon.wait_log()
    assert files(folder)["keys"].stat().st_size == 0 and len(files(folder)) == 1
    passing = ksplitd("127.0.0.1:%d" % stage.port, settings(
        {"content": str(folder / "%i"), "pcapng": str(folder / "p")},
        **{"pass": [{"sni": "origin.test"}]}))
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        with stages.connect_tls(passing.address, client_context(pki.origin_ca)) as sock:
            sock.unwrap()
        play.result()
    assert passing.wait_log()[0]["mode"] == "pass"
    assert tap(passing, "content")["connections"] == tap(passing, "pcapng")["connections"] == 0
    assert len(files(folder)) == 2


def reload(daemon, taps):
    daemon.config["taps"] = taps
    daemon.config_path.write_text(json.dumps(daemon.config))
    return daemon.ask("reload")


def test_reload_switches_taps(ksplitd, folder, pki, stage):
    """On, to another path, refused, and off; what is written warns in the log."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, PLAIN)
    assert daemon.ask("taps") == {"keylog": None, "content": None, "pcapng": None}
    assert "taps:" not in daemon.stderr()
    call(daemon, pki, stage)
    for name in ("one", "two"):
        assert reload(daemon, {"keylog": str(folder / name)})["reloaded"]
        call(daemon, pki, stage)
        wait_for(lambda: (folder / name).stat().st_size > 0, "keys in " + name)
    assert daemon.stderr().count("taps: session keys are written to files") == 2
    assert daemon.summary()["taps"] == {"keylog": "on", "content": None, "pcapng": None}
    answer = reload(daemon, {"keylog": str(folder / "missing" / "three")})
    assert not answer["reloaded"] and "missing/three" in answer["why"], answer
    assert tap(daemon, "keylog")["path"] == str(folder / "two")
    sizes = {name: path.stat().st_size for name, path in files(folder).items()}
    assert reload(daemon, {})["reloaded"]
    call(daemon, pki, stage)
    assert daemon.ask("taps")["keylog"] is None
    assert {name: path.stat().st_size for name, path in files(folder).items()} == sizes


def test_commands_switch_taps(ksplitd, folder, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, settings(
        {"keylog": str(folder / "keys"), "content": str(folder / "%i")}))

    def status(*words, code=0):
        done = run(TOOL, "--control", daemon.control_path, *words, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout.decode() + done.stderr.decode()

    assert "TAPS ON       keylog, content" in status()
    assert status("taps", "off", "content").count("off") == 1
    call(daemon, pki, stage)
    wait_for(lambda: set(files(folder)) == {"keys"} and tap(daemon, "keylog")["written"],
             "keys alone")
    written = tap(daemon, "keylog")["written"]
    assert "TAPS ON" not in status("taps", "off") + status()
    call(daemon, pki, stage)
    assert tap(daemon, "keylog")["written"] == written
    status("taps", "on")
    call(daemon, pki, stage)
    wait_for(lambda: len(files(folder)) == 3, "content again")
    assert "not configured" in status("taps", "on", "pcapng", code=2)
    assert "switched off by" in daemon.stderr()


def test_check_warns(folder, pki, ksplitd, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, settings({"pcapng": str(folder / "p")}))
    done = run(env.BUILD / "ksplitd", "-c", daemon.config_path, "--check")
    assert b"warning: taps: decrypted packets are written to files" in done.stdout
    for wrong in ({"keylog": "keys"}, {"content": str(folder / "fixed")}, {"sni": []}):
        daemon.config_path.write_text(json.dumps(dict(daemon.config, taps=wrong)))
        done = run(env.BUILD / "ksplitd", "-c", daemon.config_path, "--check", check=False)
        assert done.returncode == 2 and b'"taps.' in done.stderr, done
