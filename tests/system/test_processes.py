# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has called: the process behind each connection, also when it is gone before the daemon looks.
Needs root."""

import os

import pytest

from lib import clients
from lib.env import wait_for

CALLS = 30
pytestmark = pytest.mark.needs("curl", "nginx")


def test_short_callers_are_known(ksplitd, pki, nginx):
    """Every call is a process of its own, which ends at once."""
    assert os.geteuid() == 0, "these tests need root"
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"sampler": "user"})
    assert daemon.ask("kernel")["sampler"]["processes"] == {"attached": True, "why": None}
    for _ in range(CALLS):
        clients.curl(daemon.port, "/small.txt", pki.ca, "-o", "/dev/null")
    wait_for(lambda: len(daemon.request_log()) == CALLS, "%d requests to be logged" % CALLS)
    callers = [line["process"] for line in daemon.request_log()]
    assert [caller["command"] for caller in callers] == ["curl"] * CALLS
    assert len({caller["pid"] for caller in callers}) == CALLS
    series, = daemon.ask("requests")["series"]
    assert series["process.command"] == "curl"
    assert series["http.request_response.count"] == CALLS
