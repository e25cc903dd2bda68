# SPDX-License-Identifier: GPL-2.0-or-later
"""What observation costs: the same loads through ksplitd with one way of observing after another.

Runs in the test VM, where CPU time is a number of instructions (see guests.py).
"""

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass

import ends
import proxies
import scenarios

STATUS = "build/ksplit-status"
# What ksplitd says when a sampler is asked for that this kernel does not have.
REFUSED = "keeps sockmap and kernel TLS apart"
OBSERVER = "ksplit-observe"
RUNS = 5
# The observer looks for events every 20 ms while they come and every 250 ms when all is quiet: a
# connection that has just been opened makes it look often, within this time.
REST = 0.3


def _loads_of(mib, connections):
    return (
        scenarios.Load("download", "", "instructions/byte", "download", mib, mib, 1e9 / (1 << 20)),
        scenarios.Load("upload", "", "instructions/byte", "upload", mib, mib, 1e9 / (1 << 20)),
        scenarios.Load("small1", "", "instructions", "small", 600, 600, 1e9),
        scenarios.Load("api", "", "instructions", "api", 600, 600, 1e9),
        scenarios.Load("new", "", "instructions", "connect", connections, connections, 1e9),
    )


# Without cryptography a byte is so cheap that few of them count little.
LOADS = {False: _loads_of(8, 8), True: _loads_of(64, 40)}


@dataclass(frozen=True)
class Way:
    """One way of observing."""

    settings: dict
    sampler: str | None = None  # who must have seen all requests, as ksplit-status names it
    plain: bool = False  # plain HTTP, passed through


# From nothing at all to everything; what each adds is told against the first of its kind.
OFF = {"sampler": "off", "sampling": {"timings": False, "processes": False}}
WAYS = {
    "off": Way(OFF),
    "timings": Way({"sampler": "off", "sampling": {"timings": True, "processes": True}}),
    "fentry": Way({"sampler": "bpf", "sampling": {"attach": "fentry"}}, "fentry"),
    "sk_msg": Way({"sampler": "bpf", "sampling": {"attach": "sk_msg"}}, "sk_msg"),
    "user": Way({"sampler": "user"}, "user"),
    "plain-off": Way(OFF, None, True),
    "plain-fentry": Way({"sampler": "bpf", "sampling": {"attach": "fentry"}}, "fentry", True),
    "plain-sk_msg": Way({"sampler": "bpf", "ktls": "off", "sampling": {"attach": "sk_msg"}},
                        "sk_msg", True),
    "plain-user": Way({"sampler": "user"}, "user", True),
}


class Observing(proxies.Ksplit):
    """ksplitd with its own choice of relay, and one way of observing."""

    relay = "auto"
    rest = REST

    def __init__(self, name, way, *words):
        super().__init__(*words)
        self.name = f"ksplit, observing {name}"
        self.plain = way.plain
        self.settings = way.settings

    def command(self):
        return [*super().command(), "-c", self._write("ksplit.json", json.dumps(self.settings))]

    def start(self):
        """Until it has tried what this kernel can do, which is after it listens."""
        super().start()
        deadline = time.monotonic() + 60
        while self.sampler() is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ends.BenchError(f"{self.name} did not start; see {self.folder}/log")
            time.sleep(0.2)

    def observer_instructions(self):
        """What the observer's thread has spent so far; the rest is the worker's."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            path = f"/proc/{self.pid}/task/{task}"
            with open(f"{path}/comm", encoding="ascii") as comm:
                if comm.read().strip() != OBSERVER:
                    continue
            with open(f"{path}/schedstat", encoding="ascii") as times:
                total += int(times.read().split()[0])
        return total

    def _log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            return log.read()

    def refused(self):
        """Did it end because this kernel does not have what was asked for?"""
        return REFUSED in self._log()

    def last_words(self):
        """The end of its log."""
        return self._log().splitlines()[-12:]

    def sampler(self):
        """The sampler's counts; None while it does not answer."""
        run = subprocess.run([STATUS, "--control", os.path.join(self.folder, "control"), "--json",
                              "kernel"], check=False, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        return json.loads(run.stdout)["sampler"] if run.stdout.strip() else None


def kernel_sessions():
    """Directions whose keys went into the kernel since boot."""
    try:
        with open("/proc/net/tls_stat", encoding="ascii") as stat:
            counts = dict(line.split() for line in stat)
    except OSError:
        return 0
    return int(counts["TlsTxSw"]) + int(counts["TlsRxSw"])


def _witness(proxy, way, origin):
    """What was observed beside what the origin answered; waits for the last events."""
    scenarios.origin_idle(origin)
    deadline = time.monotonic() + 5
    while True:
        sampler = proxy.sampler()
        if sampler is None:
            raise ends.BenchError(f"{proxy.name} does not answer any more")
        if not way.sampler or sampler["requests"] >= origin.requests or \
           time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return {"sampler": way.sampler, "connections": origin.connections,
            "requests": origin.requests, "observed": sampler["requests"],
            "sampled": sampler["connections"].get(way.sampler, 0),
            "lost_bytes": sampler["lost_bytes"],
            "dropped": sampler["ring_dropped"] + sampler["queue_dropped"]}


def _loads(program, proxy, origin):
    """Every load RUNS times, interleaved."""
    loads = LOADS[proxy.plain]
    samples = {load.key: [] for load in loads}
    observer = {load.key: [] for load in loads}
    scenarios.warm_up(program, proxy, origin, small=True)
    for _ in range(RUNS):
        for load in loads:
            before = proxy.observer_instructions()
            samples[load.key].append(
                scenarios.load_measure(load, program, proxy, origin)["figure"])
            observer[load.key].append(
                (proxy.observer_instructions() - before) / load.count * load.scale / 1e9)
    return {key: {"median": statistics.median(figures), "samples": figures,
                  "observer": statistics.median(observer[key])}
            for key, figures in samples.items()}


def _way(program, name, folder, certificates):
    way = WAYS[name]
    origin = ends.Origin(program, certificates, plain=way.plain)
    proxy = Observing(name, way, os.path.join(folder, name), certificates, origin.port)
    try:
        proxy.start()
        before = kernel_sessions()
        row = {"plain": way.plain, "loads": _loads(program, proxy, origin)}
        row["kernel_directions"] = kernel_sessions() - before
        return row | _witness(proxy, way, origin)
    except ends.BenchError as error:
        if proxy.refused():
            return {"refused": f"not here: this kernel {REFUSED}"}
        # The other ways are measured all the same.
        return {"failed": str(error), "log": proxy.last_words()}
    finally:
        proxy.stop()
        origin.close()


def measure(program, folder, certificates, names):
    """Instructions in the proxy's process, by what is observed."""
    unknown = set(names) - set(WAYS)
    if unknown:
        raise ends.BenchError(f"no such way of observing: {', '.join(sorted(unknown))}")
    return {"runs": RUNS, "ways": {name: _way(program, name, folder, certificates)
                                   for name in names or WAYS}}
