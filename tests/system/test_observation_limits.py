# SPDX-License-Identifier: GPL-2.0-or-later
"""Observation at its limits: more URIs than are kept, more events than ring and queue hold, and a
daemon that may not use BPF. Connections never suffer; what is missing is counted."""

import ctypes
import json
import os
import threading
from pathlib import Path

import pytest

from lib import exact, leftovers, metrics, stage as stages
from lib.daemon import PROGRAM, Ksplitd
from lib.env import IN_VM, SANITIZED, free_port, wait_for
from lib.process import run

TOOL = PROGRAM.parent / "ksplit-status"
URIS = 1500 if IN_VM else 20000 if SANITIZED else 1000000
SERIES = {"max_series": 300} if IN_VM else {} # reading them takes an emulated machine long
SLICE = 4000 # of them at full speed: what the ring holds, should nobody look meanwhile
FEW = 10
BATCH = 100 # requests on their way at once; the sampler follows 256 of a connection
CALLERS = 4
SERIES_KIB = 9 # at most, docs/metrics.md
QUEUE_KIB = 4096 # of each worker
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SMALL = 65536 # bytes, the least that ring and queue may have
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


def status(daemon, *arguments):
    done = run(TOOL, "--control", daemon.control_path, "--json", *arguments)
    return json.loads(done.stdout)


def answer_all(sock):
    """An act: an answer to each request, whatever it asks for."""
    rest, count = b"", 0
    while True:
        data = sock.recv(65536)
        if not data:
            return count
        ends = (rest + data).count(b"\r\n\r\n")
        rest = (rest + data)[-3:]
        count += ends
        if ends:
            sock.sendall(ANSWER * ends)


class Caller:
    """A plain connection for requests, many of them on their way at once."""

    def __init__(self, port):
        self._sock = stages.connect(("127.0.0.1", port))
        self.count = 0

    def ask(self, paths):
        self._sock.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: flood.test\r\n\r\n" % path.encode()
                                    for path in paths))
        want = ANSWER * len(paths)
        got = bytearray()
        while len(got) < len(want):
            data = self._sock.recv(len(want) - len(got))
            assert data, "closed"
            got += data
        assert got == want
        self.count += len(paths)

    def close(self):
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def word(number):
    """A different name for each number, without anything that a template folds."""
    letters = ""
    while number or not letters:
        number, consonant = divmod(number, 15)
        letters += "bcdfgklmnprstvz"[consonant] + "aeiou"[consonant % 5]
    return letters


def flood(port, first, count):
    """Distinct URIs from several callers; every answer is looked at."""
    errors = []

    def call(numbers):
        try:
            with Caller(port) as caller:
                for start in range(0, len(numbers), BATCH):
                    caller.ask(["/u/" + word(n) for n in numbers[start:start + BATCH]])
        except BaseException as error: # handed over to the test's thread
            errors.append(error)

    threads = [threading.Thread(target=call, args=(range(first + i, first + count, CALLERS),))
               for i in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def counted(daemon, requests):
    """Wait until so many requests have been taken in."""
    wait_for(lambda: daemon.summary()["observation"]["requests"] >= requests,
             lambda: "%d requests: %s" % (requests, status(daemon, "kernel")["sampler"]))


def sums(daemon):
    """Requests told by ksplit-status: (all, of "other")."""
    rows = status(daemon, "requests")["series"]
    total = [row["http.request_response.count"] for row in rows]
    return sum(total), sum(row["http.request_response.count"] for row in rows if row["other"])


def test_flood_of_uris(ksplitd, stage):
    port = free_port()
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"metrics": dict({"prometheus": "127.0.0.1:%d" % port}, **SERIES),
                      "access_log_requests": False})
    limit = status(daemon, "requests")["max_series"]
    before = daemon.rss_kib()
    with stage.play(answer_all):
        flood(daemon.port, 0, 2 * limit)
        counted(daemon, 2 * limit)
        filled = daemon.rss_kib()
        for first in range(2 * limit, URIS, SLICE):
            last = min(URIS, first + SLICE)
            flood(daemon.port, first, last - first)
            counted(daemon, last)
    after = daemon.rss_kib()
    sampler = status(daemon, "kernel")["sampler"]
    assert (sampler["ring_dropped"], sampler["queue_dropped"]) == (0, 0), sampler
    exact.assert_source(sampler, exact.plain_source(), len(daemon.access_log()))
    told = status(daemon, "requests")
    assert told["requests"] == URIS and told["series_kept"] <= limit + 1, told
    total, other = sums(daemon)
    assert total == URIS and other >= URIS - 2 * limit, (total, other)
    assert b"other" in run(TOOL, "--control", daemon.control_path, "requests").stdout
    samples = metrics.parse(metrics.get(port, "/metrics")[2])
    name = "http_client_request_duration_seconds_count"
    assert metrics.total(samples, name) == URIS
    assert metrics.total(samples, name, url_template="other") == other
    if not SANITIZED and not IN_VM: # so few show nothing of memory
        print("RSS in KiB:", before, filled, after)
        assert filled - before <= limit * SERIES_KIB + 2 * QUEUE_KIB, (before, filled, after)
        assert after - filled <= limit * SERIES_KIB // 4, (before, filled, after)


# -- overflow ------------------------------------------------------------------------------------


class Paused:
    """One thread of a process stands still (ptrace(2)); the others go on."""

    def __init__(self, pid, name):
        self._tid, = [int(task.name) for task in Path("/proc/%d/task" % pid).iterdir()
                      if (task / "comm").read_text() == name + "\n"]
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _ptrace(self, request):
        done = self._libc.ptrace(ctypes.c_long(request), ctypes.c_long(self._tid), None, None)
        assert done == 0, os.strerror(ctypes.get_errno())

    def __enter__(self):
        self._ptrace(PTRACE_SEIZE)
        self._ptrace(PTRACE_INTERRUPT)
        os.waitpid(self._tid, WALL)
        return self

    def __exit__(self, *exc):
        self._ptrace(PTRACE_DETACH)


