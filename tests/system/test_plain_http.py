# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP in plain TCP: it goes raw, and is told of like that of intercepted connections, as `http`."""

import pytest

from lib import env, exact, metrics
from lib.nginx import NginxProgram
from lib.process import run

pytestmark = pytest.mark.needs("nginx", "curl")

HTTP = """
	server {{
		listen 127.0.0.1:{plain};
		listen 127.0.0.1:{h2c} http2;
		listen 127.0.0.1:{tls} ssl http2;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		location / {{ return 200 "here\\n"; }}
	}}
"""


@pytest.fixture
def ports(tmp_path, pki):
    """nginx: HTTP/1 in plain, HTTP/2 in plain (h2c by prior knowledge), TLS."""
    ports = [env.free_port() for _ in range(3)]
    nginx = NginxProgram(tmp_path / "nginx", HTTP, ports, plain=ports[0], h2c=ports[1],
                         tls=ports[2], certificate=pki.origin)
    yield ports
    nginx.close()


def call(daemon, pki, number, scheme, *options):
    port = daemon.ports[number]
    return run("curl", "--silent", "--show-error", "--max-time", int(env.PATIENCE),
               "--noproxy", "*", "--cacert", pki.ca.cert, *options,
               "--resolve", "origin.test:%d:127.0.0.1" % port,
               "-w", "%{http_version}", "%s://origin.test:%d/it" % (scheme, port)).stdout.decode()


def test_plain_http_and_tls_side_by_side(ksplitd, ports, pki):
    """The same call over HTTP/1, h2c and TLS: series of their own, with the scheme in every export."""
    metrics_port = env.free_port()
    daemon = ksplitd(["127.0.0.1:%d" % port for port in ports],
                     {"metrics": {"prometheus": "127.0.0.1:%d" % metrics_port}})
    assert call(daemon, pki, 0, "http") == "here\n1.1"
    assert call(daemon, pki, 1, "http", "--http2-prior-knowledge") == "here\n2"
    assert call(daemon, pki, 2, "https") == "here\n2"
    lines = daemon.wait_log(count=3)
    assert sorted((line["mode"], line["pass_reason"]) for line in lines) == [
        ("intercept", None), ("pass", "not_tls"), ("pass", "not_tls")], lines
    requests = env.wait_for(lambda: (lambda rows: len(rows) == 3 and rows)(daemon.request_log()),
                            lambda: "three requests\n%s" % daemon.tail())
    wanted = [("http", "1.1"), ("http", "2"), ("https", "2")]
    assert sorted((row["scheme"], row["http_version"]) for row in requests) == wanted
    assert {(row["uri"], row["status"], row["host"].split(":")[0]) for row in requests} == {
        ("/it", 200, "origin.test")}
    rows = exact.status(daemon, "requests")["series"]
    assert sorted((row["url.scheme"], row["http.version"]) for row in rows) == wanted
    assert {row["server.name"] for row in rows} == {"origin.test"}
    told = run(exact.TOOL, "--control", daemon.control_path, "requests").stdout.decode()
    assert told.count("GET http://origin.test/it") == 2, told
    assert told.count("GET origin.test/it") == 1, told
    samples = metrics.parse(metrics.get(metrics_port, "/metrics")[2])
    for scheme, version in wanted:
        assert metrics.total(samples, "ksplit_http_requests_total", url_scheme=scheme,
                             network_protocol_version=version) == 1
    assert metrics.total(samples, "http_client_request_duration_seconds_count",
                         url_scheme="http", tls_protocol_version="1.3") == 0
