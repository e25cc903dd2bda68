# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces: a client's, a gateway's (where ksplitd runs) and an origin's, in a row.

    client 10.77.1.2, fd77:1::2 --- gateway --- origin 10.77.2.2, fd77:2::2
"""

import ctypes
import os
import socket
import threading

from .process import run

CLONE_NEWNET = 0x40000000


def within(name, action):
    """action() on a thread inside the namespace; sockets that it makes stay there (setns(2))."""
    result = {}

    def work():
        try:
            fd = os.open("/run/netns/" + name, os.O_RDONLY)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            result["value"] = action()
        except BaseException as exc:  # noqa: B902 - raised in the caller's thread below
            result["error"] = exc

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


class Row:
    """The three namespaces; `close` takes everything away again."""

    ORIGIN = {4: "10.77.2.2", 6: "fd77:2::2"}

    def __init__(self):
        tag = "kst%d" % os.getpid()
        self.client, self.gateway, self.origin = (tag + end for end in ("c", "g", "o"))
        self._made = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        for name in (self.client, self.gateway, self.origin):
            run("ip", "netns", "add", name)
            self._made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for number, end in ((1, self.client), (2, self.origin)):
            run("ip", "link", "add", "veth0", "netns", end, "type", "veth",
                "peer", "name", "veth%d" % number, "netns", self.gateway)
            for name, dev, host in ((end, "veth0", 2), (self.gateway, "veth%d" % number, 1)):
                run("ip", "-n", name, "addr", "add", "10.77.%d.%d/24" % (number, host),
                    "dev", dev)
                run("ip", "-n", name, "addr", "add", "fd77:%d::%d/64" % (number, host),
                    "dev", dev, "nodad")
                run("ip", "-n", name, "link", "set", dev, "up")
            run("ip", "-n", end, "route", "add", "default", "via", "10.77.%d.1" % number)
            run("ip", "-n", end, "-6", "route", "add", "default", "via", "fd77:%d::1" % number)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.run("sysctl", "-q", "-w", key + "=1")

    def run(self, *argv, stdin=b""):
        """A command in the gateway's namespace."""
        return run("ip", "netns", "exec", self.gateway, *argv, stdin=stdin)

    def rules(self, text):
        """nftables rules of the gateway."""
        self.run("nft", "-f", "-", stdin=text.encode())

    def clear_rules(self):
        self.run("nft", "flush", "ruleset")

    def listen(self, family, port):
        """A listening socket of the origin."""
        address = (self.ORIGIN[family], port)
        return within(self.origin, lambda: socket.create_server(
            address, family=socket.AF_INET6 if family == 6 else socket.AF_INET))

    def connect(self, host, port, timeout):
        """A TCP connection of the client."""
        return within(self.client, lambda: socket.create_connection((host, port), timeout))

    def close(self):
        for name in self._made:
            run("ip", "netns", "del", name, check=False)
