# SPDX-License-Identifier: GPL-2.0-or-later
"""From samples to medians, from medians to the table."""

import os
import platform
import statistics
import subprocess

import report_observing
import scenarios

OURS = "ksplit"
RIVAL = "sslsplit"
LIMITS = {"new": 0.65, "download": 0.8, "upload": 0.8, "small1": 0.85, "small50": 0.85}
IDLE_LIMIT = 0.6
KTLS_IDLE_LIMIT = 0.2


def _spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "samples": values}


def _verdict(ours, rival, limit):
    ratio = ours / rival
    return {"ratio": ratio, "limit": limit, "reached": ratio <= limit}


def _version(*command):
    try:
        run = subprocess.run(command, check=False, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    except OSError:
        return None
    return run.stdout.splitlines()[0].strip() if run.stdout else None


def _machine():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        model = next((line.split(":", 1)[1].strip() for line in info
                      if line.startswith("model name")), "?")
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count(),
            "openssl": _version("openssl", "version"), "load": os.getloadavg(),
            "sslsplit": _version("sslsplit", "-V"), "nginx": _version("nginx", "-v"),
            "haproxy": _version("haproxy", "-v")}


def _loads(samples):
    out = {}
    for load in (load for part in scenarios.LOADS.values() for load in part):
        rows = samples.get(load.key)
        if not rows:
            continue
        out[load.key] = {"title": load.title, "unit": load.unit, "proxies": {}}
        for name, runs in rows.items():
            out[load.key]["proxies"][name] = _spread([run["figure"] for run in runs]) | {
                "seconds": statistics.median(run["seconds"] for run in runs),
                "client": runs[-1]["client"], "upstream": runs[-1]["upstream"],
                "resumed": sum(run["resumed"] for run in runs),
                "full": sum(run["full"] for run in runs)}
        if OURS in rows and RIVAL in rows:
            medians = out[load.key]["proxies"]
            out[load.key]["verdict"] = _verdict(medians[OURS]["median"],
                                                medians[RIVAL]["median"], LIMITS[load.key])
    return out


def _memory_row(runs):
    row = {field: _spread([run["held"][field] - run["empty"][field] for run in runs])
           for field in runs[0]["held"]}
    row["total"] = _spread([run["held"]["Pss"] for run in runs])
    return row


def collect(options, samples, memory, vm, seconds):
    """All results as one tree; vm is what guests.run() returned."""
    idle = {"proxies": {name: _memory_row(runs) for name, runs in memory.items()}}
    if OURS in memory and RIVAL in memory:
        idle["verdict"] = _verdict(idle["proxies"][OURS]["Pss"]["median"],
                                   idle["proxies"][RIVAL]["Pss"]["median"], IDLE_LIMIT)
    for row in vm.get("idle", {}).values():
        row["verdict"] = _verdict(row["ktls"]["Pss"], row["rival"]["Pss"], KTLS_IDLE_LIMIT)
    report_observing.collect(vm.get("observing", {}))
    return {"machine": _machine(), "runs": options.runs, "quick": options.quick,
            "seconds": round(seconds, 1), "loads": _loads(samples), "idle": idle, "vm": vm}


def _number(value):
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(row, base):
    return f"{row / base:6.2f}" if base else " " * 6


def _judgement(verdict):
    word = "PASS" if verdict["reached"] else "MISS"
    return f"{word}  {verdict['ratio']:.2f} of {RIVAL}'s, at most {verdict['limit']:.2f} wanted"


def _load_lines(results):
    for load in results["loads"].values():
        yield f"{load['title']} ({load['unit']})"
        base = load["proxies"].get(RIVAL, {}).get("median")
        for name, row in load["proxies"].items():
            spread = f"{_number(row['min'])} .. {_number(row['max'])}"
            yield (f"  {name:<20}{_number(row['median']):>9}  {spread:<18}"
                   f"{_ratio(row['median'], base)}  {row['client'][0].removeprefix('TLS_')}")
        if "verdict" in load:
            yield f"  {_judgement(load['verdict'])}"


