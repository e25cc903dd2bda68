# SPDX-License-Identifier: GPL-2.0-or-later
"""Every place where a daemon could have kept something: its memory, its BPF maps, its files and
all that it tells."""

import ctypes
import ctypes.util
import json
import mmap
import os
import struct
from pathlib import Path

from .process import ENV, run

PINS = Path("/sys/fs/bpf/ksplit")
PAGE = mmap.PAGESIZE
RINGBUF = 27 # include/uapi/linux/bpf.h, enum bpf_map_type
PRESENT_OR_SWAPPED = 3 << 62 # Documentation/admin-guide/mm/pagemap.rst
# What bpftool has no dump for: the ring is read below, the others belong to sockets.
NO_DUMP = ("ringbuf", "sk_storage", "sockhash")


def _used(pagemap, start, end):
    """Runs of pages that are there, as (start, end)."""
    count = (end - start) // PAGE
    try:
        pagemap.seek(start // PAGE * 8)
        entries = struct.unpack("%dQ" % count, pagemap.read(count * 8))
    except (OSError, struct.error):
        return [(start, end)]
    runs = []
    for number, entry in enumerate(entries):
        if not entry & PRESENT_OR_SWAPPED:
            continue
        at = start + number * PAGE
        if runs and runs[-1][1] == at:
            runs[-1] = runs[-1][0], at + PAGE
        else:
            runs.append((at, at + PAGE))
    return runs


def memory(pid):
    """(what it is, bytes) of all that a process has in memory: more than a core file holds."""
    lines = Path("/proc/%d/maps" % pid).read_text().splitlines()
    with open("/proc/%d/mem" % pid, "rb", 0) as mem, \
            open("/proc/%d/pagemap" % pid, "rb", 0) as pagemap:
        for line in lines:
            words = line.split(None, 5)
            start, end = (int(word, 16) for word in words[0].split("-"))
            name = words[5] if len(words) > 5 else "[anonymous]"
            if words[1][0] != "r" or name in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            for first, last in _used(pagemap, start, end):
                try:
                    mem.seek(first)
                    yield "%s %x" % (name, first), mem.read(last - first)
                except OSError:
                    continue # gone meanwhile


def _numbers(value, out):
    """All numbers and words of a decoded dump as bytes, in order."""
    if isinstance(value, dict):
        for inner in value.values():
            _numbers(inner, out)
    elif isinstance(value, list):
        if value and isinstance(value[0], str) and value[0].startswith("0x"):
            out += bytes.fromhex("".join(value).replace("0x", "")) # bpftool writes two digits each
        elif value and all(isinstance(item, int) and 0 <= item < 256 for item in value):
            out += bytes(value)
        else:
            for inner in value:
                _numbers(inner, out)
    elif isinstance(value, str):
        out += value.encode() + b"\0"


def _libbpf():
    return ctypes.CDLL(ctypes.util.find_library("bpf") or "libbpf.so.1", use_errno=True)


def _ring(number, size):
    """The data pages of a ring buffer (kernel/bpf/ringbuf.c: consumer, producer, data twice)."""
    fd = _libbpf().bpf_map_get_fd_by_id(number)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    try:
        with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=2 * PAGE) as pages:
            return pages[:]
    finally:
        os.close(fd)


def pinned(pid):
    """The names of a daemon's pins; empty where it has none."""
    folder = PINS / str(pid)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _maps_of(pid):
    """{number: type} of the maps that a daemon has, pinned or not (kernel/bpf/syscall.c,
    bpf_map_show_fdinfo)."""
    found = {}
    for path in Path("/proc/%d/fdinfo" % pid).iterdir():
        try:
            told = dict(line.split(":", 1) for line in path.read_text().splitlines())
        except (OSError, ValueError):
            continue # gone meanwhile, or of another kind
        if "map_id" in told:
            found[int(told["map_id"])] = int(told["map_type"])
    return found


def ring(pid, size):
    """The bytes of a daemon's ring, without anybody's help: it is soon written over."""
    number, = (number for number, kind in _maps_of(pid).items() if kind == RINGBUF)
    return _ring(number, size)


def maps(pid):
    """(name, bytes) of every map. Two runs of bpftool: emulated machines start programs slowly."""
    numbers = _maps_of(pid)
    if not numbers:
        return
    found = {told["id"]: told for told in json.loads(run("bpftool", "-j", "map", "show").stdout)
             if told["id"] in numbers}
    assert found.keys() == numbers.keys()
    dumped = [number for number, told in found.items() if told["type"] not in NO_DUMP]
    commands = "".join("map dump id %d\n" % number for number in dumped)
    answers = json.loads(run("bpftool", "-j", "batch", "file", "-", stdin=commands.encode()).stdout)
    assert len(answers) == len(dumped), answers
    for number, answer in zip(dumped, answers):
        assert isinstance(answer["output"], list), (found[number], answer)
        out = bytearray()
        _numbers(answer["output"], out)
        yield found[number]["name"], bytes(out)
    for number, told in found.items():
        if told["type"] == "ringbuf":
            yield told["name"], _ring(number, told["max_entries"])


def statuses(daemon, tool):
    """(command, bytes) of what ksplit-status says, for people and for programs."""
    for command in ("summary", "connections", "endpoints", "requests", "kernel"):
        for more in ((), ("--json",)):
            words = () if command == "summary" else (command,)
            done = run(tool, "--control", daemon.control_path, *words, *more, check=False,
                       env=ENV)
            assert done.returncode in (0, 1), done # 1: up, with a remark
            yield "ksplit-status " + " ".join(words + more), done.stdout + done.stderr
