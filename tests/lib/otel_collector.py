# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenTelemetry Collector itself: tests/otlp/collector builds it."""

import json
import os
import subprocess

from .env import ROOT, free_port, wait_for
from .process import ENV, Program, proc_listens, run

SCRIPT = ROOT / "tests/otlp/collector"
BUILD_SECONDS = 1800


def to_be_had():
    """It is made from a suite that moves, so it must not decide over CI: that uses one that has
    been built on its machine before. Everybody else builds it."""
    if os.environ.get("CI") != "true":
        return True
    return subprocess.run([SCRIPT, "--built"], stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0


def build():
    """(path of the program, "") or (None, why not)."""
    made = run(SCRIPT, check=False, timeout=BUILD_SECONDS)
    if made.returncode == 0:
        return made.stdout.decode().strip(), ""
    return None, made.stderr.decode(errors="replace")[-1000:]


class OtelCollector:
    """Takes OTLP/HTTP at `url` and hands it on, in protobuf, before it answers: what it accepted,
    `target` has."""

    def __init__(self, program, target, folder):
        self.port = free_port()
        self.url = "http://127.0.0.1:%d/v1/metrics" % self.port
        config = folder / "otel-collector.yaml"
        config.write_text(json.dumps(self._config(target)))
        self._program = Program(program, "--config=file:%s" % config, env=dict(ENV))
        try:
            wait_for(self._listening, lambda: "the collector to listen: %s" % self.text())
        except BaseException:
            self.close()
            raise

    def _config(self, target):
        """JSON is YAML."""
        direct = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}
        return {
            "receivers": {"otlp": {"protocols": {
                "http": {"endpoint": "127.0.0.1:%d" % self.port}}}},
            "exporters": {"otlp_http": dict(direct, metrics_endpoint=target, compression="none")},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["otlp_http"]}}}}

    def _listening(self):
        if self._program.process.poll() is not None:
            raise AssertionError("the collector ended:\n%s" % self.text())
        return proc_listens(self._program.pid, self.port)

    def text(self):
        return self._program.text()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._program.end()
