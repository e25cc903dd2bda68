# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-doctor, run to its end, and what it found."""

import json

from .env import BUILD
from .process import ENV, run

TOOL = BUILD / "ksplit-doctor"
VERDICTS = ("ok", "warn", "fail", "not_tried")
EXIT = {"fail": 2, "warn": 1}


class Diagnosis:
    """What --json says; `code` is the exit code."""

    def __init__(self, done):
        self.code = done.returncode
        self.json = json.loads(done.stdout)
        self.findings = self.json["findings"]

    def of(self, check):
        return [finding for finding in self.findings if finding["check"] == check]

    def one(self, check):
        found = self.of(check)
        assert len(found) == 1, found
        return found[0]


def call(*arguments, prefix=(), env=None):
    """Run it; CompletedProcess with text."""
    done = run(*prefix, TOOL, *arguments, check=False, env=dict(ENV, **(env or {})))
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def diagnose(*arguments, prefix=(), env=None):
    done = call("--json", *arguments, prefix=prefix, env=env)
    assert done.stderr == "", done.stderr
    return Diagnosis(done)


def only(check, *arguments, **more):
    """The one finding of one check."""
    return diagnose("--only", check, *arguments, **more).one(check)
