# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of OTLP exports: the published schema, a collector that can be made to fail, and
VictoriaMetrics, a database that stores what it gets and answers queries."""

import importlib
import json
import re
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .env import BUILD, PATIENCE, ROOT, free_port, wait_for
from .process import ENV, Program, ServerProgram, run

FETCH_SECONDS = 600
SERVICE = "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"


def fetch():
    """The folder of tests/otlp/fetch."""
    return Path(run(ROOT / "tests/otlp/fetch", timeout=FETCH_SECONDS).stdout.decode().strip())


class Schema:
    """opentelemetry-proto, compiled: reads ExportMetricsServiceRequest from JSON, and refuses what
    the OTLP specification's "JSON Protobuf Encoding" does not allow."""

    INT64 = ("TYPE_INT64", "TYPE_UINT64", "TYPE_FIXED64", "TYPE_SFIXED64", "TYPE_SINT64")

    def __init__(self, include, folder):
        folder = Path(folder)
        folder.mkdir()
        files = sorted(str(p.relative_to(include)) for p in Path(include).rglob("*.proto")
                       if re.search(r"/(common|resource|metrics)/", str(p)))
        run("protoc", "-I", include, "--python_out", folder, *files)
        sys.path.insert(0, str(folder))
        try:
            self._request = importlib.import_module(SERVICE).ExportMetricsServiceRequest
            self._json = importlib.import_module("google.protobuf.json_format")
            self._field = importlib.import_module("google.protobuf.descriptor").FieldDescriptor
        finally:
            sys.path.remove(str(folder))
        self._int64 = {getattr(self._field, name) for name in self.INT64}

    def read(self, data):
        """The request as a protobuf message. AssertionError or ParseError: it is none."""
        tree = json.loads(data)
        self._check(tree, self._request.DESCRIPTOR, "request")
        return self._json.ParseDict(tree, self._request())

    def _check(self, value, descriptor, where):
        """protobuf's own reader also takes what OTLP forbids: snake_case, enums by name."""
        assert isinstance(value, dict), "%s is no object" % where
        fields = {field.json_name: field for field in descriptor.fields}
        for name, inner in value.items():
            assert name in fields, "%s.%s is not in the schema" % (where, name)
            self._check_field(inner, fields[name], "%s.%s" % (where, name))

    def _check_field(self, value, field, where):
        repeated = field.label == field.LABEL_REPEATED
        assert isinstance(value, list) == repeated, "%s: array or not" % where
        for item in value if repeated else [value]:
            if field.type == field.TYPE_MESSAGE:
                self._check(item, field.message_type, where)
            elif field.type in self._int64:
                assert isinstance(item, str) and re.fullmatch(r"-?[0-9]+", item), (where, item)
            elif field.type == field.TYPE_ENUM:
                assert type(item) is int and item in field.enum_type.values_by_number, where
            elif field.type == field.TYPE_DOUBLE:
                assert type(item) in (int, float), where


def any_value(value):
    """A KeyValue's value as Python's."""
    return getattr(value, value.WhichOneof("value"))


def attributes(owner):
    return {pair.key: any_value(pair.value) for pair in owner.attributes}


def metrics(request):
    """{name: metric} of a request with one scope."""
    assert len(request.resource_metrics) == 1
    assert len(request.resource_metrics[0].scope_metrics) == 1
    found = request.resource_metrics[0].scope_metrics[0].metrics
    assert len({metric.name for metric in found}) == len(found), "a metric comes twice"
    return {metric.name: metric for metric in found}


def points(metric):
    return getattr(metric, metric.WhichOneof("data")).data_points


def check_meaning(request):
    """What the schema's comments and the data model demand beyond its types."""
    for name, metric in metrics(request).items():
        data = getattr(metric, metric.WhichOneof("data"))
        assert data.aggregation_temporality == 2, name
        assert data.data_points, "%s is empty" % name
        streams = [json.dumps(attributes(point), sort_keys=True) for point in data.data_points]
        assert len(set(streams)) == len(streams), "%s: a stream comes twice" % name
        for point in data.data_points:
            keys = [pair.key for pair in point.attributes]
            assert len(set(keys)) == len(keys), "%s: %s" % (name, keys)
            assert 0 < point.start_time_unix_nano < point.time_unix_nano, name
            if metric.WhichOneof("data") == "histogram":
                check_histogram(name, point)


def check_histogram(name, point):
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    assert bounds == sorted(set(bounds)), name
    assert len(counts) == (len(bounds) + 1 if bounds else 0), name
    assert not counts or sum(counts) == point.count, name
    assert point.min <= point.max and point.min * point.count <= point.sum * 1.000001, name


