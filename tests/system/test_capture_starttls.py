# SPDX-License-Identifier: GPL-2.0-or-later
"""Captured dialogues in plain that turn to TLS: intercepted, and what is learned where one could
not be opened, with a name and without."""

import os

import pytest

from lib import stage as stages, starttls
from lib.capturing import QUICK, Capturing, within
from lib.cgroups import Cgroup, own_name
from lib.daemon import Ksplitd
from lib.netns import Row

pytestmark = pytest.mark.needs("ip", "nft", "nsenter", "openssl")

PORTS = {"smtp": 25, "imap": 143}
LEARNING = {"limits": {"learned_pass": 60000}}


@pytest.fixture(scope="module")
def mail(site):
    """Stages at the origin's, for a server of mail each."""
    servers = {name: stages.Stage(site.row.listen(4, port)) for name, port in PORTS.items()}
    yield servers
    for stage in servers.values():
        stage.close()


def capturing(site, settings=None):
    return Capturing(site, {"outgoing": {"ports": list(PORTS.values())}}, hosts=("127.0.0.1",),
                     settings=settings)


def call(site, protocol, authority, **more):
    """The gateway's own call to the origin, by its address."""
    return starttls.s_client((Row.ORIGIN[4], PORTS[protocol]), protocol, authority,
                             prefix=within(site.row.gateway), **more)


def upgrades(daemon, count):
    """The last lines of the access log, by address; what the self-test said was before."""
    daemon.settle()
    lines = daemon.access_log()[-count:]
    assert all(line["starttls"] for line in lines), lines
    return [(line["upstream"].rpartition(":")[2], line["sni"], line["mode"],
             line["pass_reason"] or line["reason"]) for line in lines]


def test_captured_dialogues_are_intercepted(site, mail, pki):
    with capturing(site) as daemon:
        for protocol in PORTS:
            with starttls.serve(mail[protocol], pki.origin, starttls.SERVERS[protocol]) as play:
                assert call(site, protocol, pki.ca) == b"HELLO\n"
                assert play.result() == b"hello\n"
        assert upgrades(daemon, 2) == [("25", "origin.test", "intercept", "closed"),
                                       ("143", "origin.test", "intercept", "closed")]


def test_what_failed_is_learned_for_its_destination_alone(site, mail, pki):
    """Without a name in the hello the destination is what counts, port and all; with one, the name."""
    certificate = ("-cert", pki.client.cert, "-key", pki.client.key)

    def fails(protocol, **more):
        with pytest.raises(AssertionError, match="s_client ended"):
            call(site, protocol, pki.origin_ca, more=certificate, **more)

    def passes(protocol, **more):
        assert call(site, protocol, pki.origin_ca, more=certificate, **more) == b"HELLO\n"

    with capturing(site, LEARNING) as daemon:
        with starttls.serve(mail["smtp"], pki.origin, starttls.smtp, client_ca=pki.client_ca):
            fails("smtp", sni=False)
            passes("smtp", sni=False)
            # Another destination of the same host ...
            with starttls.serve(mail["imap"], pki.origin, starttls.imap):
                assert call(site, "imap", pki.ca, sni=False) == b"HELLO\n"
            # ... and a name at this one are not that destination.
            fails("smtp")
            passes("smtp")
        # The name counts wherever it is.
        with starttls.serve(mail["imap"], pki.origin, starttls.imap, client_ca=pki.client_ca):
            passes("imap")
        cut, told = ("intercept", "upgrade_failed"), ("pass", "starttls_learned")
        assert upgrades(daemon, 6) == [
            ("25", None, *cut), ("25", None, *told), ("143", None, "intercept", "closed"),
            ("25", "origin.test", *cut), ("25", "origin.test", *told),
            ("143", "origin.test", *told)]


def test_dialogue_steered_by_the_hook(stage, pki):
    """The same without rules."""
    assert os.geteuid() == 0, "this test needs root"
    with Cgroup(own_name("mail")) as app:
        hook = {"cgroups": [app.name], "ports": [stage.port]}
        with Ksplitd(pki, "original", dict(QUICK, capture={"hook": hook}, **LEARNING)) as daemon:
            def call_steered(authority, **more):
                return starttls.s_client(stage.address, "smtp", authority, sni=False,
                                         prefix=app.prefix, **more)

            with starttls.serve(stage, pki.origin, starttls.smtp):
                assert call_steered(pki.ca) == b"HELLO\n"
            with starttls.serve(stage, pki.origin, starttls.smtp, client_ca=pki.client_ca):
                certificate = ("-cert", pki.client.cert, "-key", pki.client.key)
                with pytest.raises(AssertionError, match="s_client ended"):
                    call_steered(pki.origin_ca, more=certificate)
                assert call_steered(pki.origin_ca, more=certificate) == b"HELLO\n"
            port = str(stage.port)
            assert upgrades(daemon, 3) == [
                (port, None, "intercept", "closed"), (port, None, "intercept", "upgrade_failed"),
                (port, None, "pass", "starttls_learned")]
