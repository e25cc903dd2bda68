# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the benchmark that runs in the test VM, where the kernel has kTLS.

With -icount the emulator counts instead of timing: a guest instruction is a guest nanosecond, so
the CPU time of a process is the number of its instructions, whatever else the host does. Machines
may therefore run side by side.
"""

import concurrent.futures
import json
import os
import subprocess

import ends
import proxies

KERNELS = ("6.1", "6.12", "7")
IDLE_KERNEL = "6.12"
TLS_WAYS = ("off", "timings", "fentry", "user")
PLAIN_WAYS = ("plain-off", "plain-fentry", "plain-sk_msg", "plain-user")
# Ways of observing by kernel. Only one of them lets sk_msg be tried beside kernel TLS.
OBSERVING = {"6.12": TLS_WAYS + PLAIN_WAYS, "6.1": TLS_WAYS, "7": TLS_WAYS,
             "6.1-sockmap": ("off", "sk_msg")}
# With ERMS the emulator counts each byte of a rep movsb as an instruction, with it hidden the
# kernel copies as it does on a machine without.
CPU = "max,-erms,-fsrm"
TIMEOUT = 400
OBSERVING_TIMEOUT = 900


def _machine_run(kernel, folder, what, arguments, ways=(), timeout=TIMEOUT):
    command = ["tests/vm/run", kernel, "--timeout", str(timeout), *arguments, "--",
               "tests/bench/guest", what, folder, *ways]
    run = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    lines = run.stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError):
        result = {"error": f"exit code {run.returncode}"}
    if "error" in result:
        last = "\n".join(run.stderr.strip().splitlines()[-12:])
        raise ends.BenchError(f"kernel {kernel} in the VM: {result['error']}\n{last}")
    return result


def _counted(*words, **more):
    return _machine_run(*words, ["--icount", "--smp", "1", "--cpu", CPU], **more) | {
        "cpu": f"-icount shift=0 -cpu {CPU}"}


def _cost(kernel, folder):
    return _counted(kernel, folder, "cost")


def _observing(kernel, folder):
    return _counted(kernel, folder, "sampling", ways=OBSERVING[kernel],
                    timeout=OBSERVING_TIMEOUT)


def _idle(kernel, folder):
    return _machine_run(kernel, folder, "idle", [])


def _run(wanted, folder, say):
    """Results by part and kernel of (part, function, kernels), two machines at a time. Empty when
    there is no proxy to measure."""
    missing = proxies.Ksplit.missing()
    if missing:
        say(f"the VM part is left out: {missing} is missing")
        return {}
    out = {name: {} for name, *_ in wanted}
    with concurrent.futures.ThreadPoolExecutor(min(2, len(os.sched_getaffinity(0)))) as pool:
        jobs = [(name, kernel, pool.submit(function, kernel, folder))
                for name, function, kernels in wanted for kernel in kernels]
        for name, kernel, job in jobs:
            try:
                out[name][kernel] = job.result()
            except ends.BenchError as error:
                say(str(error))
    return out


def run(folder, quick, say):
    """What each relay costs, and what idle connections take."""
    kernels = (IDLE_KERNEL,) if quick else KERNELS
    say(f"test VM: kernels {', '.join(kernels)}")
    return _run((("idle", _idle, (IDLE_KERNEL,)), ("cost", _cost, kernels)), folder, say)


def observing_run(folder, quick, say):
    """What observation costs."""
    kernels = (IDLE_KERNEL,) if quick else tuple(OBSERVING)
    say(f"test VM, observation: kernels {', '.join(kernels)}")
    return _run((("observing", _observing, kernels),), folder, say)
