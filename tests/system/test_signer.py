# SPDX-License-Identifier: GPL-2.0-or-later
"""The CA's key lives in a process of its own. Needs root, to look into other processes."""

import concurrent.futures
import os
import signal
import subprocess
import sys

import pytest

from lib import clients
from lib.daemon import Ksplitd
from lib.env import wait_for
from lib.process import proc_fds
from lib.signer import PEER, memory_has, private_scalar, proc_status, signer_of

pytestmark = pytest.mark.needs("nginx", "curl")


@pytest.fixture(autouse=True)
def root():
    assert os.geteuid() == 0, "these tests need root"


def line_of(daemon, *arguments, name):
    """One call of curl's: its line in the access log, which comes when both ends have closed."""
    mark = daemon.mark()
    clients.curl(daemon.port, "/", *arguments, name=name)
    lines = daemon.wait_log(mark)
    assert len(lines) == 1, lines
    return lines[0]


def call(daemon, pki, name="origin.test"):
    """One call by a client that trusts ksplit's CA and the origin's."""
    return line_of(daemon, pki.both_authorities(), name=name)


# The names of one certificate share a leaf: others get one each where the origin is not verified.
UNVERIFIED = {"upstream": {"verify": "off"}}


def call_other(daemon, pki, name):
    """A call that wants a new leaf, or whatever comes from the origin, which is not for the name."""
    return line_of(daemon, pki.both_authorities(), "--insecure", name=name)


def test_the_key_is_in_the_signing_process_alone(ksplitd, pki, nginx):
    """After leaves were signed: in the memory of the signing process, and not in the daemon's."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    call(daemon, pki)
    needles = private_scalar(pki.ca.key)
    signer = signer_of(daemon.pid)
    assert memory_has(signer, needles)[0], "the search does not find what is there"
    found, seen = memory_has(daemon.pid, needles)
    assert not found
    assert seen > 1 << 20
    for pid in (signer, daemon.pid):
        assert not any(str(pki.ca.key) in link for link in proc_fds(pid).values())


def test_the_signing_process_has_nothing_else(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    call(daemon, pki)
    signer = signer_of(daemon.pid)
    status = proc_status(signer)
    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4
    assert status["Uid"].split()[0] != "0" and status["Groups"] == ""
    assert (status["Seccomp"], status["NoNewPrivs"], status["Threads"]) == ("2", "1", "1")
    links = list(proc_fds(signer).values())
    assert len(links) == 1 and links[0].startswith("socket:"), links


def test_nobody_else_looks_into_the_signing_process(ksplitd, pki, nginx):
    """Not even a process of its own user: ptrace(2), process_vm_readv(2), pidfd_getfd(2), /proc."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    signer = signer_of(daemon.pid)
    for user in (int(proc_status(signer)["Uid"].split()[0]), 1):
        done = subprocess.run([sys.executable, "-c", PEER, str(signer)], user=user, group=user,
                              extra_groups=[], capture_output=True, text=True, timeout=60)
        assert done.stdout == "done\n", (user, done.stdout, done.stderr)


def test_without_it_cached_names_go_on_and_new_ones_pass(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, UNVERIFIED)
    call(daemon, pki)
    summary = daemon.summary()
    assert summary["degraded"] is None
    assert summary["signer"] == {"alive": True, "pid": signer_of(daemon.pid), "signed": 1,
                                 "busy": 0, "refused": 0, "failed": 0}
    os.kill(signer_of(daemon.pid), signal.SIGKILL)
    wait_for(lambda: "the signing process has gone" in daemon.stderr(), "the daemon to notice")
    wait_for(lambda: not daemon.summary()["signer"]["alive"], "status to tell")
    assert "the signing process has gone" in daemon.summary()["degraded"]
    assert call(daemon, pki)["mode"] == "intercept"
    assert call(daemon, pki, name="www.origin.test")["mode"] == "intercept"
    line = call_other(daemon, pki, "new.test")
    assert (line["mode"], line["pass_reason"]) == ("pass", "signer_gone"), line
    assert line["leaf_fingerprint_sha256"] is None
    assert daemon.reason_count("signer_gone") == 1
    assert daemon.summary()["signer"]["failed"] == 1


def test_more_new_names_than_the_rate_pass(ksplitd, pki, nginx):
    """One leaf a second: of six new names at once some are passed, none is refused."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, dict(UNVERIFIED, ca={"sign_rate": 1}))
    mark = daemon.mark()
    ca = pki.both_authorities()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: clients.curl(daemon.port, "/", ca, "--insecure",
                                                  name="n%d.new.test" % number), range(6)))
    lines = daemon.wait_log(mark, 6)
    ways = [(line["mode"], line["pass_reason"]) for line in lines]
    assert set(ways) == {("intercept", None), ("pass", "signer_busy")}, ways
    signer = daemon.summary()["signer"]
    assert signer["signed"] == ways.count(("intercept", None)), signer
    assert signer["busy"] == ways.count(("pass", "signer_busy")), signer


def test_a_silent_one_is_not_waited_for(ksplitd, pki, nginx):
    """Other calls go on while it does not answer; the call that waits for it is passed in the end."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port,
                     dict(UNVERIFIED, limits={"deadlines_ms": {"client_handshake": 2500}}))
    call(daemon, pki)
    signer = signer_of(daemon.pid)
    os.kill(signer, signal.SIGSTOP)
    try:
        assert call_other(daemon, pki, "new.test")["pass_reason"] == "signer_gone"
        assert call(daemon, pki)["mode"] == "intercept"
    finally:
        os.kill(signer, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_daemon(pki, nginx, tmp_path, number):
    daemon = Ksplitd(pki, "127.0.0.1:%d" % nginx.port, folder=tmp_path).start()
    signer = signer_of(daemon.pid)
    daemon.process.send_signal(number)
    daemon.wait_exit()
    wait_for(lambda: not os.path.exists("/proc/%d" % signer), "the signing process to end")


def test_signals_of_the_terminal_are_not_for_it(ksplitd, pki, nginx):
    """SIGINT and SIGTERM go to a whole group: the daemon drains, and still gets leaves."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(signer_of(daemon.pid), number)
    assert call(daemon, pki)["mode"] == "intercept"
