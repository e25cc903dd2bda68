# SPDX-License-Identifier: GPL-2.0-or-later
"""A link of lib/netns.py's row that takes its time, and counts the round trips on it.

Frames are carried from one end to the other by this process, each `delay` seconds after it came: so
everything is late, TCP's own set-up and ACKs as well, on any kernel (tc-netem(8) is not in each).
"""

import os
import select
import socket
import struct
import threading
import time
from collections import deque

from .netns import within
from .process import run

ETH_P_ALL, SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 3, 263, 15, 4
# With each frame goes what offloading has left undone: checksums, segments (struct virtio_net_hdr).
VNET_HDR, ETH_HDR = 10, 14
SYN, ACK = 0x02, 0x10
FRAME = 1 << 17


def _packet_socket(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((device, 0))
    return sock


def parse_tcp(frame):
    """(source, destination, flags, sequence number, bytes of data) of TCP over IPv4, or None."""
    ip = frame[ETH_HDR:]
    if frame[12:ETH_HDR] != b"\x08\x00" or len(ip) < 20 or ip[9] != socket.IPPROTO_TCP:
        return None
    tcp = ip[(ip[0] & 15) * 4:struct.unpack_from("!H", ip, 2)[0]]
    source, destination, number = struct.unpack_from("!HHI", tcp)
    return ((ip[12:16], source), (ip[16:20], destination), tcp[13], number,
            len(tcp) - (tcp[12] >> 4) * 4)


class Trips:
    """What was said on a link: a list of flights, whatever the time between them.

    Only what is new counts, a SYN or bytes that were not seen before: neither what TCP sends again
    nor a bare ACK is a flight. What waits for a bare ACK (Nagle) is not seen, therefore.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._ends = {}         # (caller, called): where new bytes begin, of each direction
        self._said = []         # [from the caller?, its connection, SYN or bytes]

    def begin(self):
        """Forget all that there was, and connections that there are."""
        with self._lock:
            self._ends.clear()
            self._said.clear()

    def see(self, frame):
        parsed = parse_tcp(frame)
        if not parsed:
            return
        source, destination, flags, number, size = parsed
        with self._lock:
            if flags & (SYN | ACK) == SYN:
                self._ends.setdefault((source, destination), {})
            caller = (source, destination) in self._ends
            call = (source, destination) if caller else (destination, source)
            ends = self._ends.get(call)
            end = number + size + (flags & SYN > 0)
            if ends is None or end == number:
                return
            if caller not in ends or 0 < (end - ends[caller]) & 0xffffffff < 1 << 31:
                ends[caller] = end
                self._said.append((caller, call[0][1], "SYN" if flags & SYN else size))

    def said(self):
        with self._lock:
            return list(self._said)

    def count(self):
        """How often an answer was waited for."""
        ways = [caller for caller, _, _ in self.said()]
        return sum(asked and not answered for asked, answered in zip(ways, ways[1:]))


class Wire:
    """Cut into the link `number` of a row (1: to the client, 2: to the origin), at the gateway's
    end. `delay` can be set at any time, `trips` is what was said."""

    def __init__(self, row, number):
        self.delay, self.trips = 0.0, Trips()
        self._name = "%sw%d" % (row.gateway, number)
        self._thread, self._sockets = None, []
        run("ip", "netns", "add", self._name)
        try:
            self._cut(row.gateway, "veth%d" % number, number)
            for device in ("far", "near"):
                run("ip", "-n", self._name, "link", "set", device, "up")
                self._sockets.append(within(self._name, lambda: _packet_socket(device)))
        except BaseException:
            self.close()
            raise
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _cut(self, gateway, device, number):
        # Taken out of the gateway it loses its addresses; its successor gets them.
        run("ip", "-n", gateway, "link", "set", device, "netns", self._name, "name", "far")
        run("ip", "link", "add", device, "netns", gateway, "type", "veth",
            "peer", "name", "near", "netns", self._name)
        run("ip", "-n", gateway, "addr", "add", "10.77.%d.1/24" % number, "dev", device)
        run("ip", "-n", gateway, "addr", "add", "fd77:%d::1/64" % number, "dev", device, "nodad")
        run("ip", "-n", gateway, "link", "set", device, "up")

    def _carry(self):
        under_way = deque()     # (due, socket, frame)
        others = dict(zip(self._sockets, reversed(self._sockets)))
        while True:
            left = max(0, under_way[0][0] - time.monotonic()) if under_way else None
            ready = select.select(self._sockets + [self._wake], [], [], left)[0]
            if self._wake in ready:
                return
            for sock in ready:
                frame, address = sock.recvfrom(FRAME)
                if address[2] != PACKET_OUTGOING:
                    self.trips.see(frame[VNET_HDR:])
                    under_way.append((time.monotonic() + self.delay, others[sock], frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, sock, frame = under_way.popleft()
                try:
                    sock.send(frame)
                except OSError:
                    pass        # lost, as on any wire: TCP sends it again

    def close(self):
        if self._thread:
            os.close(self._stop)
            self._thread.join()
            os.close(self._wake)
        for sock in self._sockets:
            sock.close()
        run("ip", "netns", "del", self._name, check=False)
