# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process tree cost: CPU time and memory, as the kernel counts them."""

import os
import time

MEMORY_FIELDS = ("Rss", "Pss", "Pss_Anon", "Private_Dirty")


def process_tree(pid):
    """pid and all that descend from it."""
    pids = [pid]
    for parent in pids:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as children:
                    pids += [int(word) for word in children.read().split()]
        except OSError:
            continue
    return pids


def cpu_seconds(pid):
    """User and system time of the tree in nanosecond steps, ended threads included.

    The clock of another process: its number is made as clock_getcpuclockid(3) does.
    """
    total = 0.0
    for each in process_tree(pid):
        try:
            total += time.clock_gettime((~each << 3) | 2)
        except OSError:
            continue
    return total


def cpu_settled(pid, quiet=0.03, limit=2.0):
    """cpu_seconds once it has stood still for a moment: what was asked for is done."""
    deadline = time.monotonic() + limit
    last = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(quiet)
        now = cpu_seconds(pid)
        # A timer tick is no work.
        if now - last < 50e-6:
            return now
        last = now
    return last


def memory_kib(pid):
    """The sums of MEMORY_FIELDS over the tree, from smaps_rollup."""
    total = dict.fromkeys(MEMORY_FIELDS, 0)
    for each in process_tree(pid):
        with open(f"/proc/{each}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                name, _, value = line.partition(":")
                if name in total:
                    total[name] += int(value.split()[0])
    return total


def kernel_memory_kib():
    """Slab, per-CPU and socket buffer memory of the whole machine."""
    sizes = {}
    with open("/proc/meminfo", encoding="ascii") as info:
        for line in info:
            name, _, value = line.partition(":")
            sizes[name] = int(value.split()[0])
    with open("/proc/net/sockstat", encoding="ascii") as stat:
        for line in stat:
            words = line.split()
            if words[0] == "TCP:":
                sizes["sockets"] = int(words[words.index("mem") + 1]) * 4
    return {"slab": sizes["Slab"], "sockets": sizes["sockets"],
            "available": sizes["MemAvailable"]}


def descriptors(pid):
    """Open descriptors of the tree."""
    return sum(len(os.listdir(f"/proc/{each}/fd")) for each in process_tree(pid))
