# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker of ksplitd that hangs while all else of the daemon goes on: its thread is stopped by
ptrace(2)."""

import ctypes
import os
import threading
from contextlib import contextmanager

from .env import PATIENCE

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


def _worker_thread(pid, index):
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, tid), encoding="ascii") as comm:
            if comm.read() == "ksplit-%d\n" % index:
                return int(tid)
    raise AssertionError("no worker %d" % index)


def _hold(tid, held, over, errors):
    """All of it on one thread of ours, which the kernel takes for the tracer."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_ATTACH, tid, None, None):
        errors.append(os.strerror(ctypes.get_errno()))
        held.set()
        return
    os.waitpid(tid, WALL)
    held.set()
    over.wait(10 * PATIENCE)
    libc.ptrace(PTRACE_DETACH, tid, None, None)


@contextmanager
def held_worker(pid, index=1):
    """Within the block that worker does not move."""
    held, over, errors = threading.Event(), threading.Event(), []
    holder = threading.Thread(target=_hold, args=(_worker_thread(pid, index), held, over, errors))
    holder.start()
    try:
        assert held.wait(PATIENCE) and not errors, errors
        yield
    finally:
        over.set()
        holder.join()
