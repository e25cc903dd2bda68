# SPDX-License-Identifier: GPL-2.0-or-later
"""OTLP exports: read by the published schema, stored by a real database, and a collector that
fails in all the ways it can. Sums are cumulative: whatever happens on the way, in the end they are
exact."""

import json

import pytest

from lib import metrics, otel_collector, otlp
from lib.daemon import PROGRAM
from lib.env import free_port, wait_for
from lib.process import run
from lib.otel_collector import OtelCollector

DURATIONS = "http.client.request.duration", "http.server.request.duration"


@pytest.fixture(scope="session")
def tools():
    return otlp.fetch()


@pytest.fixture(scope="session")
def schema(tools, scratch):
    return otlp.Schema(tools / "include", scratch / "otlp-schema")


@pytest.fixture
def collector(schema):
    with otlp.Collector(schema) as receiver:
        yield receiver


def service(number):
    return "service%d.example" % number


def test_schema_check_can_fail(schema):
    """The judge itself: what OTLP's JSON encoding forbids is refused."""
    point = {"timeUnixNano": "5", "asInt": "1"}

    def request(point=point, temporality=2, key="dataPoints"):
        return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "a", "sum": {"aggregationTemporality": temporality, key: [point]}}]}]}]})

    assert schema.read(request())
    for bad in (request(dict(point, asInt=1)), request(dict(point, timeUnixNano=5)),
                request(temporality="AGGREGATION_TEMPORALITY_CUMULATIVE"),
                request(temporality=9), request(key="data_points"),
                request(dict(point, whatever=1)), request(dict(point, attributes={"a": "b"}))):
        with pytest.raises(AssertionError):
            schema.read(bad)


def test_exports_follow_the_schema(collector):
    with otlp.Feed(collector.url) as feed:
        feed.add(0, 5)
        feed.add(1, 7)
        collector.wait_totals("ksplit.http.requests", {service(0): 5, service(1): 7})
        feed.close()
    collector.check()
    request = collector.accepted[-1]
    resource = otlp.attributes(request.resource_metrics[0].resource)
    assert resource["service.name"] == "ksplit"
    assert resource["process.pid"] == feed.program.pid
    found = otlp.metrics(request)
    for name, uri in zip(DURATIONS, ("url.template", "http.route")):
        point, = otlp.points(found[name])
        assert found[name].unit == "s"
        attributes = otlp.attributes(point)
        assert attributes[uri] == "/things/{number}"
        assert attributes["http.response.status_code"] == 200
        assert attributes["server.port"] == 443
        assert attributes["network.protocol.version"] == "2"
        assert point.min == point.max == 0.02
    _, path, headers = collector.asked[0]
    assert path == "/v1/metrics"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("ksplit/")


# service: count, microseconds.
FIGURES = ((40, 3000), (30, 40000), (20, 700000), (10, 20000000))


def add_figures(feed):
    for number, (count, us) in enumerate(FIGURES):
        feed.add(number, count, us)


def check_figures(database):
    """The database's answers to queries are what `add_figures` added."""
    database.flush()

    def value(expression):
        (_, number), = database.query(expression)
        return number

    assert value('sum({__name__="ksplit.http.requests"})') == 100
    assert value('{__name__="ksplit.http.requests","server.address"="%s"}' % service(2)) == 20
    assert value('sum({__name__="http.client.request.duration_count"})') == 60
    assert value('sum({__name__="http.server.request.duration_count"})') == 40
    assert value('{__name__="http.client.request.duration_sum",'
                 '"server.address"="%s"}' % service(2)) == pytest.approx(14)
    assert value('sum({__name__="http.client.request.duration_bucket",le="0.005"})') == 40
    assert value('sum({__name__="http.client.request.duration_bucket",le="0.75"})') == 60
    assert value('sum({__name__="http.server.request.duration_bucket",le="10"})') == 30
    assert value('sum({__name__="http.server.request.duration_bucket",le="+Inf"})') == 40
    assert value('sum({__name__="ksplit.http.response.bytes"})') == 100 * 1000
    labels, _ = database.query('{__name__="http.client.request.duration_count",'
                               '"url.template"="/things/{number}"}')[0]
    assert labels["service.name"] == "ksplit"
    assert labels["http.request.method"] == "GET"


