# SPDX-License-Identifier: GPL-2.0-or-later
"""Started as root, ksplitd goes on as its own user, with few rights. Needs root."""

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib import clients, env
from lib.daemon import Ksplitd, run_to_end
from lib.env import wait_for
from lib.process import proc_fds, run
from lib.signer import PEER, memory_has, private_scalar, proc_status, signer_of

pytestmark = pytest.mark.needs("nginx", "curl", "setpriv")

USER = "daemon"
CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF = 12, 38, 39


@pytest.fixture(autouse=True)
def root():
    assert os.geteuid() == 0, "these tests need root"


@pytest.fixture
def own_daemon(pki, nginx):
    """A factory of daemons of that user, in a folder that it can reach."""
    running = []

    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        def start(settings=None):
            folder = Path(name)
            folder.chmod(0o755)
            more = dict({"user": USER, "control": str(folder / "run" / "control.sock")},
                        **(settings or {}))
            daemon = Ksplitd(pki, "127.0.0.1:%d" % nginx.port, more, folder=folder)
            daemon.control_path = folder / "run" / "control.sock"
            running.append(daemon)
            return daemon.start()

        yield start
        for daemon in running:
            daemon.stop()


def call(daemon, pki):
    clients.curl(daemon.port, "/", pki.ca)


def capabilities(status, name):
    return {bit for bit in range(64) if int(status[name], 16) >> bit & 1}


def test_it_has_its_user_few_capabilities_and_a_filter(own_daemon, pki):
    daemon = own_daemon()
    call(daemon, pki)
    entry = pwd.getpwnam(USER)
    tasks = sorted(Path("/proc/%d/task" % daemon.pid).iterdir())
    assert len(tasks) > 3
    for task in tasks:
        status = proc_status(int(task.name))
        assert status["Uid"].split() == [str(entry.pw_uid)] * 4, status["Name"]
        assert status["Gid"].split() == [str(entry.pw_gid)] * 4, status["Name"]
        assert status["Groups"] == "", status["Name"]
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status["Name"]
        for name in ("CapPrm", "CapEff"):
            assert capabilities(status, name) == {CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF}, name
        for name in ("CapInh", "CapBnd", "CapAmb"):
            assert capabilities(status, name) == set(), name


def test_without_bpf_no_capability_is_left(own_daemon, pki):
    daemon = own_daemon({"sampler": "user"})
    call(daemon, pki)
    status = proc_status(daemon.pid)
    assert capabilities(status, "CapPrm") | capabilities(status, "CapBnd") == set()


def test_requests_and_samplers_are_those_of_root(own_daemon, ksplitd, pki, nginx):
    """What observes for root observes for the user, and a request is seen."""
    theirs = own_daemon()
    roots = ksplitd("127.0.0.1:%d" % nginx.port)
    said = []
    for daemon in (theirs, roots):
        call(daemon, pki)
        wait_for(daemon.request_log, "the request in the access log")
        said.append([line.split("plaintext heads:")[1] for line in daemon.stderr().splitlines()
                     if "plaintext heads:" in line])
        said[-1].append(daemon.request_log()[0]["status"])
    assert said[0] == said[1]