def _idle_lines(results):
    rows = results["idle"]["proxies"]
    if not rows:
        return
    yield f"{scenarios.IDLE_CONNECTIONS} idle connections (MiB: more than with none; in all)"
    base = rows.get(RIVAL, {}).get("Pss", {}).get("median")
    for name, row in rows.items():
        more = row["Pss"]
        spread = f"{_number(more['min'] / 1024)} .. {_number(more['max'] / 1024)}"
        yield (f"  {name:<20}{_number(more['median'] / 1024):>9}  {spread:<18}"
               f"{_ratio(more['median'], base)}  in all {row['total']['median'] / 1024:.1f}, "
               f"fds {row['descriptors']['median'] / scenarios.IDLE_CONNECTIONS:.1f}")
    if "verdict" in results["idle"]:
        yield f"  {_judgement(results['idle']['verdict'])}"


def _agreement_lines(results):
    """Key exchange and resumption are part of what a new connection costs."""
    load = results["loads"].get("new") or next(iter(results["loads"].values()), None)
    for name, row in (load["proxies"] if load else {}).items():
        total = row["full"] + row["resumed"]
        yield (f"  {name:<20}client {row['client'][0]} {row['client'][1]}, "
               f"upstream {row['upstream'][1]}, resumed {row['resumed']} of {total}")


def _engine(relay, row):
    if row["kernel_directions"]:
        return "kernel TLS"
    return "OpenSSL" if relay == "user" else "MISS  no kernel TLS"


def _guest_lines(vm):
    for kernel, guest in vm.get("cost", {}).items():
        yield (f"kernel {guest['release']} in the VM, {guest['cpu']}")
        yield (f"  {'instructions for':<20}{'1 B down':>9}{'1 B up':>9}{'1 KiB request':>15}"
               f"{'new connection':>16}")
        yield f"  {'crypto floor':<20}{guest['floor']:>9.2f}{'':>9}{'':>15}{'':>16}"
        for name, row in guest["relays"].items():
            yield (f"  {name:<20}{row['download']:>9.2f}{row['upload']:>9.2f}"
                   f"{row['small1'] / 1000:>13.1f} k{row['new'] / 1e6:>14.2f} M"
                   f"  {_engine(name, row)}")
    for kernel, row in vm.get("idle", {}).items():
        yield (f"kernel {row['release']} in the VM, {scenarios.IDLE_CONNECTIONS} idle "
               "connections (MiB)")
        yield f"  {'':<20}{'process':>9}{'in all':>9}{'slab':>9}{'sockets':>9}"
        for key, name in (("ktls", "ksplit, kernel TLS"), ("rival", RIVAL)):
            one = row[key]
            engine = f"  {_engine('auto', one)}" if key == "ktls" else ""
            yield (f"  {name:<20}" + "".join(
                f"{one[field] / 1024:>9.1f}" for field in ("Pss", "total", "slab", "sockets"))
                   + engine)
        yield f"  {_judgement(row['verdict'])}"


def table(results):
    """The results for a reader, 96 columns at most."""
    machine = results["machine"]
    lines = [
        "ksplit beside other proxies: CPU time and memory of the proxy's processes alone",
        f"kernel {machine['kernel']}, {machine['cpus']} x {machine['cpu']}, "
        f"{(machine['openssl'] or '?').split(' (')[0]}",
        f"{results['runs']} rounds, interleaved; median, min .. max, ratio to {RIVAL}; load average at "
        f"the end {machine['load'][0]:.1f}", ""]
    lines += _load_lines(results)
    lines += _idle_lines(results)
    agreed = list(_agreement_lines(results))
    if agreed:
        lines += ["agreed on (TLS 1.3 everywhere)", *agreed]
    lines += _guest_lines(results["vm"])
    lines += report_observing.lines(results["vm"].get("observing", {}))
    lines += ["", f"{results['seconds']:.0f} s; samples in build/bench/results.json"]
    return "\n".join(lines)
