# SPDX-License-Identifier: GPL-2.0-or-later
"""Headless Chromium that tests drive by the DevTools protocol
(https://chromedevtools.github.io/devtools-protocol/), through two pipes: one browser for many
pages. It trusts what is in the NSS database of its HOME, a throw-away folder, beside its own store
of roots."""

import itertools
import json
import os
import select
import time

from .env import PATIENCE
from .process import ENV, Program, run

# No sandbox: tests are root, and in a container. No background traffic of the browser's own.
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-default-apps", "--disable-sync", "--no-proxy-server", "--disable-quic",
           "--remote-debugging-pipe")
# The browser reads its descriptor 3 and writes to 4; Python cannot choose the numbers.
START = 'in=$1 out=$2; shift 2; exec "$@" 3<&"$in" 4>&"$out"'


class Page:
    """What came of going to an address. error: net::ERR_..., or None; text: what the page shows;
    responses: of each request for it, as the browser's network tab tells."""

    def __init__(self, error, text, responses):
        self.error, self.text, self.responses = error, text, responses


class Chromium:
    """`names` resolve to 127.0.0.1. authorities: what it trusts."""

    def __init__(self, folder, authorities, names=()):
        self._env = dict(ENV, HOME=str(folder))
        database = "sql:%s/.pki/nssdb" % folder
        (folder / ".pki" / "nssdb").mkdir(parents=True)
        run("certutil", "-d", database, "-N", "--empty-password")
        for number, authority in enumerate(authorities):
            run("certutil", "-d", database, "-A", "-n", "test %d" % number, "-t", "C,,",
                "-i", authority.cert)
        rules = ",".join("MAP %s 127.0.0.1" % name for name in names)
        read_end, self._to = os.pipe()
        self._from, write_end = os.pipe()
        for end in (read_end, write_end):
            os.set_inheritable(end, True)
        self._program = Program(
            "/bin/bash", "-c", START, "bash", read_end, write_end, "chromium", *OPTIONS,
            "--user-data-dir=%s" % (folder / "profile"), "--host-resolver-rules=" + rules,
            "about:blank", env=self._env, group=True, pass_fds=(read_end, write_end))
        os.close(read_end)
        os.close(write_end)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._events, self._results = {}, {}
        try:
            self._tab = Tab(self)
        except BaseException:
            self.close()
            raise

    # -- the protocol ------------------------------------------------------------------------

    def _read(self, deadline):
        """The next message, put where it belongs."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._from, 1 << 16) if ready else b""
            if not data:
                raise AssertionError("Chromium says nothing more:\n" + self._program.text())
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(message)
        if "id" in message:
            self._results[message["id"]] = message
        else:
            self._events.setdefault(message.get("sessionId"), []).append(message)

    def wait(self, condition):
        """Read until it holds; what it returns then."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            self._read(deadline)
        return value

    def send(self, method, session=None, **parameters):
        """A command; its number."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        return number

    def result(self, number):
        """Of a command that was sent."""
        message = self.wait(lambda: self._results.pop(number, None))
        assert "error" not in message, message
        return message["result"]

    def call(self, method, session=None, **parameters):
        return self.result(self.send(method, session, **parameters))

    def events(self, session):
        return self._events.setdefault(session, [])

    # -- for tests ---------------------------------------------------------------------------

    def version(self):
        return self.call("Browser.getVersion")["product"]

    def evaluate(self, script):
        return self._tab.evaluate(script)

    def go(self, url):
        self._tab.start(url)
        return self._tab.finish()

    def close(self):
        self._program.end()
        os.close(self._to)
        os.close(self._from)


class Tab:
    """One of the browser's; several can be on their way at once."""

    def __init__(self, browser):
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target,
                                     flatten=True)["sessionId"]
        browser.call("Page.enable", self._session)
        browser.call("Network.enable", self._session)
        self._number = None

    def evaluate(self, script):
        """The value of JavaScript on the page, of a promise when it is kept."""
        told = self._browser.call("Runtime.evaluate", self._session, expression=script,
                                  awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def start(self, url):
        """Go to an address."""
        self._browser.events(self._session).clear()
        self._number = self._browser.send("Page.navigate", self._session, url=url)

    def finish(self):
        """What came of it, when the page is there or the error's page is."""
        events = self._browser.events(self._session)
        error = self._browser.result(self._number).get("errorText")
        self._browser.wait(lambda: any(event.get("method") == "Page.loadEventFired"
                                       for event in events))
        text = self.evaluate("document.documentElement.innerText")
        return Page(error, text, [event["params"]["response"] for event in events
                                  if event.get("method") == "Network.responseReceived"])