def test_a_database_answers_with_the_right_numbers(collector, tools, tmp_path):
    """ksplit's JSON, read by the schema, in protobuf into VictoriaMetrics, asked in PromQL."""
    with otlp.VictoriaMetrics(tools, tmp_path / "data") as database:
        with otlp.Feed(collector.url) as feed:
            add_figures(feed)
            feed.close()
        collector.check()
        for request in collector.accepted:
            database.write(request)
        check_figures(database)


class TestOpenTelemetryCollector:
    """The OpenTelemetry Collector's own receiver reads ksplit's JSON; its exporter fills the
    database."""

    __test__ = otel_collector.to_be_had()

    @pytest.fixture(scope="class")
    def program(self):
        path, why = otel_collector.build()
        if not path:
            pytest.skip("needs the OpenTelemetry Collector, which cannot be built: " + why)
        return path

    def test_it_takes_all(self, program, tools, tmp_path):
        with otlp.VictoriaMetrics(tools, tmp_path / "data") as database, \
                OtelCollector(program, database.otlp_url, tmp_path) as receiver, \
                otlp.Feed(receiver.url) as feed:
            add_figures(feed)
            feed.export()
            stats = feed.stats()
            assert stats["failed"] == stats["retried"] == stats["rejected_points"] == 0
            assert not stats["last_error"]
            check_figures(database)

    def test_it_has_nobody_to_hand_on_to(self, program, tools, tmp_path):
        """Its own way to say "later" is understood, and nothing is missing in the end."""
        port = otlp.free_port()
        target = "http://127.0.0.1:%d%s" % (port, otlp.VictoriaMetrics.OTLP_PATH)
        with OtelCollector(program, target, tmp_path) as receiver, \
                otlp.Feed(receiver.url) as feed:
            add_figures(feed)
            stats = feed.wait_stats(lambda s: s["retried"] >= 2, "retries")
            assert stats["exported"] == stats["failed"] == 0
            assert "status 503: " in stats["last_error"]
            with otlp.VictoriaMetrics(tools, tmp_path / "data", port) as database:
                feed.export()
                assert feed.stats()["failed"] == 0
                check_figures(database)

    def test_it_refuses_for_good(self, program, tools, tmp_path):
        """The database knows no such path; the collector's words about it are passed on."""
        with otlp.VictoriaMetrics(tools, tmp_path / "data") as database, \
                OtelCollector(program, database.otlp_url + "/nowhere", tmp_path) as receiver, \
                otlp.Feed(receiver.url) as feed:
            add_figures(feed)
            stats = feed.wait_stats(lambda s: s["failed"] >= 2, "refusals")
            assert stats["exported"] == stats["retried"] == 0
            assert "Permanent error" in stats["last_error"], stats


def test_many_series_come_in_several_requests(collector):
    counts = {number: 1 + number % 3 for number in range(1100)}
    with otlp.Feed(collector.url, interval=1000, timeout=60000, series=1100) as feed:
        feed.add_all(counts)
        collector.wait_totals("ksplit.http.requests",
                              {service(number): count for number, count in counts.items()})
    for request in collector.accepted:
        assert len(otlp.points(otlp.metrics(request)["ksplit.http.requests"])) <= 512
    assert not all("ksplit.daemon.bytes" in otlp.metrics(r) for r in collector.accepted)


def test_the_rest_of_an_export_is_tried_again(collector):
    """What was accepted of an export is not sent twice. An export is two requests: of two failures
    after one success each, one at least is inside an export."""
    with otlp.Feed(collector.url, interval=2000, timeout=60000, series=600) as feed:
        feed.add_all({number: 1 for number in range(600)})
        collector.acts = ["ok", (503, {})] * 2
        before = feed.stats()["exported"]
        stats = feed.wait_stats(lambda s: s["retried"] >= 2 and s["exported"] >= before + 2,
                                "exports of several requests")
        assert stats["failed"] == stats["dropped"] == 0
    collector.check()
    sent = [(attributes["server.address"], point.time_unix_nano)
            for request in collector.accepted
            for point in otlp.points(otlp.metrics(request)["ksplit.http.requests"])
            for attributes in [otlp.attributes(point)]]
    assert len(sent) >= 600
    assert len(set(sent)) == len(sent)


