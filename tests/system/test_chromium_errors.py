# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad origin stays bad for Chromium: its page of the error is the same through ksplitd as without
it, as is what its user may do then. docs/upstream.md has the table of what is shown of each fault."""

import pytest

from lib import env
from lib.bad_origins import NAME, bad_origins, serve
from lib.chromium import Chromium, Tab
from lib.daemon import Ksplitd

pytestmark = pytest.mark.needs("chromium", "certutil")

DATE, HOST, AUTHORITY, INVALID, REVOKED = (
    "net::ERR_CERT_%s" % word for word in ("DATE_INVALID", "COMMON_NAME_INVALID",
                                           "AUTHORITY_INVALID", "INVALID", "REVOKED"))
# What Chromium says without ksplitd. A key of 1024 bits it accepts of a CA that its user added.
SAYS = {"good": None, "good_chain": None, "good_staple": None, "forged_staple": None,
        "weak_key": None, "expired": DATE, "not_yet_valid": DATE, "expired_intermediate": DATE,
        "wrong_host": HOST, "self_signed": AUTHORITY, "unknown_ca": AUTHORITY,
        "incomplete_chain": AUTHORITY, "wrong_purpose": INVALID, "weak_signature": INVALID,
        "revoked": REVOKED, "revoked_expired": DATE}
# This is shown as what nobody trusts, and that page has a way past it.
SHOWN_BY_THE_TWIN = ("weak_signature",)
# No leaf is older than its CA, which is as young as the test: not as many days ago.
OTHER_DAYS = ("expired", "expired_intermediate", "revoked_expired")
# What the button "Advanced" opens.
OPENED = """document.getElementById('details-button').click();
            document.documentElement.innerText"""


class Street:
    """All origins, and a listener of one ksplitd before each."""

    def __init__(self, folder, pki):
        self.made = bad_origins(folder, pki)
        self.servers = {kind: serve(self.made[kind]) for kind in SAYS}
        self.daemon = Ksplitd(pki, ["127.0.0.1:%d" % server.port
                                    for server in self.servers.values()])

    def door(self, kind):
        return self.daemon.ports[list(SAYS).index(kind)]

    def judged(self, kind):
        """What the access log says of each connection through the door."""
        local = "127.0.0.1:%d" % self.door(kind)
        return env.wait_for(lambda: [line["origin_certificate"]
                                     for line in self.daemon.access_log()
                                     if line["local"] == local], "a line about " + kind)

    def close(self):
        for server in self.servers.values():
            server.end()


@pytest.fixture(scope="module")
def street(tmp_path_factory, pki):
    made = Street(tmp_path_factory.mktemp("street"), pki)
    try:
        with made.daemon:
            yield made
    finally:
        made.close()


class Shown:
    """What a user sees of an origin. closed: the page at first; opened: with all its details;
    way_past: the user may go on."""

    def __init__(self, browser, port):
        self._url, self._port = "https://%s:%d/" % (NAME, port), port
        self._tab = Tab(browser)
        self._tab.start(self._url)

    def look(self):
        page = self._tab.finish()
        self.error = page.error
        if page.error is None:
            self.issuer, = [response["securityDetails"]["issuer"] for response in page.responses
                            if response["url"] == self._url]
            return self
        self.closed, self.opened = (text.replace(":%d" % self._port, "") for text in (
            page.text, self._tab.evaluate(OPENED)))
        self.way_past = "Proceed to " + NAME in self.opened
        return self


@pytest.fixture(scope="module")
def shown(street, tmp_path_factory, pki):
    """{kind: (directly, through ksplitd)}. At once, since before most errors Chromium waits 3 s for
    a word about a login of the network. It has ksplit's CA beside those that it trusts anyway, as on
    any host."""
    browser = Chromium(tmp_path_factory.mktemp("browser"), [pki.origin_ca, pki.ca], [NAME])
    try:
        started = {kind: (Shown(browser, street.servers[kind].port),
                          Shown(browser, street.door(kind))) for kind in SAYS}
        yield {kind: [page.look() for page in pair] for kind, pair in started.items()}
    finally:
        browser.close()


@pytest.mark.parametrize("kind", SAYS)
def test_page_is_the_same(street, shown, kind):
    direct, through = shown[kind]
    assert direct.error == SAYS[kind]
    if kind in SHOWN_BY_THE_TWIN:
        assert (through.error, through.way_past) == (AUTHORITY, True), through.opened
        assert not direct.way_past, direct.opened
    elif direct.error is None:
        assert through.error is None
        assert direct.issuer == ("between" if kind == "good_chain" else "origin CA")
        assert through.issuer == "ksplit test CA"
    else:
        assert through.error == direct.error
        assert through.closed == direct.closed
        assert through.way_past == direct.way_past
        if kind not in OTHER_DAYS:
            assert through.opened == direct.opened
    for told in street.judged(kind):
        # No leaf is made for one that is not for servers: ksplitd passes it through.
        assert told == (None if kind == "wrong_purpose" else
                        {"verify": "mimic", "rule": None, "faults": street.made[kind].faults})
