# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests as a person and a program read them: ksplit-status and the access log of a real ksplitd
in front of nginx."""

import json

import pytest

from lib import clients
from lib.daemon import PROGRAM
from lib.env import wait_for
from lib.process import run

TOOL = PROGRAM.parent / "ksplit-status"
pytestmark = pytest.mark.needs("curl", "nginx")

SECRET = "s3cr3t-0123456789abcdef"


def status(daemon, *arguments):
    done = run(TOOL, "--control", daemon.control_path, "--json", *arguments)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def call(daemon, pki, http, path, times, *options):
    urls = ["https://origin.test:%d%s" % (daemon.port, path)] * (times - 1)
    clients.curl(daemon.port, path, pki.ca, http, *options, *urls, check=False)


@pytest.fixture
def observed(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"sampler": "user"})
    call(daemon, pki, "--http1.1", "/small.txt?token=" + SECRET, 20)
    call(daemon, pki, "--http2", "/small.txt?token=" + SECRET, 7)
    call(daemon, pki, "--http1.1", "/users/4711/" + SECRET, 3, "-H", "Cookie: " + SECRET)
    wait_for(lambda: status(daemon, "requests")["requests"] == 30, "30 requests to be counted")
    wait_for(lambda: len(daemon.request_log()) == 30, "30 requests to be logged")
    wait_for(lambda: len(daemon.access_log()) == 3, "3 connections to end")
    return daemon


def test_requests_are_told(observed, nginx):
    data = status(observed, "requests")
    found = {(row["http.version"], row["http.uri"], row["http.status_code"]):
             row["http.request_response.count"] for row in data["series"]}
    assert len(found) == 3, found
    assert found["1.1", "/small.txt?token", 200] == 20
    assert found["2", "/small.txt?token", 200] == 7
    assert [key[2] for key, count in found.items() if count == 3] == [404]
    for row in data["series"]:
        assert row["server.name"] == "origin.test"
        assert row["server.address"] == "127.0.0.1:%d" % nginx.port
        assert row["http.request_response.latency"]["count"] == row["http.request_response.count"]
        assert row["other"] is False
    size = nginx.SIZES["small.txt"]
    small = [row for row in data["series"] if row["http.uri"] == "/small.txt?token"]
    assert all(row["http.response.body_bytes"]["avg"] == size for row in small)
    top = status(observed, "requests", "--sort", "count", "--top", "1")["series"]
    assert [row["http.request_response.count"] for row in top] == [20]


def test_endpoints_are_told(observed, nginx):
    wait_for(lambda: status(observed, "endpoints")["endpoints"][0]["lifetime_ms"]["count"] == 3,
             "the ends of 3 connections to be counted")
    endpoint, = status(observed, "endpoints")["endpoints"]
    assert endpoint["server.address"] == "127.0.0.1:%d" % nginx.port
    assert (endpoint["requests"], endpoint["connections"]["total"]) == (30, 3)
    assert endpoint["connect_ms"]["count"] == 3
    assert endpoint["upstream_handshake_ms"]["p50"] > 0


def test_kernel_and_summary_tell_who_looks(observed):
    sampler = status(observed, "kernel")["sampler"]
    assert sampler["on"] is True
    assert {sampler["kernel_tls"], sampler["plain"], sampler["user"]} <= {"user", "none"}
    assert sampler["requests"] == status(observed)["observation"]["requests"] == 30


def test_requests_are_logged(observed):
    lines = observed.request_log()
    connections = {line["id"]: line for line in observed.access_log()}
    for line in lines:
        connection = connections[line["connection"]]
        assert line["client"] == connection["client"]
        assert line["upstream"] == connection["upstream"]
        assert line["sni"] == "origin.test"
        assert line["method"] == "GET"
        assert line["complete"] is True
        assert 0 <= line["first_byte_ms"] <= line["last_byte_ms"]
    assert sorted(line["http_version"] for line in lines) == ["1.1"] * 23 + ["2"] * 7
    assert sorted(line["status"] for line in lines) == [200] * 27 + [404] * 3


def test_a_long_path_is_said_to_be_cut(ksplitd, pki, nginx):
    """HTTP/1's first line is looked at as far as head_bytes; what is a piece of a name is not told."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port,
                     {"sampler": "user", "sampling": {"head_bytes": 64}})
    call(daemon, pki, "--http1.1", "/begin/" + 60 * "n" + "/end", 1)
    call(daemon, pki, "--http1.1", "/begin/end", 1)
    call(daemon, pki, "--http2", "/begin/" + 30 * "m" + "/" + 30 * "n", 1)
    wait_for(lambda: len(daemon.request_log()) == 3, "3 requests to be logged")
    assert {line["uri"]: line["path_cut"] for line in daemon.request_log()} == {
        "/begin/{...}": True, "/begin/end": False,
        "/begin/" + 30 * "m" + "/" + 30 * "n": False}
    assert {row["http.uri"] for row in status(daemon, "requests")["series"]} == \
        {line["uri"] for line in daemon.request_log()}


def test_secrets_are_nowhere(observed):
    """Query values, path segments like keys, headers."""
    assert SECRET not in observed.access_log_path.read_text()
    for command in ("requests", "endpoints", "connections", "kernel", "summary"):
        assert SECRET not in json.dumps(status(observed, command))
    assert SECRET not in observed.stderr()


def test_nobody_looks(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"sampler": "off"})
    call(daemon, pki, "--http1.1", "/small.txt", 3)
    wait_for(lambda: len(daemon.access_log()) == 1, "the connection to end")
    data = status(daemon, "requests")
    assert (data["on"], data["series"]) == (False, [])
    assert data["why"]
    assert status(daemon)["observation"]["on"] is False
    wait_for(lambda: [row["connections"]["total"]
                      for row in status(daemon, "endpoints")["endpoints"]] == [1],
             "the connection to be counted")
    assert daemon.request_log() == []


def test_request_lines_can_be_switched_off(ksplitd, pki, nginx):
    daemon = ksplitd("127.0.0.1:%d" % nginx.port,
                     {"sampler": "user", "access_log_requests": False})
    call(daemon, pki, "--http1.1", "/small.txt", 3)
    wait_for(lambda: status(daemon, "requests")["requests"] == 3, "3 requests to be counted")
    wait_for(lambda: len(daemon.access_log()) == 1, "the connection to end")
    assert daemon.request_log() == []