class Collector:
    """An OTLP/HTTP receiver. `acts` are what it does with the next requests, one each, then
    "ok": (status, headers), "hang", "garbage", "nothing" (hangs up), "slow", or bytes (a 200 with
    that body). What it accepted is in `accepted`, read by the schema; every request is in `asked`. With a certificate
    it speaks TLS."""

    def __init__(self, schema, port=None, certificate=None):
        self.schema, self.port = schema, port or free_port()
        self.acts, self.accepted, self.asked, self.wrong = [], [], [], []
        self._lock, self._ending = threading.Lock(), threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                try:
                    collector._serve(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client):
                collector.broken.append(str(sys.exc_info()[1]))

        self.broken = []
        self.url = "http%s://127.0.0.1:%d/v1/metrics" % ("s" if certificate else "", self.port)
        self._server = Server(("127.0.0.1", self.port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            act = self.acts.pop(0) if self.acts else "ok"
            self.asked.append((time.monotonic(), handler.path, dict(handler.headers)))
        if act == "hang":
            self._ending.wait(PATIENCE)
            handler.close_connection = True
        elif act == "garbage":
            handler.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            handler.close_connection = True
        elif act == "nothing":
            handler.close_connection = True
        elif isinstance(act, tuple):
            self._answer(handler, act[0], act[1], b"not now")
        else:
            self._take(body)
            answer = act if isinstance(act, bytes) else b"{}"
            self._answer(handler, 200, {"Content-Type": "application/json"}, answer, act == "slow")

    def _answer(self, handler, status, headers, body, slow=False):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for i in range(len(body)):
            handler.wfile.write(body[i:i + 1])
            if slow:
                self._ending.wait(0.1)

    def _take(self, body):
        try:
            request = self.schema.read(body)
            check_meaning(request)
        except Exception as exc:  # noqa: B902 - told to the test by `latest`
            with self._lock:
                self.wrong.append("%s: %s\n%s" % (type(exc).__name__, exc, body[:2000]))
            return
        with self._lock:
            self.accepted.append(request)

    def check(self):
        """Nothing that came was against the schema."""
        assert not self.wrong, self.wrong[0]

    def totals(self, name):
        """{server.address: newest number (of a Sum), or count (of a Histogram)}."""
        found = {}
        with self._lock:
            accepted = list(self.accepted)
        for request in accepted:
            for point in points(metrics(request)[name]):
                value = point.count if hasattr(point, "count") else point.as_int
                key = attributes(point).get("server.address")
                assert value >= found.get(key, 0), "%s of %s went down" % (name, key)
                found[key] = value
        return found

    def wait_totals(self, name, wanted):
        def there():
            self.check()
            return self.totals(name) == wanted

        wait_for(there, lambda: "%s %s; it is %s" % (name, wanted, self.totals(name)))


class Feed:
    """build/tests/tools/otlp_feed: the daemon's exporter with figures that the test chooses."""

    def __init__(self, url, interval=50, timeout=2000, queue=10, series=100, env=None, prefix=()):
        self._answers = 0
        self.program = Program(*prefix, BUILD / "tests/tools/otlp_feed", url, interval, timeout,
                               queue, series, env=dict(ENV, **(env or {})))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.program.end()

    def _replies(self):
        """Its answers are whole lines; those of the log begin with a year."""
        lines = self.program.text().splitlines(keepends=True)
        return [line for line in lines if line.endswith("\n") and not line.startswith("2")]

    def _ask_all(self, commands):
        self.program.say("".join(command + "\n" for command in commands))
        self._answers += len(commands)
        wait_for(lambda: len(self._replies()) >= self._answers or not self._running(),
                 lambda: "an answer to %s; %s" % (commands[-1], self.program.text()))
        replies = self._replies()
        assert len(replies) >= self._answers, self.program.text()
        return [line.strip() for line in replies[self._answers - len(commands):self._answers]]

    def ask(self, command):
        return self._ask_all([command])[0]

    def _running(self):
        return self.program.process.poll() is None

    def add(self, service, count, microseconds=20000):
        self.add_all({service: count}, microseconds)

    def add_all(self, counts, microseconds=20000):
        """`counts`: {service: how many more requests}."""
        answers = self._ask_all(["add %d %d %d" % (service, count, microseconds)
                                 for service, count in counts.items()])
        assert answers == ["added"] * len(counts), answers

    def stats(self):
        return json.loads(self.ask("stats"))

    def wait_stats(self, condition, what):
        def there():
            stats = self.stats()
            return condition(stats) and stats

        return wait_for(there, lambda: "%s: %s" % (what, self.program.text()), interval=0.05)

    def export(self):
        """All that was added has been taken by the collector."""
        stats = self.stats()
        wanted = stats["exported"] + stats["queued"] + 1
        self.wait_stats(lambda s: s["exported"] >= wanted, "what was added to be exported")

    def close(self):
        """End it in order; it must not take long, whatever the collector does."""
        self.ask("close")
        assert self.program.wait() == 0, self.program.text()

    def log(self):
        return [line for line in self.program.text().splitlines() if line.startswith("2")]


class VictoriaMetrics(ServerProgram):
    """The database. It takes OTLP, at `otlp_url`, as protobuf only: `write` encodes what the schema
    read."""

    OTLP_PATH = "/opentelemetry/v1/metrics"

    def __init__(self, tools, folder, port=None):
        port = port or free_port()
        self._url = "http://127.0.0.1:%d" % port
        self.otlp_url = self._url + self.OTLP_PATH
        super().__init__(
            "VictoriaMetrics", port,
            tools / "bin/victoria-metrics", "-storageDataPath=%s" % folder,
            "-httpListenAddr=127.0.0.1:%d" % port, "-retentionPeriod=10y",
            "-search.latencyOffset=0s", "-memory.allowedBytes=64MB",
            env=dict(ENV, LD_LIBRARY_PATH=str(tools / "lib")))

    def _get(self, path, data=None, headers=None):
        request = urllib.request.Request(self._url + path, data=data, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            assert answer.status in (200, 204), answer.status
            return answer.read()

    def write(self, message):
        self._get(self.OTLP_PATH, message.SerializeToString(),
                  {"Content-Type": "application/x-protobuf"})

    def flush(self):
        """What was written can be asked for."""
        self._get("/internal/force_flush")

    def query(self, expression):
        """[(labels, value)] of an instant query, labels as a dictionary."""
        text = self._get("/api/v1/query?" + urllib.parse.urlencode(
            {"query": expression, "time": "%.3f" % (time.time() + 1), "nocache": "1"}))
        answer = json.loads(text)
        assert answer["status"] == "success", answer
        return [(item["metric"], float(item["value"][1])) for item in answer["data"]["result"]]