def of_uri(daemon, uri):
    return sum(row["http.request_response.count"]
               for row in status(daemon, "requests")["series"] if row["http.uri"] == uri)


def ask_once(daemon, uri):
    with Caller(daemon.port) as caller:
        caller.ask([uri])
    return of_uri(daemon, uri)


@pytest.mark.parametrize("sampler", exact.samplers())
def test_overflow_is_counted_and_recovers(sampler, ksplitd, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"sampler": sampler, "sampling": {"ring_bytes": SMALL,
                                                       "queue_bytes": SMALL}})
    by = status(daemon, "kernel")["sampler"]["plain"]
    assert by == ("user" if sampler == "user" else exact.plain_source())
    count = "queue_dropped" if by == "user" else "ring_dropped"
    with stage.play(answer_all):
        with Caller(daemon.port) as caller:
            caller.ask(["/before"])
            counted(daemon, 1)
            with Paused(daemon.pid, "ksplit-observe"):
                for number in range(10):
                    caller.ask(["/lost/" + "x" * 400] * BATCH)
                with Caller(daemon.port) as another:
                    another.ask(["/lost/" + "y" * 400] * BATCH)
            caller.ask(["/lost/" + "z" * 400] * BATCH)
        told = status(daemon, "kernel")["sampler"]
        assert told[count] > 0, told
        wait_for(lambda: ask_once(daemon, "/awake"), "the observer to see something again")
        for number in range(1, 4):
            with Caller(daemon.port) as caller:
                caller.ask(["/after"] * FEW)
            wait_for(lambda: of_uri(daemon, "/after") == number * FEW,
                     lambda: "%d of %d requests, %s" % (of_uri(daemon, "/after"), number * FEW,
                                                        status(daemon, "kernel")["sampler"]))
    told = status(daemon, "kernel")["sampler"]
    assert daemon.summary()["observation"]["events_dropped"] == told["queue_dropped"] + told[
        "ring_dropped"]
    lines = daemon.wait_log(count=6)
    assert {line["reason"] for line in lines} == {"closed"}, lines


# -- pins ------------------------------------------------------------------------------------------


def can_pin(daemon):
    return status(daemon, "kernel")["sampler"]["pins"] is not None


def test_nothing_stays_pinned(ksplitd, pki, stage, tmp_path):
    to = "127.0.0.1:%d" % stage.port
    one, two = Ksplitd(pki, to, folder=tmp_path), ksplitd(to)
    one.start()
    try:
        pins = [leftovers.pinned(daemon.pid) for daemon in (one, two)]
        assert [bool(names) for names in pins] == [can_pin(one)] * 2
        sampled = can_pin(one) and exact.plain_source() != "user"
        assert ["heads" in names for names in pins] == [sampled] * 2
    finally:
        one.kill()
    folder = leftovers.PINS / str(one.pid)
    assert folder.exists() == bool(pins[0])
    three = ksplitd(to)
    assert not folder.exists(), "pins of a daemon that was killed"
    assert leftovers.pinned(two.pid) == leftovers.pinned(three.pid) == pins[1]
    folders = [leftovers.PINS / str(daemon.pid) for daemon in (two, three)]
    for daemon in (two, three):
        daemon.terminate()
        assert daemon.wait_exit() == 0
    assert not any(path.exists() for path in folders)


# -- what is not allowed or not there ------------------------------------------------------------

NO_BPF = ("setpriv", "--bounding-set", "-bpf,-sys_admin,-perfmon,-net_admin", "--inh-caps",
          "-bpf,-sys_admin,-perfmon,-net_admin", "--")
NO_BPFFS = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
            "while umount /sys/fs/bpf 2>/dev/null; do :; done; exec \"$0\" \"$@\"")


def assert_observes(daemon, stage):
    with stage.play(answer_all), Caller(daemon.port) as caller:
        caller.ask(["/seen"] * BATCH)
        counted(daemon, BATCH)
    assert sums(daemon) == (BATCH, 0)


def test_without_the_capability(ksplitd, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, prefix=NO_BPF)
    sampler = status(daemon, "kernel")["sampler"]
    assert {sampler["kernel_tls"], sampler["plain"], sampler["user"]} <= {"user", "none"}
    assert sampler["why"] and sampler["pins"] is None, sampler
    for hook in ("timings", "processes"):
        assert not sampler[hook]["attached"] and "CAP_BPF" in sampler[hook]["why"], sampler
    assert "plain TCP by user" in daemon.stderr()
    assert_observes(daemon, stage)


def test_bpf_that_is_not_allowed_is_refused(pki, tmp_path):
    done = run(*NO_BPF, PROGRAM, "--foreground", "--listen", "127.0.0.1:%d" % free_port(), "--to",
               "127.0.0.1:9", "--ca-cert", pki.ca.cert, "--ca-key", pki.ca.key, "--control",
               tmp_path / "control", "--upstream-verify", "off", "--sampler", "bpf", check=False)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1, done
    told = [line for line in lines if "the BPF sampler is asked for" in line]
    assert len(told) == 1 and "CAP_BPF" in told[0] and "auto" in told[0], lines


def test_without_bpffs(ksplitd, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, prefix=NO_BPFFS)
    sampler = status(daemon, "kernel")["sampler"]
    assert sampler["pins"] is None
    if sampler["plain"] != "user":
        assert "not pinned: no bpffs" in daemon.stderr()
    assert_observes(daemon, stage)
