# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics port as others read it: promtool, Prometheus, Grafana's queries, a browser."""

import json
import re
import struct

import pytest

from lib import clients, metrics
from lib.env import BUILD, EXPECT_KTLS, ROOT, free_port, wait_for

DASHBOARD = ROOT / "docs/grafana/ksplit.json"
VARIABLES = {"$__rate_interval": "1m", "$__interval": "10s", "$server": ".*"}

# Of tests/unit/metrics_maker.h, at step 3 ("fixed").
FIXED = {"/items/{number}": 120, "/orders?page&q": 36, "/reports/{uuid}": 6,
         "/bank.Pay/Charge": 27, "/": 3, "other": 15}
EVIL_URI = "/<img src=x onerror=alert(1)>\"\\\\x0a\u00e9"


@pytest.fixture
def serve(tmp_path):
    """serve(how): a metrics server, judged when the test is over."""
    started = []

    def start(how):
        started.append(metrics.Server(how, tmp_path))
        return started[-1]

    yield start
    for server in started:
        with server:
            pass


@pytest.fixture
def browser(tmp_path):
    return metrics.Browser(tmp_path)


# -- Prometheus -----------------------------------------------------------------------------------


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("how", ["fixed", "empty"])
def test_promtool_has_no_complaint(serve, how):
    status, headers, text = metrics.get(serve(how).port, "/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    metrics.promtool_check(text)
    metrics.parse(text)


@pytest.mark.needs("promtool")
def test_promtool_check_can_fail():
    with pytest.raises(AssertionError):
        metrics.promtool_check("# TYPE a_count counter\na_count 1\n")


@pytest.mark.needs("prometheus")
def test_prometheus_scrapes_and_counts(serve, tmp_path):
    server = serve("fixed")
    with metrics.Prometheus(server.port, tmp_path) as prometheus:
        prometheus.wait_scrapes(2)
        counts = {labels["url_template"]: value for labels, value in prometheus.query(
            "sum by (url_template) (ksplit_http_requests_total)")}
        assert counts.pop(EVIL_URI) == 3
        assert counts == FIXED
        # Every sample of the text is in the database, with the same labels and value.
        samples = metrics.parse(metrics.get(server.port, "/metrics")[2])
        stored = {(labels.pop("__name__"), frozenset(
            pair for pair in labels.items() if pair[0] not in ("job", "instance"))): value
            for labels, value in prometheus.query(
                '{job="ksplit",__name__!~"up|scrape_.*"}')}
        assert stored == samples
        (_, p50), = prometheus.query(
            'histogram_quantile(0.5, http_client_request_duration_seconds_bucket'
            '{url_template="/orders?page&q"})')
        assert 0.025 <= p50 <= 0.05
        assert "err" not in prometheus.text().lower(), prometheus.text()


def expressions(dashboard):
    """Every query of the dashboard's panels: (panel's title, expression)."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


@pytest.mark.needs("prometheus")
def test_every_query_of_the_dashboard_returns(serve, tmp_path):
    dashboard = json.loads(DASHBOARD.read_text())
    asked = list(expressions(dashboard))
    assert len(asked) > 30
    with metrics.Prometheus(serve("growing").port, tmp_path) as prometheus:
        prometheus.wait_scrapes(4)
        for title, expression in asked:
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            assert prometheus.query(expression), "%s: nothing from %s" % (title, expression)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)",
                                           variable["query"]["query"]).groups()
                assert len(prometheus.query("count by (%s) (%s)" % (label, name))) > 3


def test_dashboard_is_whole():
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}"


def test_documented(serve):
    """docs/metrics.md has every name, but those that it describes by their pattern."""
    text = (ROOT / "docs/metrics.md").read_text()
    told = set(re.findall(r"`((?:ksplit|http|process)_[a-z0-9_]+)`", text))
    families = set(re.findall(r"^# TYPE (\S+) ", metrics.get(serve("empty").port, "/metrics")[2],
                              re.MULTILINE))
    groups = ("connections|handshakes|sessions|origin_faults|ktls|user_tls|bytes|records|"
              "starttls|access_log")
    counters = set(re.findall(r'X\(\w+, "(\w+)", "(\w+)"\)',
                              (ROOT / "user/observe/stats.h").read_text()))
    assert {group for group, _ in counters} <= set(groups.split("|"))
    families -= {"ksplit_%s_%s_total" % counter for counter in counters}
    assert families - told == set()
    assert {name for name in told if name.startswith("ksplit_")} - families == set()


# -- the port --------------------------------------------------------------------------------------


def test_only_local_names_are_answered(serve):
    port = serve("fixed").port
    for path in ("/", "/metrics", "/api/v1/snapshot", "/healthz"):
        assert metrics.get(port, path, "localhost:%d" % port)[0] == 200
        status, headers, text = metrics.get(port, path, "rebound.example")
        assert status == 403
        assert text.count("\n") == 1
        assert not [name for name in headers if name.lower().startswith("access-control")]


# -- ksplitd itself --------------------------------------------------------------------------------


@pytest.fixture
def watched(ksplitd, nginx):
    """A ksplitd in front of nginx, with a metrics port; .call(path, ...) goes through it."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port,
                     {"metrics": {"prometheus": "127.0.0.1:%d" % free_port()}})
    daemon.metrics_port = int(daemon.config["metrics"]["prometheus"].rpartition(":")[2])
    return daemon


