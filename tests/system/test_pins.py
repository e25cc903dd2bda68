# SPDX-License-Identifier: GPL-2.0-or-later
"""What ksplitd pins in bpffs: readable while it lives, gone when it ends or, if it was killed, when
the next one starts. In a mount namespace with a bpffs of the test's own. Needs root."""

import json
import os
import pwd
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.daemon import Ksplitd
from lib.process import ENV, Program

NOBODY = "127.0.0.1:1"  # no origin is needed
KILLED = -signal.SIGKILL
PINS = ("callers", "endpoints", "processes", "socket_times", "link_timings", "link_connect",
        "link_connect4", "link_connect6")


class Namespace:
    """A mount namespace, kept by a process that sleeps in it."""

    def __init__(self, keeper):
        self.enter = ["nsenter", "-t", keeper.pid, "-m", "--"]
        self.root = Path(f"/proc/{keeper.pid}/root/sys/fs/bpf/ksplit")

    def folders(self):
        return sorted(os.listdir(self.root)) if self.root.exists() else []

    def dump(self, pid, name):
        """A pinned map, as bpftool shows it, with the names of its fields."""
        argv = [str(a) for a in self.enter] + [
            "bpftool", "-j", "map", "dump", "pinned", f"/sys/fs/bpf/ksplit/{pid}/{name}"]
        done = subprocess.run(argv, env=ENV, capture_output=True, text=True, timeout=60,
                              check=True)
        return [entry["formatted"] for entry in json.loads(done.stdout)]


@pytest.fixture
def namespace():
    assert os.geteuid() == 0, "these tests need root"
    with Program("unshare", "-m", "sh", "-c", "mount -t bpf bpf /sys/fs/bpf && echo mounted && "
                 "exec sleep 3600") as keeper:
        keeper.expect(b"mounted")
        yield Namespace(keeper)


def assert_connects(address):
    """A caller who has nothing to do with ksplitd is not in its hooks' way."""
    with socket.create_connection(address, timeout=30):
        pass


def test_maps_are_readable(namespace, pki):
    with Ksplitd(pki, NOBODY, prefix=namespace.enter) as daemon:
        pid = daemon.pid
        assert namespace.folders() == [str(pid)]
        assert set(PINS) <= set(os.listdir(namespace.root / str(pid)))
        with socket.create_connection(daemon.address, timeout=30) as connection:
            processes = namespace.dump(pid, "processes")
            assert os.getpid() in [entry["value"]["pid"] for entry in processes]
            ports = (connection.getsockname()[1], daemon.port)
            assert [entry["value"]["pid"] for entry in namespace.dump(pid, "callers")
                    if (entry["key"]["source_port"],
                        entry["key"]["destination_port"]) == ports] == [os.getpid()]
            clients = [entry for entry in namespace.dump(pid, "endpoints")
                       if entry["key"]["role"] == 1]
            counts = [cpu["value"]["established"] for entry in clients for cpu in entry["values"]]
            assert sum(counts) >= 1
    assert not namespace.root.exists()


def test_killed_daemon(namespace, pki):
    """The links of a dead daemon keep its programs attached, which let everybody connect."""
    killed = Ksplitd(pki, NOBODY, prefix=namespace.enter).start()
    killed.process.kill()
    assert killed.wait_exit() == KILLED
    assert namespace.folders() == [str(killed.pid)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert_connects(server.getsockname())
    callers = namespace.dump(killed.pid, "processes")
    assert os.getpid() in [entry["value"]["pid"] for entry in callers], "is the hook still there?"

    with Ksplitd(pki, NOBODY, prefix=namespace.enter) as daemon:
        assert namespace.folders() == [str(daemon.pid)]
    assert not namespace.root.exists()


def test_daemon_of_another_user(namespace, pki):
    """systemd mounts bpffs for root alone: who has become another user has its maps there all the same."""
    subprocess.run([*map(str, namespace.enter), "mount", "-o", "remount,mode=0700", "/sys/fs/bpf"],
                   check=True)
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = {"user": "daemon", "control": str(folder / "run" / "control.sock")}
        daemon = Ksplitd(pki, NOBODY, settings, folder=folder, prefix=namespace.enter)
        daemon.control_path = folder / "run" / "control.sock"
        with daemon:
            assert os.stat(f"/proc/{daemon.pid}").st_uid == pwd.getpwnam("daemon").pw_uid
            assert daemon.ask("kernel")["sampler"]["pins"] == f"/sys/fs/bpf/ksplit/{daemon.pid}"
            assert set(PINS) <= set(os.listdir(namespace.root / str(daemon.pid)))
            with socket.create_connection(daemon.address, timeout=30):
                callers = namespace.dump(daemon.pid, "processes")
                assert os.getpid() in [entry["value"]["pid"] for entry in callers]
    assert namespace.folders() == []


def test_two_daemons(namespace, pki):
    """Each has its own folder, and leaves the other's alone."""
    with Ksplitd(pki, NOBODY, prefix=namespace.enter) as first:
        with Ksplitd(pki, NOBODY, prefix=namespace.enter) as second:
            assert namespace.folders() == sorted([str(first.pid), str(second.pid)])
        assert namespace.folders() == [str(first.pid)]
    assert not namespace.root.exists()
