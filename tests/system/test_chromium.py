# SPDX-License-Identifier: GPL-2.0-or-later
"""Headless Chromium, which has its own TLS, its own verifier and its own store of roots: pages of
every web server through ksplitd."""

import json

import pytest

from lib import expect
from lib.chromium import Chromium
from lib.web_origins import KINDS
from lib.web_world import World

pytestmark = pytest.mark.needs("chromium", "certutil")

# One request after the other, as on a page: status, and SHA-256 of the answer.
FETCH = """(async () => {
	const answer = await fetch('%s', {method: '%s', body: %s});
	const digest = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
	const bytes = Array.from(new Uint8Array(digest));
	return answer.status + ' ' + bytes.map((b) => b.toString(16).padStart(2, '0')).join('');
})()"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, pki):
    with World(tmp_path_factory.mktemp("chromium"), pki, KINDS) as made:
        yield made


@pytest.fixture(scope="module")
def browser(tmp_path_factory, pki):
    started = Chromium(tmp_path_factory.mktemp("browser"), [pki.ca], ["origin.test"])
    yield started
    started.close()


def address(port, path):
    return "https://origin.test:%d%s" % (port, path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_pages(world, browser, kind):
    if kind not in world.origins:
        pytest.skip("needs " + kind.needs)
    mark = world.daemon.mark()
    port = world.ports[kind]
    (method, path), *steps = reversed(kind.steps())
    page = browser.go(address(port, path))
    assert page.error is None, page.text
    response = next(r for r in page.responses if r["url"] == address(port, path))
    assert response["status"] == 200
    assert response["protocol"] == ("h2" if kind.full else "http/1.0"), response["protocol"]
    assert response["securityDetails"]["issuer"] == "ksplit test CA"
    assert response["securityDetails"]["protocol"] == "TLS 1.3"
    if not kind.pages:
        assert page.text.split() == (world.content.folder / "small.txt").read_text().split()
    body = json.dumps(world.content.body.read_bytes().decode())
    for method, path in steps:
        told = browser.evaluate(FETCH % (path, method, body if method == "POST" else "undefined"))
        assert told == "200 " + world.content.answer_digest(method, path), path
    # Chromium opens more connections than it needs: they have to be intercepted as well.
    browser.go("about:blank")
    for entry in world.daemon.access_log()[mark:]:
        assert entry["sni"] == "origin.test"
        expect.assert_relayed(entry, "auto")


def test_past_ksplitd_the_browser_refuses(world, browser):
    """It trusts nobody but ksplit's CA here."""
    kind, origin = next(iter(world.origins.items()))
    page = browser.go(address(origin.port, "/small.txt"))
    assert page.error == "net::ERR_CERT_AUTHORITY_INVALID", page.text
