# SPDX-License-Identifier: GPL-2.0-or-later
"""Start, configuration, limits and end of the daemon."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess

import pytest

from lib import env, stage as stages, stream
from lib.daemon import PROGRAM, Ksplitd, ask_control, run_to_end
from lib.env import wait_for
from lib.process import ENV, Program, run
from lib.tls import client_context, server_context


def options_of(pki, folder, *more):
    """A working command line, with its port."""
    port = env.free_port()
    return ["--foreground", "--listen", "127.0.0.1:%d" % port, "--to", "127.0.0.1:1",
            "--ca-cert", pki.ca.cert, "--ca-key", pki.ca.key,
            "--control", folder / "c.sock", *more], port


def assert_one_line(done, code, *words):
    """One line on stderr with these words, nothing on stdout, and the exit code."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    assert done.stdout == ""


BAD_FILES = {
    "unknown key": ('{\n "relay": "auto",\n "relya": 1\n}', 3, "relya"),
    "wrong type": ('{\n "workers": "many"\n}', 2, "workers"),
    "impossible value": ('{\n "relay": "teleport"\n}', 2, "relay"),
    "impossible number": ('{\n\n "limits": {\n  "deadlines_ms": {"idle": 0}\n }\n}', 4, "idle"),
    "not JSON": ('{\n "relay": auto\n}', 2, "not JSON"),
    "impossible sampler": ('{\n "sampler": "kprobe"\n}', 2, "sampler"),
    "impossible size": ('{\n "sampling": {\n  "ring_bytes": 1\n }\n}', 3, "ring_bytes"),
    "bad listener": ('{ "listeners": [\n {"listen": "127.0.0.1", "to": "original"} ]}', 2,
                     "listen"),
}


