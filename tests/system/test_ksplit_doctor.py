# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-doctor and the kernel: it has to find what Kbuild-notes says of the running one, for root
and for nobody, and leave nothing behind. Needs root; runs in the test VM too."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lib import bpf_try, doctor, env, kernel_notes
from lib.doctor import VERDICTS, Diagnosis, diagnose, only
from lib.process import ENV, run

ROWS = kernel_notes.rows_read()
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
          "--bounding-set", "-all", "--inh-caps", "-all")
NO_LOSS = {"ktls-ccm", "ktls-limit", "ktls-no-pad", "sockmap-ktls"}
# Tried, though they are no rows.
MORE = {"sockmap-ktls"}


# Checks after whose line a doctor is ended.
MOMENTS = ("bpf-timings",) if env.IN_VM else ("epoll", "redirect", "bpf", "bpf-timings")


@pytest.fixture(scope="module")
def found():
    assert os.geteuid() == 0, "these tests need root"
    for module in ("tls", "aesni_intel"):
        subprocess.run(["modprobe", "--quiet", module], env=ENV, check=False)
    return diagnose()


@pytest.fixture(scope="module")
def tool(scratch):
    """A copy that nobody in particular can run, wherever the build is."""
    folder = scratch / "doctor"
    folder.mkdir()
    folder.chmod(0o755)
    scratch.chmod(0o711)
    copy = folder / "ksplit-doctor"
    run("install", "-m", "0755", doctor.TOOL, copy)
    return copy


def policy_refuses_tracing(finding):
    """A machine's own policy may refuse such programs even to root; a stock kernel's does not."""
    return ("Operation not permitted" in finding["text"] and "KSPLIT_VM" not in os.environ and
            bpf_try.sock_ops_link())


@pytest.mark.parametrize("name", ROWS)
def test_row(found, name):
    """Each row of Kbuild-notes is tried, and works where the notes say so."""
    finding = found.one(name)
    expected = ROWS[name].expected()
    if name == "bpf-fexit" and not finding["works"] and policy_refuses_tracing(finding):
        return
    assert finding["works"] is expected, finding
    lost = not expected and name not in NO_LOSS
    assert finding["verdict"] == ("warn" if lost else "ok"), finding
    assert bool(finding["lost"]) == bool(finding["mend"]) == lost, finding


def test_sockmap_beside_kernel_tls(found):
    """Tried here by other means: no version tells it (Kbuild-notes, known faults)."""
    finding = found.one("sockmap-ktls")
    if env.EXPECT_KTLS:
        assert finding["works"] is bpf_try.sk_msg_beside_ktls()
        assert finding["verdict"] == "ok"
    else:
        assert finding["works"] is None
        assert finding["verdict"] == "not_tried"


def module_remove(name):
    return run("modprobe", "-r", name, check=False).returncode == 0


def test_autoload_for_real():
    """With the module taken out of the kernel, the doctor's own try brings it back."""
    if kernel_notes.option_value("CONFIG_TLS") != "m":
        return
    env.wait_for(lambda: module_remove("tls"), "module tls to be unused")
    finding = only("ktls-autoload")
    assert finding["works"] is True
    assert "already" not in finding["text"]
    assert re.search(r"^tls ", Path("/proc/modules").read_text(), re.M)
    assert "already" in only("ktls-autoload")["text"]


def test_json_is_what_the_manual_says(found):
    assert set(found.json) == {"version", "ksplit", "kernel", "summary", "exit_code", "findings"}
    assert found.json["version"] == 1
    assert found.json["kernel"] == kernel_notes.RELEASE
    assert found.json["exit_code"] == found.code
    assert set(found.json["summary"]) == set(VERDICTS)
    for finding in found.findings:
        assert set(finding) == {"check", "area", "subject", "verdict", "works", "text", "lost",
                                "mend"}
        assert finding["verdict"] in VERDICTS
        assert finding["works"] in (True, False, None)
        assert finding["text"] and finding["area"]
    for verdict in VERDICTS:
        count = sum(finding["verdict"] == verdict for finding in found.findings)
        assert found.json["summary"][verdict] == count


def test_every_check_is_listed_and_told(found):
    done = doctor.call("--list")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(set(listed)) == len(listed)
    assert set(ROWS) | MORE < set(listed)
    assert {finding["check"] for finding in found.findings} == set(listed)


def test_nobody_is_told_what_was_not_tried(found, tool):
    """Without privilege: what can be tried is, the rest is said not to have been."""
    done = run(*NOBODY, tool, "--json", check=False)
    assert done.stderr == b""
    seen = Diagnosis(done)
    for name in ("epoll", "reuseport", "splice", "pipe-size", "sock-diag"):
        assert seen.one(name)["verdict"] == "ok", seen.one(name)
    for name in ("bpf-timings", "bpf-processes", "bpf-steer", "bpf-fexit", "bpffs", "nft-cgroup"):
        finding = seen.one(name)
        assert finding["verdict"] == "not_tried", finding
        assert "needs root" in finding["text"] and finding["works"] is None
    for name in ("rules", "capabilities"):
        assert seen.one(name)["verdict"] == "not_tried", seen.one(name)
    # In a user namespace of its own, where the machine allows them; else it says so.
    for name in ("redirect", "nft-owner"):
        finding = seen.one(name)
        assert finding["works"] in (None, ROWS[name].expected()), finding
    # By whom the module was loaded makes no difference.
    assert seen.one("ktls-ulp")["works"] is env.EXPECT_KTLS
    assert seen.code in (0, 1)


def world():
    """What a run must not change."""
    rules = run("nft", "list", "ruleset").stdout if not env.missing_programs("nft") else b""
    maps = run("bpftool", "map", "list", check=False).stdout
    mounts = Path("/proc/self/mountinfo").read_text()
    links = run("ip", "-o", "link").stdout
    groups = [str(path) for top in cgroup_mounts() for path in Path(top).glob("ksplit*")]
    folders = sorted(os.listdir("/tmp")), sorted(os.listdir("/run"))
    return {"rules": rules, "maps": re.findall(rb"ksplit_try", maps), "mounts": mounts,
            "links": links, "groups": groups,
            "files": [name for names in folders for name in names if "ksplit_try" in name]}


def cgroup_mounts():
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            yield fields[1]


@pytest.mark.needs("nft", "ip", "bpftool")
def test_nothing_is_left_behind():
    before = world()
    diagnose()
    assert world() == before


@pytest.mark.needs("nft", "ip", "bpftool")
@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_left_behind_when_it_is_ended(moment):
    """Ended somewhere among the attempts that make rules, cgroups and mounts."""
    before = world()
    process = subprocess.Popen([doctor.TOOL], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=ENV)
    for line in process.stdout:
        if b" %s " % moment.encode() in line:
            break
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=env.PATIENCE)
    assert process.returncode in (0, 1, 2, 130)
    assert (process.returncode == 130) == (told == b"ksplit-doctor: interrupted\n")
    env.wait_for(lambda: world() == before, lambda: "the world to be %s, it is %s" % (
        before, world()))
