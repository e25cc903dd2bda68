# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules and connect hook come and go by reload, under calls of which none fails."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from lib.capturing import TABLE, WATCHDOG_MS, Capturing, within
from lib.cgroups import Cgroup, own_name
from lib.env import wait_for
from lib.netns import Row
from lib.pki import Certificate
from lib.upgrade import Calls, UpgradingCapture, children, is_alive

pytestmark = pytest.mark.needs("ip", "nft", "nsenter", "nginx", "curl")

USER = "daemon"
RULES = {"watchdog": WATCHDOG_MS, "table": TABLE, "outgoing": {"ports": [443]}}


@pytest.fixture(autouse=True)
def root():
    assert os.geteuid() == 0, "these tests need root"


@pytest.fixture
def folder():
    """That any user can reach."""
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def app():
    with Cgroup(own_name("app")) as cgroup:
        yield cgroup


@pytest.fixture
def other():
    with Cgroup(own_name("other")) as cgroup:
        yield cgroup


def of_user(site, pki, folder, capture, **settings):
    """A daemon that ends up as a user without rights, but for those that its configuration takes."""
    for authority in ("ca", "origin_ca"):
        made = getattr(pki, authority)
        shutil.copy(made.cert, folder / (authority + ".pem"))
        shutil.copy(made.key, folder / (authority + ".key"))
        (folder / (authority + ".key")).chmod(0o600)
    control = folder / "run" / "control.sock"
    daemon = UpgradingCapture(site, capture or {}, folder=folder, settings=dict({
        "user": USER, "control": str(control),
        "ca": {"cert": str(folder / "ca.pem"), "key": str(folder / "ca.key")},
        "upstream": {"ca": str(folder / "origin_ca.pem")}}, **settings))
    daemon.control_path = control
    if not capture:
        del daemon.config["capture"]
    return daemon


@pytest.fixture
def both(pki):
    return Certificate(pki.both_authorities().cert, None)


def test_rules_come_and_go(site, pki, folder, both):
    """In the process that runs, which holds on to the right that rules take."""
    with of_user(site, pki, folder, RULES) as daemon:
        pid = daemon.now
        with Calls(within(site.row.gateway), Row.ORIGIN[4], 443, both) as calls:
            for _ in range(2):
                assert site.issuer() == "ksplit" and daemon.capture()["state"] == "on"
                assert daemon.reload(capture=None)["reloaded"]
                assert not site.capturing() and site.issuer() == "origin"
                assert daemon.capture()["state"] == "not_configured"
                assert daemon.tool("capture", "on")[0] != 0 or not site.capturing()
                assert daemon.reload(capture=RULES)["reloaded"]
            assert site.issuer(6) == "ksplit"
        assert calls.failed == 0, calls.told + "\n" + daemon.tail()
        assert calls.answered >= 10, calls.told
        assert daemon.now == pid
        told = daemon.capture()
        assert not told["withdrawals"]["watchdog"] and not told["withdrawals"]["keeper"], told
        assert daemon.reload(capture=None)["reloaded"]
        wait_for(lambda: "ksplit-keeper" not in children(pid).values(), "the keeper to end")
        assert not site.table()
    assert not site.table()


def test_none_rules_none_hook_other_hook(site, pki, folder, app, other, both):
    """A daemon without any right: what takes one is done by a new one that takes over."""
    def shown():
        return [site.issuer(prefix=cgroup.prefix) for cgroup in (app, other)]

    def hook(*cgroups):
        return {"hook": {"cgroups": [c.name for c in cgroups], "ports": [443]},
                "watchdog": WATCHDOG_MS}

    with of_user(site, pki, folder, None) as daemon:
        first = daemon.now
        with Calls(within(site.row.gateway) + list(app.prefix), Row.ORIGIN[4], 443, both) as calls:
            assert shown() == ["origin", "origin"]
            assert daemon.reload(capture=RULES)["reloaded"]
            assert daemon.now != first
            assert shown() == ["ksplit", "ksplit"]
            second = daemon.now
            assert daemon.reload(capture=None)["reloaded"]
            assert daemon.now == second
            assert shown() == ["origin", "origin"]
            assert daemon.reload(capture=hook(app))["reloaded"]
            assert shown() == ["ksplit", "origin"]
            assert daemon.reload(capture=hook(other))["reloaded"]
            assert shown() == ["origin", "ksplit"]
            assert daemon.reload(capture=dict(hook(other), **RULES))["reloaded"]
            assert shown() == ["ksplit", "ksplit"]
            assert daemon.reload(capture=None)["reloaded"]
            assert shown() == ["origin", "origin"]
        assert calls.failed == 0, calls.told + "\n" + daemon.tail()
        assert calls.answered >= 20, calls.told
        for pid in daemon.retired:
            wait_for(lambda pid=pid: not is_alive(pid), "process %d to end" % pid)
        assert not site.table()


def test_first_rules_that_cannot_be_loaded(site, pki, folder):
    """Nothing has changed, whoever was to load them; then good ones are."""
    bad = dict(RULES, outgoing={"ports": [443], "cgroups": ["nowhere.slice"]})
    for settings in ({}, {"capture": RULES}):
        with of_user(site, pki, folder, settings.get("capture")) as daemon:
            if settings:
                assert daemon.reload(capture=None)["reloaded"]
            pid, configured = daemon.now, daemon.summary()["reloads"]["done"]
            told = daemon.reload(capture=bad)
            assert not told["reloaded"] and "rules could not be loaded" in told["why"], told
            assert daemon.now == pid and not site.capturing()
            assert daemon.capture()["state"] == "not_configured"
            assert site.issuer() == "origin"
            reloads = daemon.summary()["reloads"]
            assert (reloads["done"], reloads["failed"]) == (configured, 1), reloads
            assert daemon.reload(capture=RULES)["reloaded"]
            assert site.issuer() == "ksplit"
        assert not site.table()


def test_rules_stay_while_a_reload_takes_its_time(site):
    """The file comes slowly, as names and large files can: no keeper takes that for a death."""
    with Capturing(site, RULES) as daemon:
        text = daemon.config_path.read_text()
        daemon.config_path.unlink()
        os.mkfifo(daemon.config_path)
        daemon.process.send_signal(signal.SIGHUP)
        with open(daemon.config_path, "w") as pipe:  # now ksplitd reads
            began = time.monotonic()
            while time.monotonic() < began + 3 * WATCHDOG_MS / 1000:
                assert site.issuer() == "ksplit" and daemon.capture()["state"] == "on"
            pipe.write(text)
        wait_for(lambda: daemon.summary()["reloads"]["done"] == 1, "the reload to be done")
        told = daemon.capture()
        assert told["loads"] == 1 and not any(told["withdrawals"].values()), told