@pytest.mark.parametrize("text, line, word", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_configuration_is_told_in_one_line(tmp_path, text, line, word):
    """File, line and key; exit code 2."""
    path = tmp_path / "ksplit.json"
    path.write_text(text)
    done = run_to_end(["--foreground", "-c", path])
    assert_one_line(done, 2, "%s:%d:" % (path, line), word)


BAD_OPTIONS = {
    "unknown option": (["--frobnicate"], "--frobnicate"),
    "missing value": (["--relay"], "relay"),
    "impossible value": (["--ktls", "perhaps"], "ktls"),
    "no listener": (["--ca-cert", "x", "--ca-key", "x"], "listen"),
    "listener without destination": (["--listen", "127.0.0.1:1"], "127.0.0.1:1"),
    "host name to listen on": (["--listen", "localhost:1", "--to", "original"], "localhost"),
    "splice without kernel TLS": (["--listen", "127.0.0.1:1", "--to", "original", "--ca-cert",
                                   "x", "--ca-key", "x", "--relay", "splice", "--ktls", "off"],
                                  "relay"),
    "missing file": (["-c", "/nowhere/ksplit.json"], "/nowhere/ksplit.json"),
}


@pytest.mark.parametrize("options, word", BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_bad_command_line_is_told_in_one_line(options, word):
    assert_one_line(run_to_end(["--foreground"] + options), 2, word)


def test_help_and_version():
    told = run_to_end(["--help"])
    assert told.returncode == 0 and "usage: ksplitd" in told.stdout
    told = run_to_end(["--version"])
    assert told.returncode == 0 and told.stdout.strip()


@pytest.mark.needs("openssl")
def test_bad_authorities_are_told_at_start(pki, tmp_path):
    """Not there, no CA, expired, of another key, protected by a password."""
    old = pki.issue("old-ca", pki.origin_ca, days=-1, subject="/CN=old CA", extra="", san="DNS:x")
    locked = tmp_path / "locked.key"
    run("openssl", "pkey", "-in", pki.ca.key, "-aes128", "-passout", "pass:secret", "-out", locked)
    cases = [
        ("/nowhere/ca.pem", pki.ca.key, "/nowhere/ca.pem"),
        (pki.ca.cert, "/nowhere/ca.key", "/nowhere/ca.key"),
        (pki.origin.cert, pki.origin.key, "CA"),
        (pki.ca.cert, pki.ca_rsa.key, "key"),
        (pki.ca.cert, locked, "password"),
        (pki.ca.cert, pki.ca.cert, "key"),
        (old.cert, old.key, ""),
    ]
    for cert, key, word in cases:
        port = env.free_port()
        done = run_to_end(["--foreground", "--listen", "127.0.0.1:%d" % port, "--to",
                           "127.0.0.1:1", "--ca-cert", cert, "--ca-key", key, "--control", ""])
        assert_one_line(done, 1, word)


def test_port_taken(pki, tmp_path):
    options, port = options_of(pki, tmp_path)
    with stages.socket.create_server(("127.0.0.1", port)):
        done = run_to_end(options)
    assert done.returncode == 1, done
    assert "127.0.0.1:%d" % port in done.stderr.splitlines()[-1]


def test_control_socket_of_a_living_daemon_is_not_taken(ksplitd, pki, tmp_path):
    daemon = ksplitd("127.0.0.1:1")
    options, _ = options_of(pki, tmp_path, "--control", daemon.control_path)
    done = run_to_end(options)
    assert done.returncode == 1 and str(daemon.control_path) in done.stderr
    assert daemon.summary()["pid"] == daemon.pid


def test_control_socket_is_for_owner_and_group(ksplitd):
    daemon = ksplitd("127.0.0.1:1")
    assert stat.S_IMODE(os.stat(daemon.control_path).st_mode) == 0o660
    answer = ask_control(daemon.control_path, b"not JSON\n")
    assert answer["ok"] is False and answer["error"]
    answer = ask_control(daemon.control_path, {"version": 99, "command": "summary"})
    assert answer["ok"] is False


@pytest.mark.needs("strace")
def test_check_opens_nothing(pki, tmp_path):
    """--check reads and judges everything, and neither listens nor writes."""
    options, _ = options_of(pki, tmp_path, "--access-log", tmp_path / "access.log", "--check")
    trace = tmp_path / "trace"
    # A leak checker cannot work on a process that is traced already.
    done = run("strace", "-f", "-o", trace, "-e", "trace=bind,listen,openat,unlink",
               PROGRAM, *options, env=dict(ENV, ASAN_OPTIONS="detect_leaks=0"))
    assert done.returncode == 0
    calls = trace.read_text()
    assert "bind(" not in calls and "listen(" not in calls and "O_CREAT" not in calls, calls
    assert sorted(tmp_path.iterdir()) == [trace]


def test_check_judges(pki, tmp_path):
    options, _ = options_of(pki, tmp_path, "--check")
    assert run_to_end(options).returncode == 0
    options, _ = options_of(pki, tmp_path, "--check", "--relay", "teleport")
    assert run_to_end(options).returncode == 2
    options, _ = options_of(pki, tmp_path, "--check", "--ca-key", "/nowhere")
    assert run_to_end(options).returncode == 2


def test_command_line_overrides_the_file(ksplitd):
    daemon = ksplitd("127.0.0.1:1", {"relay": "auto", "workers": 1},
                     options=["--relay", "copy", "--workers", "3"])
    summary = daemon.summary()
    assert (summary["config"]["relay"], summary["workers"]) == ("copy", 3)


def test_workers_share_the_connections(ksplitd, pki, stage):
    """With four workers, each its own listener by SO_REUSEPORT, every connection is served."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 4})
    context = client_context(pki.ca)
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        socks = [stages.connect_tls(daemon.address, context) for _ in range(40)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%02d" % number)
        for number, sock in enumerate(socks):
            assert stream.receive_exactly(sock, 2) == b"%02d" % number
            stream.close_orderly(sock)
            play.result()
    threads = len(os.listdir("/proc/%d/task" % daemon.pid))
    assert threads >= 5, threads


def test_access_log_goes_to_standard_output(pki, stage, tmp_path):
    port = env.free_port()
    with Program(PROGRAM, "--foreground", "--listen", "127.0.0.1:%d" % port, "--to",
                 "127.0.0.1:%d" % stage.port, "--ca-cert", pki.ca.cert, "--ca-key", pki.ca.key,
                 "--upstream-ca", pki.origin_ca.cert, "--control", "",
                 "--access-log", "-", "--log-level", "error") as daemon:
        wait_for(lambda: stages_listening(port), "ksplitd to listen")
        with stage.play_tls(server_context(pki.origin), stages.echo) as play:
            stream.close_orderly(stages.connect_tls(("127.0.0.1", port), client_context(pki.ca)))
            play.result()
        daemon.expect('"reason":"closed"')
        lines = [json.loads(line) for line in daemon.text().splitlines() if line.startswith("{")]
        assert {line["type"] for line in lines} == {"connection"}
        daemon.process.terminate()
        assert daemon.wait() == 0


def stages_listening(port):
    try:
        stages.connect(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def test_daemon_in_the_background(pki, stage, tmp_path):
    """Without --foreground the command comes back once the daemon listens; SIGTERM ends it."""
    port, control = env.free_port(), tmp_path / "control.sock"
    done = subprocess.run(
        [PROGRAM, "--listen", "127.0.0.1:%d" % port, "--to", "127.0.0.1:%d" % stage.port,
         "--ca-cert", pki.ca.cert, "--ca-key", pki.ca.key, "--upstream-ca", pki.origin_ca.cert,
         "--control", control], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, timeout=env.PATIENCE)
    assert done.returncode == 0
    pid = ask_control(control, {"version": 1, "command": "summary"})["data"]["pid"]
    try:
        with stage.play_tls(server_context(pki.origin), stages.echo) as play:
            stream.close_orderly(stages.connect_tls(("127.0.0.1", port), client_context(pki.ca)))
            play.result()
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not control.exists(), "the background daemon to end")


# -- the end -----------------------------------------------------------------------------------


def test_sigterm_drains(ksplitd, pki, stage):
    """An open transfer completes, new connections are refused, then exit code 0."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        sock.sendall(b"before")
        assert stream.receive_exactly(sock, 6) == b"before"
        daemon.terminate()
        wait_for(lambda: refused(daemon.address), "new connections to be refused")
        assert daemon.running()
        size = 4 << 20
        sent, received = stream.exchange(sock, stream.random_chunks(size), size)
        assert sent == received
        stream.close_orderly(sock)
        play.result()
        assert daemon.wait_exit() == 0
    assert served(daemon)["reason"] == "closed"


def served(daemon):
    """The line of the connection that got a ClientHello through; `refused` may have made others."""
    (entry,) = [entry for entry in daemon.access_log() if entry["sni"]]
    return entry


def refused(address):
    try:
        stages.connect(address).close()
    except OSError:
        return True
    return False


def test_second_sigterm_ends_at_once(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"limits": {"deadlines_ms": {"drain": 3600000}}})
    with stage.play_tls(server_context(pki.origin), stages.echo):
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        daemon.terminate()
        wait_for(lambda: refused(daemon.address), "new connections to be refused")
        daemon.terminate()
        assert daemon.wait_exit() == 0
        sock.close()
    assert served(daemon)["reason"] == "shutdown"


def test_drain_has_a_deadline(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"deadlines_ms": {"drain": 500}}})
    with stage.play_tls(server_context(pki.origin), stages.echo):
        sock = stages.connect_tls(daemon.address, client_context(pki.ca))
        daemon.terminate()
        assert daemon.wait_exit() == 0
        sock.close()
    assert served(daemon)["reason"] == "shutdown"


