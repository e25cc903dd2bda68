# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenTelemetry Collector itself: tests/otlp/collector builds it."""

import json
import os
import subprocess

from .env import ROOT, free_port
from .process import ServerProgram, run

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


class OtelCollector(ServerProgram):
    """Takes OTLP/HTTP at `url` and hands it on, in protobuf, before it answers: what it accepted,
    `target` has."""

    def __init__(self, program, target, folder):
        port = free_port()
        self.url = "http://127.0.0.1:%d/v1/metrics" % port
        config = folder / "otel-collector.yaml"
        config.write_text(json.dumps(self._config(target, port)))
        super().__init__("the collector", port, program, "--config=file:%s" % config)

    @staticmethod
    def _config(target, port):
        """JSON is YAML."""
        direct = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}
        return {
            "receivers": {"otlp": {"protocols": {
                "http": {"endpoint": "127.0.0.1:%d" % port}}}},
            "exporters": {"otlp_http": dict(direct, metrics_endpoint=target, compression="none")},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["otlp_http"]}}}}
