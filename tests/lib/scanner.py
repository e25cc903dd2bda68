# SPDX-License-Identifier: GPL-2.0-or-later
"""testssl.sh, and what it finds."""

import json

from .env import PATIENCE
from .process import Program

# Protocols, classes of ciphers, what a server does by default, and those weaknesses that are found
# out by a few connections: Heartbleed, CCS injection, Ticketbleed, renegotiation, CRIME, SWEET32,
# downgrade.
CHECKS = ("--protocols", "--std", "--server-defaults", "--heartbleed", "--ccs-injection",
          "--ticketbleed", "--renegotiation", "--compression", "--sweet32", "--tls-fallback")
SEVERITIES = ("OK", "INFO", "WARN", "LOW", "MEDIUM", "HIGH", "CRITICAL")


class Finding:
    def __init__(self, severity, text):
        self.severity, self.text = severity, text

    def __repr__(self):
        return "%s: %s" % (self.severity, self.text)

    def badness(self):
        return SEVERITIES.index(self.severity)


def worst(findings, least="OK"):
    """Of these, and not less than `least`."""
    return max([found.badness() for found in findings] + [SEVERITIES.index(least)])


class Scan:
    """A scan of 127.0.0.1:port under the name origin.test, in the background."""

    def __init__(self, folder, port):
        self._file = folder / ("scan-%d.json" % port)
        self._program = Program("testssl", "--quiet", "--color", "0", "--warnings", "off",
                                "--ip", "127.0.0.1", "--nodns", "none", "--jsonfile", self._file,
                                *CHECKS, "origin.test:%d" % port, group=True)
        self._program.close_input()

    def findings(self):
        """{id: [Finding]}, when it has ended. Of a server with certificates of several kinds of keys,
        as ksplitd is one for clients without ECDSA, there is one of each, "ID <cert#1>"."""
        self._program.wait(5 * PATIENCE)
        told = json.loads(self._file.read_text())
        assert len(told) > 30, self._program.text()
        findings = {}
        for found in told:
            findings.setdefault(found["id"].split(" <cert#")[0], []).append(
                Finding(found["severity"], found["finding"]))
        return findings

    def close(self):
        self._program.end()
