# SPDX-License-Identifier: GPL-2.0-or-later
"""`ksplit-status certs`: the certificates that clients are shown."""

import hashlib
import ssl
from datetime import datetime

import pytest

from lib import env, metrics, stage as stages, stream
from lib.service import fingerprint, incoming
from lib.stage import connect_tls
from lib.status import run
from lib.tls import client_context, server_context


def call(daemon, stage, certificate, context):
    """One call to an origin with this certificate; what the log says of it."""
    mark = daemon.mark()
    with stage.play_tls(server_context(certificate), stages.echo) as play:
        try:
            with connect_tls(daemon.address, context) as sock:
                stream.close_orderly(sock)
            play.result()
        except ssl.SSLError:
            pass
    return daemon.wait_log(mark)[0]


def sha256_of(path):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()


@pytest.fixture
def daemon(ksplitd, stage, pki):
    """One good origin was called, one with an RSA key, and one that nobody trusts."""
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    daemon.shown = {}
    for name in ("origin", "origin_rsa", "unknown"):
        line = call(daemon, stage, getattr(pki, name), client_context(pki.ca))
        daemon.shown[name] = line["leaf_fingerprint_sha256"]
    return daemon


def test_the_ca_and_what_was_forged(daemon, pki):
    certs = daemon.ask("certs")["certs"]
    told = [(row["kind"], row["state"], row["name"], row["key"]) for row in certs]
    assert told == [("ca", "trusted", "ksplit test CA", "P-256"),
                    ("leaf", "untrusted", "origin.test", "P-256"),
                    ("leaf", "trusted", "origin.test", "P-256"),
                    ("leaf", "trusted", "origin.test", "P-256")]
    assert [row["fingerprint_sha256"] for row in certs] == [
        sha256_of(pki.ca.cert), *(daemon.shown[name] for name in
                                  ("unknown", "origin_rsa", "origin"))]
    for row in certs:
        assert row["not_before"] < row["not_after"]
        assert 0 < row["expires_ms"] <= 30 * 86400 * 1000
    # as many names as the origin has
    assert {row["names"] for row in certs[1:]} == {certs[1]["names"]} != {0}


def test_what_is_over_says_so(ksplitd, stage, pki):
    daemon = ksplitd("127.0.0.1:%d" % stage.port)
    call(daemon, stage, pki.expired, client_context(pki.ca))
    _, leaf = daemon.ask("certs")["certs"]
    assert leaf["expires_ms"] == 0
    lines = run(str(daemon.control_path), "certs").stdout.splitlines()
    assert lines[3].split()[:3] == ["leaf", "trusted", "over"]


def test_certificates_of_services(ksplitd, service, identities):
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False), {
        "identities": identities.settings(identities.shop, identities.shop_rsa)})
    rows = [row for row in daemon.ask("certs")["certs"] if row["kind"] == "identity"]
    assert [(row["key"], row["fingerprint_sha256"]) for row in rows] == [
        ("P-256", fingerprint(identities.shop)), ("RSA-2048", fingerprint(identities.shop_rsa))]


def test_metrics_tell_their_ends(ksplitd, service, identities):
    port = env.free_port()
    daemon = ksplitd(incoming("127.0.0.1:%d" % service.plain, upstream_tls=False), {
        "identities": identities.settings(identities.shop, identities.shop_rsa),
        "metrics": {"prometheus": "127.0.0.1:%d" % port}})
    rows = daemon.ask("certs")["certs"]
    told = {labels: value for (name, labels), value
            in metrics.parse(metrics.get(port, "/metrics")[2]).items()
            if name == "ksplit_certificate_not_after_timestamp_seconds"}
    assert [row["kind"] for row in rows] == ["ca", "identity", "identity"]
    assert told == {frozenset({"kind": row["kind"], "name": row["name"],
                               "fingerprint": row["fingerprint_sha256"][:16]}.items()):
                    datetime.fromisoformat(row["not_after"]).timestamp() for row in rows}


def test_table(daemon):
    told = run(str(daemon.control_path), "certs", columns=100).stdout.splitlines()
    assert told[0] == "A CA, 0 of services, 3 forged; by expires"
    assert told[2].split() == ["KIND", "STATE", "EXPIRES", "IN", "KEY", "NAMES", "NAME"]
    assert sorted(line.split()[0] for line in told[3:]) == ["ca", "leaf", "leaf", "leaf"]
    assert all(len(line) < 100 for line in told)
    by_state = run(str(daemon.control_path), "certs", "--sort", "state").stdout.splitlines()[3:]
    assert [line.split()[1] for line in by_state] == ["trusted"] * 3 + ["untrusted"]
    assert daemon.shown["origin"] in run(str(daemon.control_path), "certs", columns=220).stdout
