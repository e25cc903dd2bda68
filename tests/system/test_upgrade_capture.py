# SPDX-License-Identifier: GPL-2.0-or-later
"""What is captured stays captured while a new ksplitd takes over: no call fails, none goes past it."""

import json
import os
import re
import time

import pytest

from lib import stage as stages
from lib.capturing import within
from lib.cgroups import Cgroup, own_name
from lib.env import wait_for
from lib.netns import Row
from lib.tls import server_context
from lib.upgrade import Calls, Upgrading, UpgradingCapture, is_alive

UPGRADES = 3


def tables(site):
    return re.findall(r"table inet (ksplit\S*)", site.nft("list", "tables"))


def wait_retired(daemon):
    """Those that have handed over are gone: they wait for nothing but their connections."""
    for pid in daemon.retired:
        wait_for(lambda pid=pid: not is_alive(pid),
                 lambda pid=pid: "process %d to end\n%s" % (pid, daemon.tail()))


@pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")
def test_rules_go_on(site, pki):
    """The new table is loaded before the old one goes; off stays off."""
    with UpgradingCapture(site, {"outgoing": {"ports": [443]}}) as daemon:
        with Calls(within(site.row.gateway), Row.ORIGIN[4], 443, pki.ca) as calls:
            for _ in range(UPGRADES):
                daemon.upgrade()
                assert daemon.capture()["state"] == "on"
                time.sleep(0.1)
        assert calls.failed == 0, calls.told + "\n" + daemon.tail()
        assert calls.answered >= 10 * UPGRADES, calls.told
        wait_retired(daemon)
        assert tables(site) in (["ksplit"], ["ksplit_2"]), site.rules()
        code, told = daemon.tool_json("reload")
        assert code == 0 and "capture.table" not in str(told), told
        # Other rules go into the table that is there, whatever its number.
        daemon.config["capture"]["outgoing"]["ports"] = [443, 444]
        daemon.config_path.write_text(json.dumps(daemon.config))
        code, told = daemon.tool_json("reload")
        assert code == 0, told
        assert len(tables(site)) == 1 and site.issuer() == "ksplit", site.rules()
        assert daemon.tool("capture", "off")[0] == 0
        daemon.upgrade()
        told = daemon.capture()
        assert (told["state"], told["by"]) == ("off", "upgrade"), told
        assert site.issuer() == "origin"
        assert daemon.tool("capture", "on")[0] == 0
        assert site.issuer() == "ksplit"
    assert not tables(site), site.rules()
    assert site.issuer() == "origin"


@pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")
def test_one_that_cannot_capture_does_not_take_over(site, pki):
    """All names of tables are somebody's: the old one goes on, and so do its rules."""
    names = ["ksplit_%d" % i for i in range(2, 10)]
    with UpgradingCapture(site, {"outgoing": {"ports": [443]}}) as daemon:
        for name in names:
            site.nft("add", "table", "inet", name)
        try:
            code, told = daemon.ask_upgrade()
            assert code == 1 and "there are tables ksplit to ksplit_9" in told["why"], told
            assert daemon.capture()["state"] == "on" and site.issuer() == "ksplit"
        finally:
            for name in names:
                site.nft("delete", "table", "inet", name)


@pytest.fixture
def app():
    assert os.geteuid() == 0, "these tests need root"
    with Cgroup(own_name("app")) as cgroup:
        yield cgroup


@pytest.mark.needs("bpftool")
def test_hook_goes_on(pki, app):
    """What the old hook has steered finds its way through the new ksplitd, too."""
    def act(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\norigin")

    stage = stages.Stage.listen()
    play = stage.play_tls(server_context(pki.origin), act)
    daemon = Upgrading(pki, "original", {
        "sampler": "user", "sampling": {"timings": False, "processes": False},
        "capture": {"hook": {"cgroups": [app.name], "ports": [stage.port]}}}, prefix=app.prefix)
    with daemon:
        with Calls(app.prefix, "127.0.0.1", stage.port, pki.ca) as calls:
            for _ in range(UPGRADES):
                daemon.upgrade()
                assert daemon.ask("kernel")["capture_hook"]["on"], daemon.tail()
                time.sleep(0.1)
        assert calls.failed == 0, calls.told + "\n" + daemon.tail()
        assert calls.answered >= 10 * UPGRADES, calls.told
        wait_retired(daemon)
    stage.dismiss(play)
    stage.close()