def test_a_taken_over_worker_does_not_get_the_key(own_daemon, pki):
    """With the daemon's user and each of its capabilities: no way to the signing process, its
    memory or the key's file; and the key is not in the daemon's own memory."""
    daemon = own_daemon()
    call(daemon, pki)
    signer = signer_of(daemon.pid)
    entry = pwd.getpwnam(USER)
    kept = "+net_admin,+perfmon,+bpf"
    peer = PEER + "\ntry:\n    open(sys.argv[2])\n    print('can read the key file')\n" \
                  "except PermissionError:\n    pass\n" \
                  "try:\n    os.kill(pid, 9)\n    print('can kill it')\n" \
                  "except PermissionError:\n    pass\n"
    done = subprocess.run(
        ["setpriv", "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups",
         "--inh-caps=" + kept, "--ambient-caps=" + kept, sys.executable, "-c", peer,
         str(signer), str(pki.ca.key)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", (done.stdout, done.stderr)
    needles = private_scalar(pki.ca.key)
    assert memory_has(signer, needles)[0]
    assert not memory_has(daemon.pid, needles)[0]
    assert not any(str(pki.ca.key) in link for link in proc_fds(daemon.pid).values())


def test_control_socket_and_access_log_are_the_users(own_daemon, pki):
    """The log is opened again by its path; the socket goes when the daemon ends (Ksplitd.stop)."""
    daemon = own_daemon()
    uid = pwd.getpwnam(USER).pw_uid
    call(daemon, pki)
    daemon.wait_log()
    for path in (daemon.access_log_path, daemon.control_path, daemon.control_path.parent):
        assert path.stat().st_uid == uid, path
    assert stat.S_IMODE(daemon.control_path.stat().st_mode) == 0o660
    # as logrotate does it: "create 0640 daemon daemon"
    daemon.access_log_path.rename(daemon.folder / "access.log.1")
    daemon.access_log_path.touch(0o640)
    os.chown(daemon.access_log_path, uid, -1)
    daemon.process.send_signal(signal.SIGUSR1)
    call(daemon, pki)
    assert daemon.wait_log()[0]["mode"] == "intercept"


@pytest.mark.needs("logrotate")
@pytest.mark.parametrize("signal_name", ["USR1", "HUP"])
def test_the_packaged_rotation(own_daemon, pki, tmp_path, signal_name):
    """logrotate with the package's file: the lines after it are in a new file of the same user's. A
    reload (SIGHUP) opens the same path again, too."""
    daemon = own_daemon({"sampler": "user"})
    call(daemon, pki)
    daemon.wait_log()
    wait_for(daemon.request_log, "the line of the request, which comes by another thread")
    text = (env.ROOT / "packaging" / "debian" / "logrotate").read_text()
    kill = "systemctl kill --kill-who=main --signal=USR1 ksplit.service"
    assert text.count("/var/log/ksplit/*.log") == 1 and text.count("ksplit adm") == 2
    assert text.count(kill) == 1
    rules = tmp_path / "rotation"
    rules.write_text(text.replace("/var/log/ksplit/*.log", str(daemon.access_log_path))
                     .replace("ksplit adm", "%s %s" % (USER, USER))
                     .replace(kill, "kill -%s %d" % (signal_name, daemon.pid)))
    daemon.folder.chmod(0o755)
    os.chown(daemon.folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
    before = daemon.access_log_path.read_text()
    run("logrotate", "--force", "--state", tmp_path / "state", rules)
    rotated = Path(str(daemon.access_log_path) + ".1")
    assert rotated.read_text() == before
    assert daemon.access_log_path.stat().st_uid == pwd.getpwnam(USER).pw_uid
    # The signal is obeyed by the main thread, in its time.
    wait_for(lambda: str(daemon.access_log_path) in map(str, proc_fds(daemon.pid).values()),
             "the log to be opened again")
    call(daemon, pki)
    assert len(daemon.wait_log()) == 1 and rotated.read_text() == before


@pytest.mark.parametrize("settings, words", [
    ({"user": "no-such-user"}, ("\"user\"", "no-such-user")),
    ({"user": "root"}, ("\"user\"", "root")),
    ({"ca": {"signer_user": "no-such-user"}}, ("\"ca.signer_user\"", "no-such-user")),
    ({"user": "nobody"}, ("\"ca.signer_user\"", "nobody")),
], ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
def test_a_wrong_user_is_told(pki, tmp_path, settings, words):
    daemon = Ksplitd(pki, "127.0.0.1:1", settings, folder=tmp_path)
    daemon.config_path.write_text(json.dumps(daemon.config))
    done = run_to_end(["--foreground", "-c", daemon.config_path])
    assert done.returncode in (1, 2)
    for word in words:
        assert word in done.stderr.splitlines()[-1], done.stderr