def read_samples(daemon):
    return metrics.parse(metrics.get(daemon.metrics_port, "/metrics")[2])


def requests_of(samples):
    """{(method, template, status): requests} by direction together."""
    found = {}
    for (name, labels), value in samples.items():
        if name == "ksplit_http_requests_total":
            told = dict(labels)
            key = (told["http_request_method"], told["url_template"],
                   told["http_response_status_code"])
            found[key] = found.get(key, 0) + value
    return found


def call_all(daemon, pki):
    """Requests of both versions; what must be counted of them."""
    for version in ("--http1.1", "--http2"):
        for path in ("/small.txt", "/small.txt", "/empty.bin", "/orders/12345?token=SECRET"):
            clients.curl(daemon.port, path, pki.ca, version, "-o", "/dev/null")
    return {("GET", "/small.txt", "200"): 4, ("GET", "/empty.bin", "200"): 2,
            ("GET", "/orders/{number}?token", "404"): 2}


@pytest.mark.needs("curl", "promtool")
def test_daemon_tells_what_it_relayed(watched, pki):
    wanted = call_all(watched, pki)
    wait_for(lambda: requests_of(read_samples(watched)) == wanted,
             lambda: "%s; there is %s\n%s" % (wanted, requests_of(read_samples(watched)),
                                             watched.tail()))
    watched.settle()
    text = metrics.get(watched.metrics_port, "/metrics")[2]
    metrics.promtool_check(text)
    assert "SECRET" not in text
    samples = metrics.parse(text)
    durations = sum(metrics.total(samples, "http_%s_request_duration_seconds_count" % side)
                    for side in ("client", "server"))
    assert durations == 8
    assert metrics.total(samples, "ksplit_http_response_body_bytes_total",
                         url_template="/small.txt") == 4 * 1024
    assert metrics.total(samples, "ksplit_http_requests_total", network_protocol_version="2") == 4
    assert metrics.total(samples, "ksplit_http_requests_total", server_address="origin.test") == 8
    assert metrics.total(samples, "ksplit_http_request_failures_total") == 0
    assert metrics.total(samples, "ksplit_connections_total") == 8
    assert metrics.total(samples, "ksplit_connections_open") == 0
    assert metrics.total(samples, "ksplit_tls_directions_total") == 32
    assert metrics.total(samples, "ksplit_ktls_directions_total") == (32 if EXPECT_KTLS else 0)
    assert metrics.total(samples, "ksplit_connections_accepted_total") == 8
    assert metrics.total(samples, "ksplit_tls_handshake_duration_seconds_count") == 16
    assert metrics.total(samples, "ksplit_sampler_ring_dropped_total") == 0
    assert metrics.get(watched.metrics_port, "/healthz")[2] == "ok\n"


@pytest.mark.needs("curl", "prometheus")
def test_prometheus_scrapes_the_daemon(watched, pki, tmp_path):
    wanted = call_all(watched, pki)
    with metrics.Prometheus(watched.metrics_port, tmp_path) as prometheus:
        def stored():
            return {(labels["http_request_method"], labels["url_template"],
                     labels["http_response_status_code"]): value
                    for labels, value in prometheus.query(
                        "sum by (http_request_method, url_template, http_response_status_code)"
                        "(ksplit_http_requests_total)")}

        prometheus.wait_scrapes(2)
        wait_for(lambda: stored() == wanted, lambda: "%s; there is %s" % (wanted, stored()))