def test_rest_beyond_the_limit_is_one_stream(collector):
    """The heaviest by name, the sum over all exact."""
    with otlp.Feed(collector.url, interval=3600000, series=4) as feed:
        feed.add_all({number: 1000 if number < 3 else 1 for number in range(40)})
        feed.close()
    collector.check()
    request, = collector.accepted
    points = otlp.points(otlp.metrics(request)["ksplit.http.requests"])
    rest, = [p for p in points if otlp.attributes(p).get("otel.metric.overflow")]
    assert otlp.attributes(rest) == {"otel.metric.overflow": True}
    assert sum(p.as_int for p in points) == 3 * 1000 + 37
    named = {otlp.attributes(p).get("server.address"): p.as_int for p in points}
    assert all(named[service(number)] == 1000 for number in range(3))


def test_collector_that_is_away_at_the_start(schema):
    port = otlp.free_port()
    with otlp.Feed("http://127.0.0.1:%d" % port, queue=3) as feed:
        feed.add(0, 5)
        stats = feed.wait_stats(lambda s: s["dropped"] >= 2 and s["retried"] >= 1, "drops")
        assert stats["exported"] == 0
        assert stats["queued"] <= 4
        assert "connect" in stats["last_error"]
        feed.add(0, 6)
        with otlp.Collector(schema, port) as collector:
            collector.wait_totals("ksplit.http.requests", {service(0): 11})
            feed.wait_stats(lambda s: s["exported"] >= 1, "the answer to be read")
            feed.close()
        # Dozens of failures, one line of them, and one that it is well again.
        assert len(feed.log()) == 2, feed.log()


def test_retry_after_is_honoured(collector):
    collector.acts = [(503, {"Retry-After": "2"}), (429, {}), (502, {}), (504, {})]
    with otlp.Feed(collector.url, queue=1000) as feed:
        feed.add(0, 3)
        feed.wait_stats(lambda s: s["exported"] >= 3, "exports")
        stats = feed.stats()
        assert stats["retried"] == 4
        assert stats["failed"] == stats["dropped"] == 0
        assert collector.asked[1][0] - collector.asked[0][0] >= 1.9
        collector.wait_totals("ksplit.http.requests", {service(0): 3})


def test_permanent_errors_are_not_tried_again(collector):
    collector.acts = [(400, {}), (404, {}), (307, {"Location": collector.url}), (413, {}),
                      (500, {"Retry-After": "600"}), (501, {})]
    with otlp.Feed(collector.url) as feed:
        feed.add(1, 9)
        stats = feed.wait_stats(lambda s: s["exported"] >= 1, "an export")
        assert stats["failed"] == 6
        assert stats["retried"] == 0
        # What these exports counted is in the next one.
        collector.wait_totals("ksplit.http.requests", {service(1): 9})


@pytest.mark.parametrize("act", ["hang", "garbage", "nothing"])
def test_no_usable_answer(collector, act):
    collector.acts = [act, act]
    with otlp.Feed(collector.url, timeout=300, queue=2) as feed:
        feed.add(0, 4)
        stats = feed.wait_stats(lambda s: s["exported"] >= 2, "exports")
        assert stats["retried"] >= 2
        assert stats["failed"] == 0
        collector.wait_totals("ksplit.http.requests", {service(0): 4})


def test_slow_and_odd_answers_are_successes(collector):
    collector.acts = ["slow", b"<html>thank you</html>", b'{"partialSuccess":'
                      b'{"rejectedDataPoints":"3","errorMessage":"too old"}}', b"x" * 300000]
    with otlp.Feed(collector.url) as feed:
        feed.add(0, 8)
        stats = feed.wait_stats(lambda s: s["exported"] >= 6, "exports")
        assert stats["rejected_points"] == 3
        assert stats["failed"] == stats["retried"] == 0
        told = "the collector rejects 3 data points: too old"
        assert stats["last_error"] == told
        assert told in feed.log()[0]
        collector.wait_totals("ksplit.http.requests", {service(0): 8})


def test_hanging_collector_does_not_hold_up_the_end(collector):
    """The time-out is ten minutes, the test's own patience one: an end that waits would fail it."""
    collector.acts = ["hang"] * 50
    with otlp.Feed(collector.url, timeout=600000, queue=2) as feed:
        feed.add(0, 4)
        feed.wait_stats(lambda s: s["dropped"] >= 3, "drops while a request hangs")
        assert len(collector.asked) == 1
        feed.close()


