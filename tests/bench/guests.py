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
# With ERMS the emulator counts each byte of a rep movsb as an instruction, with it hidden the
# kernel copies as it does on a machine without.
CPU = "max,-erms,-fsrm"
TIMEOUT = 400


def _machine_run(kernel, folder, what, arguments):
    command = ["tests/vm/run", kernel, "--timeout", str(TIMEOUT), *arguments, "--",
               "tests/bench/guest", what, folder]
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


def _cost(kernel, folder):
    return _machine_run(kernel, folder, "cost", ["--icount", "--smp", "1", "--cpu", CPU]) | {
        "cpu": f"-icount shift=0 -cpu {CPU}"}


def _idle(kernel, folder):
    return _machine_run(kernel, folder, "idle", [])


def run(folder, quick, say):
    """Results by kernel; empty when there is no proxy to measure."""
    missing = proxies.Ksplit.missing()
    if missing:
        say(f"the VM part is left out: {missing} is missing")
        return {}
    kernels = (IDLE_KERNEL,) if quick else KERNELS
    say(f"test VM: kernels {', '.join(kernels)}")
    out = {"cost": {}, "idle": {}}
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        idle = pool.submit(_idle, IDLE_KERNEL, folder)
        costs = {kernel: pool.submit(_cost, kernel, folder) for kernel in kernels}
        for name, jobs in (("cost", costs), ("idle", {IDLE_KERNEL: idle})):
            for kernel, job in jobs.items():
                try:
                    out[name][kernel] = job.result()
                except ends.BenchError as error:
                    say(str(error))
    return out