@pytest.mark.needs("curl", "chromium")
def test_page_of_the_daemon(watched, pki, browser):
    wanted = call_all(watched, pki)
    wait_for(lambda: requests_of(read_samples(watched)) == wanted, "the requests to be counted")
    html = browser.dom("http://127.0.0.1:%d/" % watched.metrics_port)
    shown = {}
    for method, uri, _, status, _, count in (row[:6] for row in rows(html, "series")):
        shown[method, uri, status] = shown.get((method, uri, status), 0) + int(count)
    assert shown == wanted
    endpoint, = rows(html, "endpoints")
    assert endpoint[0].startswith("origin.test")
    assert "live" in text_of(html)
    assert "SECRET" not in html


# -- the page --------------------------------------------------------------------------------------


def text_of(html):
    """What is between the tags of the body, white space folded."""
    body = re.sub(r"<(script|style|noscript)\b.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body.partition("<body")[2]).split())


def rows(html, table):
    body = re.search(r'<table id="%s".*?<tbody>(.*?)</tbody>' % table, html, re.DOTALL).group(1)
    return [[text.strip() for text in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]


@pytest.mark.needs("chromium")
def test_page_shows_the_figures(serve, browser):
    html = browser.dom(serve("fixed").url)
    requests = rows(html, "series")
    assert [row[1] for row in requests] == [
        "/items/{number}", "/orders?page&amp;q", "/bank.Pay/Charge", "other (beyond the limit)",
        "/reports/{uuid}", requests[5][1], requests[6][1]]
    assert requests[0][:6] == ["GET", "/items/{number}", "shop.example", "200", "2", "120"]
    assert [row[3] for row in requests if row[1].startswith("/reports")] == ["503"]
    assert [row[3] for row in requests if row[2] == "slow.example"] == ["none"]
    endpoints = rows(html, "endpoints")
    assert endpoints[0][0] == "shop.example" and endpoints[0][-1] == "75.0 %"
    assert "pay.example:8443" in [row[0] for row in endpoints]
    assert len(endpoints) == 4
    assert "live" in text_of(html)
    assert "Sampler: fentry (kernel TLS), sk_msg (plain), user (user TLS)" in text_of(html)
    # Names that somebody chose are text, and their markup is not the page's.
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "<img" not in html and "<b>" not in html


@pytest.mark.needs("chromium")
def test_page_draws_what_happens(serve, browser):
    html = browser.dom(serve("growing").url, seconds=60)
    for plot, lines in (("latency", ("one", "two")), ("throughput", ("one", "bad-line"))):
        drawing = re.search(r'<svg id="%s".*?</svg>' % plot, html, re.DOTALL).group()
        for line in lines:
            path = re.search(r'<path class="%s" d="([^"]*)"' % line, drawing).group(1)
            assert path.count("L") >= 20, path
            assert "NaN" not in path and "Infinity" not in path
    assert "nothing measured yet" not in text_of(html)


@pytest.mark.needs("chromium")
def test_page_without_a_request(serve, browser):
    html = browser.dom(serve("empty").url)
    assert "No requests yet" in text_of(html)
    assert "No connections yet" in text_of(html)
    assert rows(html, "series") == []
    assert "NaN" not in text_of(html)


@pytest.mark.needs("chromium")
def test_page_tells_when_the_daemon_is_gone(serve, browser):
    html = browser.dom(serve("dying").url, seconds=30)
    assert "stale: no answer since" in text_of(html)
    assert rows(html, "series"), "the last figures are still there"


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("name, width, height, dark", [
    ("desktop", 1280, 1000, False), ("dark", 1280, 1000, True), ("phone", 390, 1300, False)])
def test_page_screenshot(serve, browser, name, width, height, dark):
    """For people to look at, in build/screenshots; here: its size, and not of one colour."""
    folder = BUILD / "screenshots"
    folder.mkdir(exist_ok=True)
    png = browser.screenshot(serve("growing").url, folder / ("page-%s.png" % name), width, height,
                             dark)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (width, height)
    assert len(png) > 20000