def test_sigint_ends_the_foreground(ksplitd):
    daemon = ksplitd("127.0.0.1:1")
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait_exit() == 0


def test_leftover_control_socket_is_replaced(pki, tmp_path):
    first = Ksplitd(pki, "127.0.0.1:1", folder=tmp_path).start()
    first.kill()
    assert first.control_path.exists()
    with Ksplitd(pki, "127.0.0.1:1", folder=tmp_path) as second:
        assert second.summary()["pid"] == second.pid


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.needs("prlimit")
def test_descriptor_limit_pauses_accept(ksplitd, pki, stage):
    """RLIMIT_NOFILE leaves room for some connections only: the others wait in the backlog, those
    that are open go on, nothing spins, and all are served in the end."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1},
                     prefix=["prlimit", "--nofile=80:80"])
    context = client_context(pki.ca)
    many = 40
    with stage.play_tls(server_context(pki.origin), stages.echo):
        early = [stages.connect_tls(daemon.address, context) for _ in range(4)]
        waiting = [stages.connect(daemon.address) for _ in range(many)]
        wait_for(lambda: daemon.summary()["connections"]["accept_paused"] > 0, "accept to pause")
        assert daemon.open_count() < many
        cpu = daemon.cpu_seconds()
        for sock in early:
            for _ in range(20):
                sock.sendall(b"x" * 1000)
                assert stream.receive_exactly(sock, 1000) == b"x" * 1000
        assert daemon.cpu_seconds() - cpu < 5
        for sock in early:
            sock.close()
        for sock in waiting:
            with context.wrap_socket(sock, server_hostname="origin.test") as tls:
                tls.sendall(b"at last")
                assert stream.receive_exactly(tls, 7) == b"at last"


def test_descriptors_that_run_out_spare_open_connections(ksplitd, pki, stage):
    """The limit sinks below what is in use: new calls may fail with a reason, but connections that
    are open go on, and new ones are served once there is room again."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"workers": 1})
    context = client_context(pki.ca)
    with stage.play_tls(server_context(pki.origin), stages.echo):
        early = [stages.connect_tls(daemon.address, context) for _ in range(4)]
        before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (daemon.fd_count() + 3, before[1]))
        tried = [stages.connect(daemon.address) for _ in range(6)]
        # The control socket has no descriptor either just now: the log tells.
        wait_for(lambda: "new ones wait" in daemon.stderr(), "accept to pause")
        for sock in early:
            for _ in range(20):
                sock.sendall(b"x" * 1000)
                assert stream.receive_exactly(sock, 1000) == b"x" * 1000
        for sock in tried:
            sock.close()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
        with stages.connect_tls(daemon.address, context) as sock:
            sock.sendall(b"at last")
            assert stream.receive_exactly(sock, 7) == b"at last"
        for sock in early:
            sock.close()


