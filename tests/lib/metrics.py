# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics port: asked by hand, scraped by a real Prometheus, shown by a real browser."""

import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .daemon import sanitizer_env
from .env import BUILD, PATIENCE, free_port, wait_for
from .process import ENV, Program, ServerProgram, run

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
UNESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", "--enable-logging=stderr")


def get(port, path, host=None):
    """(status, headers, text) of a GET on 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def parse(text):
    """{(name, frozenset of labels): value}; each sample comes once, each line is understood."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, inner, value = match.groups()
        labels = [(key, re.sub(r'\\.', lambda m: UNESCAPE[m.group()], told))
                  for key, told in LABEL.findall(inner or "")]
        assert ",".join('%s="%s"' % pair for pair in LABEL.findall(inner or "")) == (inner or "")
        key = name, frozenset(labels)
        assert key not in found, line
        found[key] = float(value)
    assert found
    return found


def total(samples, name, **labels):
    """Sum over the samples of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (known, having), value in samples.items()
               if known == name and wanted <= having)


def promtool_check(text):
    """Prometheus's own judgement of names, types and syntax; it tells warnings by exit code 3."""
    done = run("promtool", "check", "metrics", stdin=text.encode(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done.stderr.decode()


class Server:
    """build/tests/tools/metrics_server: ksplitd's metrics port on made-up figures. `how`: fixed,
    growing, empty or dying."""

    def __init__(self, how, folder):
        self._folder = Path(folder)
        self._program = Program(BUILD / "tests/tools/metrics_server", how,
                                env=dict(ENV, **sanitizer_env(self._folder / "sanitizer")))
        try:
            self._program.expect("\n")
        except BaseException:
            self._program.end()
            raise
        self.port = int(self._program.text().split()[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
        self._program.end()

    def close(self):
        self._program.close_input()
        assert self._program.wait() == 0, self._program.text()
        assert not list(self._folder.glob("sanitizer.*"))


class Prometheus(ServerProgram):
    """A real one that scrapes a port of 127.0.0.1 twice a second."""

    def __init__(self, target, folder):
        port = free_port()
        config = Path(folder) / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [{"job_name": "ksplit", "static_configs": [
                {"targets": ["127.0.0.1:%d" % target]}]}]}))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        super().__init__(
            "Prometheus", port, "prometheus", "--config.file=%s" % config,
            "--storage.tsdb.path=%s" % (Path(folder) / "data"),
            "--web.listen-address=127.0.0.1:%d" % port, "--log.level=warn")

    def _api(self, path, **parameters):
        """The data of an answer; None while it is not ready."""
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (
            self.port, path, urllib.parse.urlencode(parameters))
        try:
            with self._opener.open(url, timeout=PATIENCE) as answer:
                told = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code == 503:
                return None
            raise AssertionError("%s: %s" % (parameters, text)) from None
        assert told["status"] == "success", told
        assert not told.get("warnings"), told
        return told["data"]

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        data = wait_for(lambda: self._api("query", query=expression, time="%.3f" % time.time()),
                        "Prometheus to be ready")
        return [(item["metric"], float(item["value"][1])) for item in data["result"]]

    def wait_scrapes(self, count):
        """Wait for so many scrapes that went well; none may fail."""
        def there():
            result = self.query("count_over_time(up[10m])")
            for target in self._api("targets", state="active")["activeTargets"]:
                assert not target["lastError"], target["lastError"]
            return bool(result) and result[0][1] >= count

        wait_for(there, lambda: "%d scrapes: %s" % (count, self.text()), interval=0.1)


class Browser:
    """Headless Chromium on a page, for `seconds` of the page's own time."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def _run(self, url, *options, seconds):
        done = run(*CHROMIUM, "--user-data-dir=%s" % (self._folder / "chromium"),
                   "--virtual-time-budget=%d" % (1000 * seconds), *options, url,
                   timeout=2 * PATIENCE, cwd=self._folder)
        complaints = [line for line in done.stderr.decode(errors="replace").splitlines()
                      if "CONSOLE" in line and "Failed to load resource" not in line]
        assert not complaints, complaints
        return done.stdout.decode()

    def dom(self, url, seconds=20):
        """The document as it then is, as HTML. A complaint of the page is a failure: broken
        scripts, and what its Content-Security-Policy forbids."""
        return self._run(url, "--dump-dom", seconds=seconds)

    def screenshot(self, url, path, width, height, dark=False, seconds=120):
        colours = ["--blink-settings=preferredColorScheme=%d" % (0 if dark else 1)]
        self._run(url, "--screenshot=%s" % path, "--window-size=%d,%d" % (width, height), *colours,
                  seconds=seconds)
        return Path(path).read_bytes()
