# SPDX-License-Identifier: GPL-2.0-or-later
"""Which sampler reads kernel TLS: the daemon's choice, and what it says, against what the kernel does
when it is tried without ksplit's own code."""

import shutil

import pytest

from lib import env
from lib.bpf_try import sk_msg_beside_ktls
from lib.daemon import Ksplitd

FORCED = {"sampler": "bpf", "sampling": {"attach": "sk_msg"}}
NOWHERE = "127.0.0.1:9"
SEES = "sk_msg on kernel TLS: tried, and sees what is sent"
APART = "sk_msg on kernel TLS: this kernel keeps sockmap and kernel TLS apart"


@pytest.fixture(scope="module")
def beside():
    """None: no kernel TLS at all."""
    return sk_msg_beside_ktls() if env.EXPECT_KTLS else None


def test_auto_takes_fentry(ksplitd, beside):
    """Cheaper than sk_msg, and shown everything; kernels with kernel TLS have it."""
    sampler = ksplitd(NOWHERE).ask("kernel")["sampler"]
    assert sampler["kernel_tls"] == ("none" if beside is None else "fentry"), sampler


def refused(pki):
    """The line with which a forced daemon ends."""
    daemon = Ksplitd(pki, NOWHERE, FORCED).launch()
    try:
        assert daemon.wait_exit() != 0
        said = [line for line in daemon.stderr().splitlines() if "BPF sampler is asked for" in line]
    finally:
        daemon.kill()
    assert len(said) == 1, daemon.stderr()
    shutil.rmtree(daemon.folder)
    return said[0]


def test_sk_msg_by_name(ksplitd, pki, beside):
    """Taken where a socket may have both, else refused in one line; plain TCP alone is no substitute."""
    if beside is None:
        sampler = ksplitd(NOWHERE, {"sampling": {"attach": "auto"}}).ask("kernel")["sampler"]
        assert "kernel TLS: not in use" in sampler["why"] or sampler["plain"] == "user", sampler
    elif beside:
        sampler = ksplitd(NOWHERE, FORCED).ask("kernel")["sampler"]
        assert sampler["kernel_tls"] == "sk_msg"
        assert SEES in sampler["why"]
    else:
        assert APART in refused(pki)
