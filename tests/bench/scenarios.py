# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of a proxy, and how the answer is measured."""

import time
from dataclasses import dataclass

import ends
import measure
import pki as pki_names

IDLE_CONNECTIONS = 1000
WARM_CONNECTIONS = 20


@dataclass(frozen=True)
class Load:
    """CPU time per unit of work under one mode of the load program."""

    key: str
    title: str
    unit: str
    mode: str
    count: int
    quick: int
    scale: float  # CPU seconds of the whole run, divided by count, times scale = the figure
    connections: int = 1
    repeat: int = 1  # runs of each proxy in a round, interleaved like the rounds


LOADS = {
    "new": (
        Load("new", "new connection", "us", "connect", 300, 100, 1e6),
    ),
    "bulk": (
        Load("download", "bulk, download", "s/GiB", "download", 256, 64, 1024),
        Load("upload", "bulk, upload", "s/GiB", "upload", 256, 64, 1024),
    ),
    "small": (
        Load("small1", "1 KiB requests, 1 connection", "us", "small", 5000, 2000, 1e6,
             repeat=2),
        Load("small50", "1 KiB requests, 50 connections", "us", "small", 5000, 2000, 1e6, 50,
             repeat=2),
    ),
}


def client_check(result, wanted_issuer):
    """That the connection really ended at the proxy."""
    if result["cipher"] and result["issuer"] != wanted_issuer:
        raise ends.BenchError(f"the leaf was signed by \"{result['issuer']}\", not by the "
                              "proxy's CA: nothing was intercepted")


def origin_idle(origin, limit=5.0):
    """Waits until every connection has reached its end; returns the handshakes meanwhile."""
    deadline = time.monotonic() + limit
    total = {"full": 0, "resumed": 0}
    while True:
        now = origin.counters()
        total["full"] += now["full"]
        total["resumed"] += now["resumed"]
        if not now["open"] or time.monotonic() > deadline:
            return now | total
        time.sleep(0.02)


def load_measure(load, program, proxy, origin, quick=False, ciphers=ends.CIPHER):
    """One run. Returns the figure and what was agreed on both sides."""
    count = load.quick if quick else load.count
    client = ends.Client(program, proxy.port, proxy.pki.proxy_ca[0], load.mode, count,
                         load.connections, ciphers, proxy.plain)
    try:
        client.ready()
        time.sleep(proxy.rest)
        if load.mode == "connect":
            origin_idle(origin)
        else:
            origin.counters()
        before = measure.cpu_settled(proxy.pid)
        result = client.work()
        side = origin_idle(origin) if load.mode == "connect" else origin.counters()
        after = measure.cpu_settled(proxy.pid)
        client_check(result, pki_names.PROXY_CA_NAME)
    finally:
        client.close()
    return {"figure": (after - before) / count * load.scale, "seconds": result["seconds"],
            "client": [result["cipher"], result["group"]],
            "upstream": [side["cipher"], side["group"]],
            "full": side["full"], "resumed": side["resumed"]}


def warm_up(program, proxy, origin, ciphers=ends.CIPHER, small=False):
    """Some connections and some bytes, so that nothing measured is done for the first time."""
    connections = 4 if small else WARM_CONNECTIONS
    mib = 1 if small else 4
    for mode, count in (("connect", connections), ("download", mib), ("upload", mib)):
        client = ends.Client(program, proxy.port, proxy.pki.proxy_ca[0], mode, count,
                             ciphers=ciphers, plain=proxy.plain)
        try:
            client.ready()
            client_check(client.work(), pki_names.PROXY_CA_NAME)
        finally:
            client.close()
    origin_idle(origin)


def idle_measure(program, proxy, origin, count=IDLE_CONNECTIONS, rest=1.5):
    """Memory of a fresh proxy, then with count idle connections."""
    proxy.start()
    try:
        client = ends.Client(program, proxy.port, proxy.pki.proxy_ca[0], "connect",
                             WARM_CONNECTIONS)
        client.ready()
        client_check(client.work(), pki_names.PROXY_CA_NAME)
        client.close()
        origin_idle(origin)
        time.sleep(rest)
        empty = measure.memory_kib(proxy.pid) | measure.kernel_memory_kib()
        empty["descriptors"] = measure.descriptors(proxy.pid)
        client = ends.Client(program, proxy.port, proxy.pki.proxy_ca[0], "idle", count)
        try:
            client.ready()
            time.sleep(rest)
            if origin.counters()["open"] != count:
                raise ends.BenchError(f"{proxy.name}: not every connection was held")
            held = measure.memory_kib(proxy.pid) | measure.kernel_memory_kib()
            held["descriptors"] = measure.descriptors(proxy.pid)
        finally:
            client.close()
        origin_idle(origin)
    finally:
        proxy.stop()
    return {"empty": empty, "held": held}


def idle_direct(program, origin, certificates, count=IDLE_CONNECTIONS, rest=1.5):
    """Kernel memory of the same connections without a proxy: the share of the two ends."""
    empty = measure.kernel_memory_kib()
    client = ends.Client(program, origin.port, certificates.origin_ca[0], "idle", count)
    try:
        client.ready()
        time.sleep(rest)
        held = measure.kernel_memory_kib()
    finally:
        client.close()
    origin_idle(origin)
    return {"empty": empty, "held": held}
