# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplitd that captures by rules of its own, on the gateway of a row of namespaces
(lib/netns.py), with nginx behind it and curl on both sides."""

import json
import os
import re
import signal
import subprocess

from .daemon import CONTROL_VERSION, Ksplitd, ask_control
from .env import BUILD, wait_for
from .netns import Row
from .nginx import NginxProgram
from .process import ENV, run

STATUS = BUILD / "ksplit-status"
TABLE = "ksplit"
WATCHDOG_MS = 1500
QUICK = {"sampler": "user", "sampling": {"timings": False, "processes": False}}

HTTP = """
	server {{
		listen {v4}:443 ssl;
		listen [{v6}]:443 ssl;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		location / {{ return 200 "$remote_addr\\n"; }}
	}}
"""


def within(name, *argv):
    """A command line for a namespace. Unlike ip-netns(8) it leaves /sys as it is."""
    return ["nsenter", "--net=/run/netns/" + name, *[str(a) for a in argv]]


class Site:
    """The row with its origin, and what can be asked of it."""

    def __init__(self, folder, pki):
        self.row = Row()
        self.pki = pki
        self._both = pki.both_authorities().cert
        self._origin = None
        try:
            self._origin = NginxProgram(folder, HTTP, (443,), within(self.row.origin),
                                        v4=Row.ORIGIN[4], v6=Row.ORIGIN[6],
                                        certificate=pki.origin)
        except BaseException:
            self.row.close()
            raise

    def close(self):
        self._origin.close()
        self.row.close()

    def issuer(self, family=4, place=None, prefix=(), authority=None):
        """A call of curl from `place` (default: the gateway itself), after `prefix` on its command
        line: "ksplit" or "origin", by whose leaf it got; else curl's own words. `authority`: whom
        alone it trusts."""
        host = Row.ORIGIN[family] if family == 4 else "[%s]" % Row.ORIGIN[family]
        trusted = authority.cert if authority else self._both
        done = run(*within(place or self.row.gateway, *prefix, "curl", "-sS", "--max-time", 20,
                           "--noproxy", "*", "--cacert", trusted,
                           "--connect-to", "origin.test:443:%s:443" % host,
                           "-o", "/dev/null", "-w", "%{http_code}\n%{certs}",
                           "https://origin.test/"), check=False)
        text = done.stdout.decode(errors="replace")
        if done.returncode or not text.startswith("200"):
            return "curl: %d %s" % (done.returncode, done.stderr.decode(errors="replace"))
        issuer = re.search(r"^Issuer:(.*)$", text, re.MULTILINE).group(1)
        return {"ksplit test CA": "ksplit", "origin CA": "origin"}[issuer.rpartition("= ")[2]]

    def kernel_tls(self):
        """Sockets of the gateway that got receive and transmit keys so far
        (Documentation/networking/tls.rst)."""
        text = run(*within(self.row.gateway, "cat", "/proc/net/tls_stat")).stdout.decode()
        counts = dict(line.split() for line in text.splitlines())
        return int(counts["TlsRxSw"]), int(counts["TlsTxSw"])

    def nft(self, *words):
        return run(*within(self.row.gateway, "nft", *words)).stdout.decode()

    def rules(self):
        """The whole ruleset of the gateway, without counts."""
        return self.nft("-s", "list", "ruleset")

    def table(self):
        return "table inet %s\n" % TABLE in self.nft("list", "tables")

    def capturing(self):
        """Is anything led to ksplitd?"""
        ours = self.nft("list", "ruleset").partition("table inet %s {" % TABLE)[2]
        ours = ours.partition("\n}\n")[0]
        return "redirect to" in ours or "tproxy " in ours

    def captured(self):
        """How many connections rules have led to ksplitd."""
        listing = self.nft("list", "table", "inet", TABLE)
        return sum(int(count) for count in re.findall(
            r"counter packets (\d+) .*(?:redirect|tproxy)", listing))


class Capturing(Ksplitd):
    """ksplitd on the gateway. `capture`: the section; its listeners are on `hosts`, one port, each
    leads to `to` (a dictionary: with more members)."""

    def __init__(self, site, capture, to="original", hosts=("127.0.0.1", "[::1]"), prefix=(),
                 settings=None, options=(), folder=None):
        super().__init__(site.pki, to, dict(QUICK, **(settings or {})), options=options,
                         folder=folder, prefix=within(site.row.gateway) + list(prefix))
        self.site = site
        self.config["capture"] = dict({"watchdog": WATCHDOG_MS, "table": TABLE}, **capture)
        self.config["listeners"] = [
            dict(to if isinstance(to, dict) else {"to": to}, listen="%s:%d" % (host, self.port))
            for host in hosts]

    def start(self):
        super().start()
        if "capture" not in self.config:
            return self
        try:
            self.wait_state("on", "failed")
        except BaseException:
            self.kill()
            raise
        return self

    def capture(self, action=None):
        """The data of a control command `capture`."""
        request = {"version": CONTROL_VERSION, "command": "capture"}
        if action:
            request["action"] = action
        answer = ask_control(self.control_path, request)
        assert answer["ok"], answer
        return answer["data"]

    def wait_state(self, *states):
        """Until capture is in one of these states; what is told of it then."""
        def look():
            told = self.capture()
            return told if told["state"] in states else None

        return wait_for(look, lambda: "capture to be %s: %s\n%s" % (
            "/".join(states), self.capture(), self.tail()))

    def tool(self, *words):
        """ksplit-status: (exit code, what it printed)."""
        done = subprocess.run([STATUS, "--control", self.control_path, *words], text=True, env=ENV,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def tool_json(self, *words):
        code, text = self.tool("--json", *words)
        return code, json.loads(text) if text.startswith("{") else text

    def wait_table(self, there):
        wait_for(lambda: self.site.table() == there,
                 lambda: "the table to be %s\n%s" % ("there" if there else "gone", self.tail()))

    def wait_capturing(self, wanted):
        wait_for(lambda: self.site.capturing() == wanted,
                 lambda: "calls to be captured: %s\n%s" % (wanted, self.tail()))

    def signal(self, number):
        os.kill(self.pid, number)

    def resume(self):
        """After SIGSTOP, whatever became of the test."""
        if self.running():
            self.signal(signal.SIGCONT)
