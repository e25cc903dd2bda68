# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as ksplitd tells of them: the calling process, and the time that a slow origin takes."""

import time

import pytest

from lib import clients, exact, stream
from lib.env import wait_for
from lib.scene import receive_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# -- who called --------------------------------------------------------------------------------


@pytest.mark.needs("curl", "nginx")
def test_the_calling_process_is_told(ksplitd, pki, nginx):
    """... and every call is in the series of its process. Half a second is what a call takes."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    for _ in range(3):
        clients.curl(daemon.port, "/mega.bin", pki.ca, "--http1.1", "--limit-rate", "8M")
    wait_for(lambda: len(daemon.request_log()) == 3, "3 requests")
    processes = [line["process"] for line in daemon.request_log()]
    assert [process and process["command"] for process in processes] == ["curl"] * 3, processes
    assert len({process["pid"] for process in processes}) == 3
    row, = exact.status(daemon, "requests")["series"]
    assert (row["process.command"], row["http.request_response.count"]) == ("curl", 3)


# -- latency -----------------------------------------------------------------------------------


def median(values):
    return sorted(values)[len(values) // 2]


def test_200_ms_are_200_ms(scene):
    """An origin that sleeps 200 ms shows 200 to 215 ms above its own baseline at the median. That
    a request took less than the sleep is a fault, always; how much a busy machine adds is tried up
    to five times."""
    rounds = 15
    ask = {path: b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/sleep", b"/nosleep")}

    def origin(sock):
        for _ in range(rounds * 2):
            if b"/sleep " in receive_until(sock, b"\r\n\r\n"):
                time.sleep(0.2)
            sock.sendall(OK)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        for _ in range(rounds):
            for path in (b"/nosleep", b"/sleep"):
                sock.sendall(ask[path])
                stream.receive_exactly(sock, len(OK))
        stream.close_orderly(sock)

    seen = []
    for turn in range(5):
        scene.play(origin, client)
        lines = scene.requests(rounds * 2 * (turn + 1))[rounds * 2 * turn:]
        times = {uri: [line["last_byte_ms"] for line in lines if line["uri"] == uri]
                 for uri in ("/sleep", "/nosleep")}
        assert min(times["/sleep"]) >= 200, times
        seen.append(median(times["/sleep"]) - median(times["/nosleep"]))
        if 200 <= seen[-1] <= 215:
            break
    assert 200 <= seen[-1] <= 215, seen
    rows = {row["http.uri"]: row["http.request_response.latency"]
            for row in exact.status(scene.daemon, "requests")["series"]}
    assert rows["/sleep"]["min"] >= 200 and rows["/sleep"]["p50"] >= 200, rows
