# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status --watch on a pseudo terminal and elsewhere, against a control socket that answers
what the test says. Needs: nothing."""

import fcntl
import json
import os
import pathlib
import pty
import queue
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from lib.status import KERNEL, REQUESTS, SUMMARY, TOOL, answer, path, serve, series  # noqa: F401


def read_until(fd, text, timeout=10):
    """What comes from a descriptor up to and with `text`."""
    got = b""
    end = time.monotonic() + timeout
    while text not in got:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert ready, got
        data = os.read(fd, 65536)
        assert data, got
        got += data
    return got


def test_watch_in_a_pipe(serve, path):
    serve()
    tool = subprocess.Popen([TOOL, "--control", path, "--watch", "1", "--json", "kernel"],
                            stdout=subprocess.PIPE)
    got = read_until(tool.stdout.fileno(), b"\n{")
    tool.send_signal(signal.SIGTERM)
    rest = tool.stdout.read()
    assert tool.wait(10) == 0
    tool.stdout.close()
    assert b"\x1b" not in got + rest
    lines = (got + rest).decode().splitlines()
    assert len(lines) >= 2
    assert all(json.loads(line) == KERNEL for line in lines)


class Terminal:
    """The tool on a pseudo terminal of the given size."""

    def __init__(self, path, rows, columns, *arguments, term="xterm"):
        self.fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(inner)
        self.inner = inner
        self.tool = subprocess.Popen([TOOL, "--control", path, "--watch=1", *arguments],
                                     stdin=inner, stdout=inner, stderr=inner,
                                     start_new_session=True, env={**os.environ, "TERM": term},
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read_until(self, text):
        return read_until(self.fd, text)

    def resize(self, rows, columns):
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.tool.send_signal(signal.SIGWINCH)

    def interrupt(self, last=b"\x1b[?1049l"):
        """Ctrl-C; the exit code and what was still drawn."""
        os.write(self.fd, b"\x03")
        rest = read_until(self.fd, last)
        code = self.tool.wait(10)
        assert termios.tcgetattr(self.inner) == self.before
        os.close(self.fd)
        os.close(self.inner)
        return code, rest


def test_watch_on_a_terminal(serve, path):
    serve()
    terminal = Terminal(path, 50, 100)
    first = terminal.read_until(b"\x1b[J")
    assert first.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H")
    assert b"ksplitd 0.1.0, up 3 h 12 min" in first
    assert b"\x1b[H" in terminal.read_until(b"\x1b[J")
    code, rest = terminal.interrupt()
    assert code == 0
    assert rest.endswith(b"\x1b[?25h\x1b[?1049l")


def test_watch_cuts_to_the_screen(serve, path):
    serve()
    terminal = Terminal(path, 5, 20)
    drawn = terminal.read_until(b"\x1b[J").decode().split("\x1b[H")[1]
    terminal.interrupt()
    lines = drawn.replace("\x1b[J", "").replace("\x1b[K", "").split("\r\n")
    assert len(lines) == 5
    assert lines[0] == "ksplitd 0.1.0, up 3 "
    assert lines[4] == "..."
    assert all(len(line) <= 20 for line in lines)


def screen_of(drawn, rows, columns):
    """What a terminal shows after these bytes: a tiny one that knows what ksplit-status uses."""
    screen = [[" "] * columns for _ in range(rows)]
    row = column = 0
    for code, text in re.findall(r"\x1b\[([?0-9]*[A-Za-z])|([^\x1b])", drawn, re.S):
        if code == "H":
            row = column = 0
        elif code == "K":
            screen[row][column:] = [" "] * (columns - column)
        elif code == "J":
            screen[row][column:] = [" "] * (columns - column)
            for below in range(row + 1, rows):
                screen[below] = [" "] * columns
        elif code:
            assert code in ("?1049h", "?25l", "?25h", "?1049l"), code
        elif text == "\r":
            column = 0
        elif text == "\n":
            assert row + 1 < rows, "the picture scrolls"
            row += 1
        else:
            assert column < columns, "a line wraps"
            screen[row][column] = text
            column += 1
    return ["".join(line).rstrip() for line in screen]


def test_live_requests_on_a_small_terminal(serve, path):
    many = [series(1000 - i, i + 1, "/number/%d" % i) for i in range(100)]
    serve(answer({**REQUESTS, "series": many, "series_kept": 100, "series_evicted": 0}))
    terminal = Terminal(path, 24, 80, "requests", "--sort", "p99")
    drawn = terminal.read_until(b"\x1b[J")
    screen = screen_of(drawn.decode(), 24, 80)
    assert screen[0] == "1,251,000 requests in 100 series of at most 2,000; by p99"
    assert screen[2].split() == ["COUNT", "PER", "S", "ERR", "P50", "P99", "ST", "REQUEST"]
    assert screen[3].endswith("GET api.example.com/number/99")
    assert screen[22].endswith("/number/80")
    assert screen[23] == "..."
    terminal.resize(10, 40)
    more = terminal.read_until(b"\x1b[J")
    screen = screen_of(more.decode(), 10, 40)
    assert screen[9] == "..."
    assert any(line.split() == ["COUNT", "P99", "REQUEST"] for line in screen)
    code, rest = terminal.interrupt()
    assert code == 0
    assert rest.endswith(b"\x1b[?25h\x1b[?1049l")


def writes_of(pid):
    """How many write(2)s a process has made (proc(5), /proc/PID/io); send(2) is none."""
    told = dict(line.split(": ") for line in
                pathlib.Path("/proc/%d/io" % pid).read_text().splitlines())
    return int(told["syscw"])


def test_one_picture_is_one_write(serve, path):
    """Nothing blinks: a picture is whole when the terminal gets it. By the kernel's count, since a
    pseudo terminal hands on in pieces of its own what was written at once; taken while the tool
    waits for an answer that the test holds back, so that nothing is under way."""
    many = [series(1000 - i, i + 1, "/number/%d" % i) for i in range(200)]
    asked, go_on = queue.Queue(), queue.Queue()

    def when_told(client, _):
        asked.put(True)
        if go_on.get(timeout=30):
            client.sendall(answer({**REQUESTS, "series": many, "series_kept": 200}))

    serve(when_told)
    terminal = Terminal(path, 150, 200, "requests")
    counts = []
    for _ in range(4):
        asked.get(timeout=30)
        counts.append(writes_of(terminal.tool.pid))
        go_on.put(True)
        drawn = terminal.read_until(b"\x1b[J")
        assert drawn.count(b"\x1b[H") == 1
        assert drawn.endswith(b"\x1b[J")
        assert len(drawn) > 8192, "a picture that no small buffer holds"
    go_on.put(False)
    terminal.interrupt()
    # The first one comes behind what enters the screen.
    assert drawn.startswith(b"\x1b[H")
    assert [after - before for before, after in zip(counts[1:], counts[2:])] == [1, 1]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_watch_without_a_screen(serve, path, term):
    """Blocks that follow each other, no sequence of any kind."""
    serve()
    terminal = Terminal(path, 24, 80, "endpoints", term=term)
    got = terminal.read_until(b"api.example.com\r\n\r\n2 endpoints")
    os.write(terminal.fd, b"\x03")
    assert terminal.tool.wait(10) == 0
    assert b"\x1b" not in got
    assert termios.tcgetattr(terminal.inner) == terminal.before
    os.close(terminal.fd)
    os.close(terminal.inner)


def test_watch_survives_a_restart(serve, path):
    server = serve()
    terminal = Terminal(path, 50, 100)
    terminal.read_until(b"ksplitd 0.1.0")
    server.close()
    terminal.read_until(b"nobody listens there")
    path.unlink()
    terminal.read_until(b"no such socket")
    serve(answer({**SUMMARY, "version": "0.2.0", "degraded": "just back"}))
    terminal.read_until(b"ksplitd 0.2.0")
    assert terminal.interrupt()[0] == 1


def test_interrupt_while_the_daemon_is_silent(serve, path):
    over = threading.Event()
    server = serve(lambda client, _: over.wait(15))
    terminal = Terminal(path, 50, 100)
    end = time.monotonic() + 10
    while not server.requests and time.monotonic() < end:
        time.sleep(0.02)
    before = time.monotonic()
    assert terminal.interrupt()[0] == 2
    assert time.monotonic() - before < 2
    over.set()
