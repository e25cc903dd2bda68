# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are, what the running kernel is expected to do, and time-bounded waiting."""

import os
import platform
import random
import shutil
import socket
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("KSPLIT_BUILD", ROOT / "build")).resolve()
SANITIZED = os.environ.get("KSPLIT_SANITIZED", "0") == "1"
IN_VM = os.environ.get("KSPLIT_TESTS_IN_VM", "") == "1"

# Upper bound of every single wait. It only matters when something hangs: emulated machines under
# a sanitizer are fifty times slower than a real one.
PATIENCE = float(os.environ.get("KSPLIT_PATIENCE", "60"))

TCP_ULP = 31


def kernel_has_ktls():
    """Try it (tcp(7), Documentation/networking/tls.rst): the ULP on a connected pair."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as sock:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            except OSError:
                return False
    return True


def _expect_ktls():
    told = os.environ.get("KSPLIT_EXPECT_KTLS", "")
    if told in ("0", "1"):
        return told == "1"
    return kernel_has_ktls()


# Told by whoever booted the kernel, so that a kernel that should have it and has not is a failure.
EXPECT_KTLS = _expect_ktls()


def kernel_version():
    """(major, minor) of the running kernel."""
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()))


# Keys of a TLS 1.3 socket can be replaced since 6.14 (net/tls: "tls: implement rekey for TLS1.3").
EXPECT_REKEY = EXPECT_KTLS and kernel_version() >= (6, 14)


def missing_programs(*names):
    """Those of the programs that are not in PATH (system folders included)."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in names if not shutil.which(name, path=path)]


def wait_for(condition, what, timeout=None, interval=0.01):
    """Poll until condition() is true and return its value; AssertionError when time is up.

    `what` completes the sentence "timed out waiting for ..."; it may be callable.
    """
    deadline = time.monotonic() + (timeout or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("timed out waiting for %s" % (what() if callable(what) else what))
        time.sleep(interval)
        interval = min(interval * 1.5, 0.25)


_ports_given = set()


def free_port(host="127.0.0.1"):
    """A TCP port below the ephemeral range, so that no client socket can take it meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(1000):
        port = random.randint(10000, 32000)
        if port in _ports_given:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise AssertionError("no free TCP port on %s" % host)


def read_tls_stat():
    """/proc/net/tls_stat as a dictionary; empty on a kernel without TLS."""
    try:
        text = Path("/proc/net/tls_stat").read_text()
    except FileNotFoundError:
        return {}
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}