def test_connection_limit_pauses_accept(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"limits": {"max_connections": 4},
                                                  "workers": 1})
    context = client_context(pki.ca)
    with stage.play_tls(server_context(pki.origin), stages.echo):
        early = [stages.connect_tls(daemon.address, context) for _ in range(4)]
        late = stages.connect(daemon.address)
        wait_for(lambda: daemon.summary()["connections"]["accept_paused"] > 0, "accept to pause")
        for sock in early:
            sock.sendall(b"goes on")
            assert stream.receive_exactly(sock, 7) == b"goes on"
        early.pop().close()
        with context.wrap_socket(late, server_hostname="origin.test") as tls:
            tls.sendall(b"at last")
            assert stream.receive_exactly(tls, 7) == b"at last"
        for sock in early:
            sock.close()


def test_ktls_required_closes_where_there_is_none(pki, stage):
    """--ktls require: with kernel TLS all is well, without it either the start or each connection
    is refused, with the reason."""
    with_ktls = Ksplitd(pki, "127.0.0.1:%d" % stage.port, {"ktls": "require"})
    if env.EXPECT_KTLS:
        with with_ktls as daemon:
            with stage.play_tls(server_context(pki.origin), stages.echo) as play:
                stream.close_orderly(stages.connect_tls(daemon.address, client_context(pki.ca)))
                play.result()
            (entry,) = daemon.wait_log()
            assert entry["client_tls"]["ktls"] == {"rx": True, "tx": True}
        return
    with_ktls.launch()
    try:
        wait_for(lambda: not with_ktls.running() or not refused(with_ktls.address),
                 "ksplitd to listen or to give up")
        if not with_ktls.running():
            assert with_ktls.process.returncode == 1
            assert "kernel" in with_ktls.stderr()
            return
        with stage.play_tls(server_context(pki.origin), stages.echo):
            with pytest.raises(OSError):
                with stages.connect_tls(with_ktls.address, client_context(pki.ca)) as sock:
                    sock.sendall(b"x")
                    if not sock.recv(1):
                        raise ConnectionResetError
        assert "ktls_required" in {entry["reason"] for entry in with_ktls.wait_log(0, 2)}
    finally:
        with_ktls.kill()


def test_ktls_off_is_told(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"ktls": "off"})
    with stage.play_tls(server_context(pki.origin), stages.echo) as play:
        stream.close_orderly(stages.connect_tls(daemon.address, client_context(pki.ca)))
        play.result()
    (entry,) = daemon.wait_log()
    assert entry["client_tls"]["ktls"] == {"rx": "ktls_off", "tx": "ktls_off"}, entry


def test_service_manager_is_told(pki, tmp_path):
    """sd_notify(3): ready when the listeners accept, stopping when SIGTERM came."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(env.PATIENCE)
        with Ksplitd(pki, "127.0.0.1:1", env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as daemon:
            told = manager.recv(4096).decode().splitlines()
            assert "READY=1" in told and any(line.startswith("STATUS=2 workers") for line in told)
            daemon.process.send_signal(signal.SIGTERM)
            assert "STOPPING=1" in manager.recv(4096).decode().splitlines()
