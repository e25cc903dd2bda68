# SPDX-License-Identifier: GPL-2.0-or-later
"""The signing process of a daemon, seen from outside; and what is in a process's memory."""

import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

NAME = "ksplit-signer"
# A sanitizer's shadow: terabytes that hold no program's data.
MAPPING_MAX = 4 << 30


# A Python program that tries every way into the process whose number is its argument.
PEER = """
import ctypes, os, sys
pid, expected = int(sys.argv[1]), {1: "EPERM", 13: "EACCES"}
# The layout of memory, not its content, is shown to CAP_PERFMON (fs/proc/base.c of Linux 6.13 on).
for path in (() if len(sys.argv) > 2 else ("maps",)) + ("mem", "environ", "fd", "task/%d/mem" % pid, "cwd", "root"):
    try:
        place = "/proc/%d/%s" % (pid, path)
        os.listdir(place) if path == "fd" else os.readlink(place) if path in ("cwd", "root") else \\
            open(place, "rb").read(1)
    except PermissionError:
        continue
    print("can read", path)
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
    if libc.ptrace(request, pid, 0, 0) != -1 or ctypes.get_errno() not in expected:
        print("can ptrace", request)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
buffer = ctypes.create_string_buffer(8)
local, remote = Piece(ctypes.addressof(buffer), 8), Piece(0x400000, 8)
if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) != -1 or \\
        ctypes.get_errno() not in expected:
    print("can process_vm_readv")
try:
    fd = os.pidfd_open(pid)
    if libc.syscall(438, fd, 0, 0) != -1 or ctypes.get_errno() not in expected:
        print("can pidfd_getfd")
except PermissionError:
    pass
print("done")
"""


def proc_status(pid):
    """/proc/PID/status as a dictionary of texts."""
    lines = Path("/proc/%d/status" % pid).read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def signer_of(pid):
    """The process number of a daemon's signing process; None: there is none (any more)."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = proc_status(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if (status["Name"], status["PPid"]) == (NAME, str(pid)) and status["State"][0] not in "ZX":
            return int(entry.name)
    return None


def private_scalar(key_file):
    """An EC private key's number as it may lie in memory: big-endian as in files, little-endian as
    OpenSSL's numbers on this machine."""
    key = load_pem_private_key(key_file.read_bytes(), None)
    number = key.private_numbers().private_value
    return number.to_bytes(32, "big"), number.to_bytes(32, "little")


def memory_has(pid, needles):
    """Is one of these in the memory of a process? Read as root by /proc/PID/mem (proc(5)); what
    can be read of it is all that it has. Also the number of bytes that were looked at."""
    seen = 0
    found = False
    maps = Path("/proc/%d/maps" % pid).read_text()
    memory = os.open("/proc/%d/mem" % pid, os.O_RDONLY)
    try:
        for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) r", maps, re.M):
            start, end = int(start, 16), int(end, 16)
            if end - start > MAPPING_MAX:
                continue
            tail = b""
            while start < end:
                try:
                    piece = os.pread(memory, min(1 << 20, end - start), start)
                except OSError:  # the kernel's own pages
                    break
                if not piece:
                    break
                start += len(piece)
                seen += len(piece)
                found = found or any(needle in tail + piece for needle in needles)
                tail = piece[-64:]
    finally:
        os.close(memory)
    return found, seen
