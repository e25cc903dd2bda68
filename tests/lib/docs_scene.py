# SPDX-License-Identifier: GPL-2.0-or-later
"""The world in which a page's commands are tried: a host, a client behind it, an origin before it.

    client 10.77.1.2, fd77:1::2 --- host --- origin www.example.com 10.77.2.2, fd77:2::2
"""

import contextlib
import json
import re

from .docs_machine import TREE, Machine
from .env import wait_for
from .netns import Row
from .nginx import NginxProgram
from .process import run


def within(netns):
    """What a command line begins with that is for this network namespace."""
    return ["nsenter", "--net=/run/netns/" + netns]


PUBLIC, INTERNAL = ("www.example.com", "app.example.com"), ("app.internal",)
ROOT_CA = "Example Trust Root"

ORIGIN = """
	server {{
		listen {v4}:80;
		listen [{v6}]:80;
		listen {v4}:443 ssl;
		listen [{v6}]:443 ssl;
		listen {v4}:8443 ssl;
		listen [{v6}]:8443 ssl;
		ssl_certificate {prefix}/public.pem;
		ssl_certificate_key {prefix}/public.key;
		location / {{ return 200 "hello from the origin\\n"; }}
	}}
	server {{
		listen {v4}:8443 ssl;
		listen [{v6}]:8443 ssl;
		server_name app.internal;
		ssl_certificate {prefix}/internal.pem;
		ssl_certificate_key {prefix}/internal.key;
		location / {{ return 200 "hello from the service\\n"; }}
	}}
"""

# What most pages have in mind: a host on which ksplitd is installed.
CONFIGURATION = {
    "ca": {"cert": "/etc/ksplit/ca.pem", "key": "/etc/ksplit/ca.key"},
    "listeners": [{"listen": "127.0.0.1:8443", "to": "original"},
                  {"listen": "[::1]:8443", "to": "original"}],
    "capture": {"outgoing": {"ports": [443]}},
    "metrics": {"prometheus": "127.0.0.1:9464"},
    "access_log": "/var/log/ksplit/access.json",
}
# Programs of BPF are verified at each start, which most pages need not wait for.
LIGHT = {"sampler": "user", "sampling": {"timings": False, "processes": False}}

EC = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


def make_certificates(folder):
    """ca.pem, a CA, and the origin's by it: public.pem, internal.pem."""
    run("sh", "-euc", """
        openssl req -x509 {ec} -keyout ca.key -out ca.pem -days 30 \
            -subj "/O=Example Trust/CN={ca}" -addext keyUsage=critical,keyCertSign,cRLSign
        issue() {{
            openssl req -new {ec} -keyout "$1.key" -out "$1.csr" -subj "/O=Example/CN=$1"
            echo "subjectAltName=$2" >"$1.ext"
            openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 \
                -extfile "$1.ext" -out "$1.pem"
        }}
        issue public {public}
        issue internal {internal}
        """.format(ec=EC, ca=ROOT_CA, public=",".join("DNS:" + name for name in PUBLIC),
                   internal=",".join("DNS:" + name for name in INTERNAL)), cwd=folder)


class World:
    """Namespaces and origin, for all scenes one after the other."""

    def __init__(self, folder):
        self.folder = folder
        make_certificates(folder)
        self.row = Row()
        try:
            self._nginx = NginxProgram(folder, ORIGIN, (80, 443, 8443), within(self.row.origin),
                                       v4=Row.ORIGIN[4], v6=Row.ORIGIN[6])
        except BaseException:
            self.row.close()
            raise

    def close(self):
        self._nginx.close()
        self.row.close()


class Scene:
    """Machines of one page; they are made when they are first asked for."""

    def __init__(self, world, folder):
        self.world, self._folder = world, folder
        self._machines, self._programs = {}, []

    def machine(self, name):
        if name not in self._machines:
            netns = {"host": self.world.row.gateway, "client": self.world.row.client}[name]
            made = self._machines[name] = Machine(self._folder / name, netns)
            self._furnish(made)
        return self._machines[name]

    @property
    def host(self):
        return self.machine("host")

    def _furnish(self, machine):
        """Programs, names, users, and a trust store with one CA, so that it is soon read."""
        hosts = "".join("%s %s\n" % (address, name) for address in Row.ORIGIN.values()
                        for name in PUBLIC + INTERNAL)
        machine.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" + hosts)
        machine.write("/usr/local/share/ca-certificates/origin.crt",
                      (self.world.folder / "ca.pem").read_text())
        machine.run("""
            ln -s {tree}/build/ksplit* /usr/local/sbin/
            echo app:x:901:901::/:/bin/sh >>/etc/passwd
            rm -rf /etc/ssl/certs/* /etc/ca-certificates/update.d/* /etc/ksplit
            : >/etc/ca-certificates.conf
            update-ca-certificates
            rm -f /tmp/ksplit-ca.crt""".format(tree=TREE))

    def configure(self, **more):
        """A CA and a configuration in /etc/ksplit, as files and sections of all pages have it."""
        self.host.run("ksplit-ca init && mkdir -p /var/log/ksplit")
        self.host.write("/etc/ksplit/ksplit.json", json.dumps(dict(CONFIGURATION, **more)))

    def start(self, calls=2, settings=None):
        """The same with ksplitd, which has seen some calls."""
        self.configure(**(LIGHT if settings is None else settings))
        self.host.run("ksplitd")
        wait_for(lambda: re.match("Capture +on ", self.host.run("ksplit-status capture").text),
                 "calls to be captured")
        for _ in range(calls):
            self.host.run("curl -sS --cacert /etc/ksplit/ca.pem -o /dev/null "
                          "https://www.example.com/")

    def pid(self):
        """ksplitd's, as its machine counts."""
        return self.host.run("pgrep -o -x ksplitd").stdout.decode().strip()

    def serve(self, command, at="host"):
        """A command that goes on until the scene is over."""
        self._programs.append(self.machine(at).serve(command))

    def watch(self, command):
        """A command that prints again and again; test_status_watch.py sees that it does."""
        program = self.host.program(command)
        self._programs.append(program)
        wait_for(program.text, "%s to print" % command)

    def hold_call(self):
        """A connection that stays open after a request."""
        program = self.host.program("socat - TCP:www.example.com:80")
        self._programs.append(program)
        program.say("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
        program.expect("hello from the origin")

    def copy(self, name, machine):
        """A file of the host to another machine."""
        self.machine(machine).write(name, self.host.path(name).read_text())

    def close(self):
        # All processes of a machine end with it.
        for machine in self._machines.values():
            machine.close()
        for program in self._programs:
            program.end()
        with contextlib.suppress(AssertionError):
            run(*within(self.world.row.gateway), "nft", "flush", "ruleset")
        for family in ("-4", "-6"):
            self._flush_routing(family)

    def _flush_routing(self, family):
        """Rules of routing and tables that a page has made and not taken away."""
        ip = ["ip", "-n", self.world.row.gateway, family]
        for line in run(*ip, "rule").stdout.decode().splitlines():
            found = re.match(r"(\d+):\tfrom all fwmark .* lookup (\S+)", line)
            if found:
                run(*ip, "rule", "del", "pref", found[1])
                run(*ip, "route", "flush", "table", found[2], check=False)
