# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules as ksplitd prints them, loaded where no ksplitd is: whoever listens in its place says what
reached it, and where that wanted to go."""

import ctypes
import json
import os
import select
import socket
import struct
import threading

from .daemon import PROGRAM
from .env import PATIENCE
from .netns import within
from .process import run

SO_ORIGINAL_DST = 80 # linux/netfilter_ipv4.h, and linux/netfilter_ipv6/ip6_tables.h
SO_MARK = 36
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
ANY = {4: "0.0.0.0", 6: "::"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def print_rules(folder, listeners, capture, language="nft"):
    """What `ksplitd --print-rules=LANGUAGE` prints for (address, destination) listeners and a
    "capture" section."""
    path = folder / "ksplit.json"
    path.write_text(json.dumps({
        "ca": {"cert": "/c.pem", "key": "/k.pem"}, "control": "/k.sock",
        "listeners": [{"listen": address, "to": to} for address, to in listeners],
        "capture": capture}))
    return run(PROGRAM, "-c", path, "--print-rules=" + language).stdout.decode()


def in_namespace(name, *argv, stdin="", check=True):
    """A command in a network namespace alone: `ip netns exec` would hide /sys/fs/cgroup."""
    return run("nsenter", "--net=/run/netns/" + name, *argv, stdin=stdin.encode(), check=check)


class Rules:
    """Rules of a namespace while the block lasts."""

    def __init__(self, namespace, text):
        self.namespace, self.text = namespace, text

    def __enter__(self):
        in_namespace(self.namespace, "nft", "-c", "-f", "-", stdin=self.text)
        in_namespace(self.namespace, "nft", "-f", "-", stdin=self.text)
        return self

    def __exit__(self, *exc):
        in_namespace(self.namespace, "nft", "flush", "ruleset")

    def packets(self, chain, table="ksplit"):
        """What the counters of a chain have seen."""
        listed = json.loads(in_namespace(self.namespace, "nft", "-j", "list", "chain", "inet",
                                         table, chain).stdout)
        return sum(part["counter"]["packets"] for item in listed["nftables"]
                   for part in item.get("rule", {}).get("expr", ()) if "counter" in part)


def listen(namespace, family, host, port, transparent=False):
    """A listening socket in a namespace."""
    def make():
        sock = socket.socket(FAMILY[family])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transparent and family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        elif transparent:
            sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        sock.bind((host, port))
        sock.listen()
        return sock
    return within(namespace, make)


def original_destination(sock):
    """(host, port) before a rule changed it; None when none did."""
    v6 = sock.family == socket.AF_INET6
    try:
        raw = sock.getsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, SO_ORIGINAL_DST,
                              28 if v6 else 16)
    except OSError:
        return None
    port = struct.unpack("!H", raw[2:4])[0]
    return socket.inet_ntop(sock.family, raw[8:24] if v6 else raw[4:8]), port


class Places:
    """Sockets that listen, by name; `reached_by(call)` tells which one a call got to."""

    def __init__(self, **places):
        self._places = places

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for sock in self._places.values():
            sock.close()

    def reached_by(self, call):
        """call() makes a connection. (name of the place, what `accept` gave)."""
        with call():
            ready, _, _ = select.select(list(self._places.values()), [], [], PATIENCE)
            assert len(ready) == 1, "%d places were reached" % len(ready)
            accepted, _ = ready[0].accept()
            with accepted:
                name = next(n for n, sock in self._places.items() if sock is ready[0])
                return name, original_destination(accepted), accepted.getsockname()[:2]


def call(namespace, family, host, port, user=None, mark=None, source=None):
    """A connection out of a namespace, by a user, with a mark, from an address."""
    def make():
        if user is not None:
            # Of this thread alone, which ends here; a socket belongs to who opens it.
            ctypes.CDLL(None).setfsuid(user)
        sock = socket.socket(FAMILY[family])
        if mark is not None:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        if source:
            sock.bind((source, 0))
        sock.settimeout(PATIENCE)
        sock.connect((host, port))
        return sock
    return within(namespace, make)


def refused_udp(namespace, family, host, port, user=None):
    """Does a datagram come back as "port unreachable"? Otherwise it must arrive at `port`, where a
    socket of the test echoes."""
    def ask():
        if user is not None:
            ctypes.CDLL(None).setfsuid(user)
        with socket.socket(FAMILY[family], socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((host, port))
            try:
                sock.send(b"quic?")
                return sock.recv(16) != b"quic?"
            # What this host itself sends is refused before it goes out: ip_send_skb() says EPERM.
            except (ConnectionRefusedError, PermissionError):
                return True
    return within(namespace, ask)


class Echo:
    """Answers datagrams in a namespace while the block lasts."""

    def __init__(self, namespace, family, host, port):
        def make():
            sock = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
            sock.bind((host, port))
            return sock
        self._sock = within(namespace, make)
        self._end, self._told = os.pipe()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        while True:
            ready, _, _ = select.select([self._sock, self._end], [], [])
            if self._end in ready:
                return
            data, peer = self._sock.recvfrom(64)
            self._sock.sendto(data, peer)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        os.write(self._told, b".")
        self._thread.join()
        self._sock.close()
        os.close(self._end)
        os.close(self._told)


def cgroup2_mount():
    """Where the cgroup2 file system is."""
    for line in open("/proc/self/mounts", encoding="ascii", errors="replace"):
        words = line.split()
        if words[2] == "cgroup2":
            return words[1]
    raise AssertionError("no cgroup2 file system is mounted")


CALLER = """
import socket, sys
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
sock = socket.create_connection((sys.argv[2], int(sys.argv[3])), float(sys.argv[4]))
sys.stdin.read()
"""


def cgroup_caller(namespace, cgroup, host, port):
    """argv of a program that calls out of a cgroup and keeps the connection until its input ends."""
    return ["nsenter", "--net=/run/netns/" + namespace, "python3", "-c", CALLER, cgroup, host,
            str(port), str(PATIENCE)]


