# SPDX-License-Identifier: GPL-2.0-or-later
"""What observation costs: verdicts on what observing.py counted, and the table."""

COLUMNS = (  # load, title, unit, divisor, digits
    ("download", "1 B down", "", 1, 2),
    ("upload", "1 B up", "", 1, 2),
    ("small1", "1 KiB request", " k", 1e3, 1),
    ("api", "API call", " k", 1e3, 1),
    ("new", "new connection", " M", 1e6, 2),
)
# How much more a load may cost than with nothing observed.
LIMITS = {"download": 0.03, "upload": 0.03, "small1": 0.08, "api": 0.08}
DIRECTIONS = 4  # of a connection: to and from the client, to and from the origin


def _engine_proven(way):
    """All keys in the kernel; or, for plain HTTP, nothing to encrypt."""
    return way["plain"] or way["kernel_directions"] >= DIRECTIONS * way["connections"]


def _sampling_proven(way):
    """Every request was observed, all of them by the sampler that the row is named after."""
    return way["sampler"] is None or (way["observed"] == way["requests"] and
                                      way["sampled"] == way["connections"])


def _least(load, way, base):
    """The change at least, whichever runs are compared."""
    return min(way["loads"][load]["samples"]) / max(base["loads"][load]["samples"]) - 1


def _verdict(way, base):
    change = {load: way["loads"][load]["median"] / base["loads"][load]["median"] - 1
              for load in way["loads"]}
    over = [load for load, limit in LIMITS.items() if change[load] > limit]
    missed = [load for load in over if _least(load, way, base) > LIMITS[load]]
    proven = _engine_proven(way) and _engine_proven(base) and _sampling_proven(way)
    return {"change": change, "over": over, "missed": missed, "limits": LIMITS, "proven": proven,
            "reached": proven and not over}


def _word(verdict):
    """OPEN: over a limit by its median, but the runs differ by more than that."""
    if verdict["reached"]:
        return "PASS"
    return "MISS" if verdict["missed"] or not verdict["proven"] else "OPEN"


def collect(observing):
    """Adds verdicts to the results of the kernels."""
    for kernel in observing.values():
        ways = kernel["ways"]
        for name, way in ways.items():
            base = ways.get("plain-off" if way.get("plain") else "off")
            if "loads" in way and "loads" in (base or {}) and way is not base:
                way["verdict"] = _verdict(way, base)


def _cells(way):
    for load, _, unit, divisor, digits in COLUMNS:
        figure = f"{way['loads'][load]['median'] / divisor:.{digits}f}{unit}"
        change = f"{way['verdict']['change'][load] * 100:+.1f}%" if "verdict" in way else ""
        yield f" {figure:<8}{change:<7}"


def _evidence(way):
    engine = "plain HTTP"
    if not way["plain"]:
        engine = "kernel TLS" if _engine_proven(way) else "NO KERNEL TLS"
    if way["sampler"] is None:
        return engine
    seen = f"{engine}, {way['observed']} of {way['requests']} requests by {way['sampler']}"
    if way["sampled"] != way["connections"]:
        seen += f" ({way['sampled']} of {way['connections']} connections)"
    if way["lost_bytes"] or way["dropped"]:
        seen += f", {way['lost_bytes']} bytes not shown, {way['dropped']} events dropped"
    return seen


def _judgement(way):
    if "verdict" not in way:
        yield _evidence(way)
        return
    verdict = way["verdict"]
    titles = {load: title for load, title, *_ in COLUMNS}
    over = ", ".join(f"{titles[load]} {verdict['change'][load] * 100:+.1f}%"
                     f"{'' if load in verdict['missed'] else ' (unsteady)'}"
                     for load in verdict["over"])
    proof = "" if verdict["proven"] else "  not what the row says"
    yield f"{_word(verdict)}{proof}  {over or 'all within limits'}"
    yield _evidence(way)
    if way["sampler"]:
        shares = ", ".join(f"{titles[load]} {way['loads'][load]['observer'] / 1e3:.1f} k"
                           for load in ("small1", "api"))
        yield f"in the observer's thread: {shares}"


def lines(observing):
    """The table of every kernel, 96 columns at most."""
    if not observing:
        return
    yield "what observation costs: instructions in the proxy's process, beside nothing observed;"
    yield (f"at most {LIMITS['download']:+.0%} a byte, {LIMITS['small1']:+.0%} a small request "
           "wanted; nothing is demanded of a new connection")
    for kernel in observing.values():
        yield f"kernel {kernel['release']} in the VM, {kernel['cpu']}, medians of {kernel['runs']}"
        yield f"  {'':<13}" + "".join(f" {title:<15}" for _, title, *_ in COLUMNS).rstrip()
        for name, way in kernel["ways"].items():
            if "loads" not in way:
                yield f"  {name:<13} {way.get('refused') or 'MISS  ' + way['failed']}"
                continue
            yield f"  {name:<13}" + "".join(_cells(way)).rstrip()
            yield from (f"    {line}" for line in _judgement(way))