@pytest.mark.needs("promtool")
def test_the_daemon_tells_what_became_of_its_exports(collector, ksplitd):
    """By the control socket, ksplit-status and the metrics port; no secret of the URL."""
    collector.acts = [(503, {}), (400, {}), b'{"partialSuccess":{"rejectedDataPoints":"3"}}']
    port = free_port()
    daemon = ksplitd("127.0.0.1:1", {"metrics": {
        "prometheus": "127.0.0.1:%d" % port,
        "otlp": {"endpoint": collector.url.replace("//", "//feeder:hunter2@") + "?token=SECRET",
                 "interval_ms": 100, "queue": 1000}}})

    def told():
        found = daemon.ask("summary")["otlp"]
        return found["exported"] >= 2 and found

    found = wait_for(told, lambda: "exports; it is %s" % daemon.ask("summary")["otlp"])
    assert found["endpoint"] == collector.url
    assert (found["refused"], found["dropped"], found["unmade"]) == (1, 0, 0)
    assert (found["requests_retried"], found["points_rejected"]) == (1, 3)
    assert found["last_error"] == "the collector rejects 3 data points"
    assert found["last_error_time"].endswith("Z")
    shown = run(PROGRAM.parent / "ksplit-status", "--control", daemon.control_path).stdout.decode()
    assert "refused 1  dropped 0  not made 0" in shown
    assert "  last error  %s\n" % found["last_error_time"] in shown
    assert found["last_error"] in shown
    text = metrics.get(port, "/metrics")[2]
    metrics.promtool_check(text)
    samples = metrics.parse(text)
    assert metrics.total(samples, "ksplit_otlp_exports_total", result="exported") >= 2
    assert metrics.total(samples, "ksplit_otlp_exports_total", result="refused") == 1
    assert metrics.total(samples, "ksplit_otlp_requests_retried_total") == 1
    assert metrics.total(samples, "ksplit_otlp_points_rejected_total") == 3
    for secret in ("hunter2", "SECRET", "feeder"):
        assert secret not in shown + text + json.dumps(daemon.ask("summary"))
        assert secret not in daemon.stderr()


def test_the_daemon_tells_that_nothing_is_exported(ksplitd, nginx):
    assert ksplitd("127.0.0.1:%d" % nginx.port).ask("summary")["otlp"] is None


def test_last_figures_are_sent_at_the_end(collector):
    with otlp.Feed(collector.url, interval=3600000) as feed:
        feed.add(0, 12)
        assert not collector.asked
        feed.close()
    collector.check()
    assert collector.totals("ksplit.http.requests") == {service(0): 12}


def test_proxy_variables_are_not_followed(collector):
    nowhere = {"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}
    with otlp.Feed(collector.url, env=nowhere) as feed:
        feed.add(0, 1)
        collector.wait_totals("ksplit.http.requests", {service(0): 1})


# Runs what follows with another file in place of one of the system's, in a mount namespace.
WITH_FILE = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
             'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh")


def test_collector_is_verified(schema, pki):
    """By the system's trust store, which here is the origins' CA, or not."""
    trust = "/etc/ssl/certs/ca-certificates.crt"
    with otlp.Collector(schema, certificate=pki.origin) as collector:
        with otlp.Feed(collector.url) as feed:
            feed.add(0, 2)
            stats = feed.wait_stats(lambda s: s["retried"] >= 2, "refused certificates")
            assert stats["exported"] == 0
            assert "certificate" in stats["last_error"]
        assert not collector.asked
        with otlp.Feed(collector.url, prefix=(*WITH_FILE, pki.origin_ca.cert, trust)) as feed:
            feed.add(0, 3)
            collector.wait_totals("ksplit.http.requests", {service(0): 3})
            feed.close()


SILENT_DNS = """
import os, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 53))
os.set_inheritable(sock.fileno(), True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_name_server_that_is_silent_does_not_hold_up_the_end(tmp_path):
    """Resolving would take longer than the test's patience."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    script = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    prefix = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
              conf, "/usr/bin/python3", "-c", SILENT_DNS)
    with otlp.Feed("http://collector.test:4318/", queue=2, timeout=300, prefix=prefix) as feed:
        feed.add(0, 1)
        stats = feed.wait_stats(lambda s: s["retried"] >= 2, "time-outs while resolving")
        assert "timed out" in stats["last_error"].lower(), stats
        feed.close()
