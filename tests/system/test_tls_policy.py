# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions, suites, groups and security level of each side, and what becomes of those who have none
of them (docs/tls-policy.md)."""

import json
import ssl

import pytest

from lib import env, expect, origins, stage as stages, stream
from lib.daemon import run_to_end
from lib.process import run
from lib.tls import TLS12, TLS13, client_context, server_context

ONE = {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384", "max_version": "1.2"}
OTHER = {"ciphersuites": "TLS_CHACHA20_POLY1305_SHA256", "min_version": "1.3"}


def call(daemon, pki, stage, suite=None, server=None):
    """One call whose end has been seen; its line of the access log."""
    mark = daemon.mark()
    with stage.play_tls(server_context(pki.origin, server), stages.echo) as play:
        context = client_context(pki.ca, suite)
        with stages.connect_tls(daemon.address, context) as sock:
            sock.sendall(b"policy")
            assert stream.receive_exactly(sock, 6) == b"policy"
            stream.close_orderly(sock)
        play.result()
    return daemon.wait_log(mark)[0]


def test_each_side_has_its_own(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"tls": {"client": ONE, "upstream": OTHER}})
    entry = call(daemon, pki, stage)
    assert entry["client_tls"]["version"] == "TLSv1.2", entry
    assert entry["client_tls"]["cipher"] == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", entry
    assert entry["upstream_tls"]["version"] == "TLSv1.3", entry
    assert entry["upstream_tls"]["cipher"] == "TLS_CHACHA20_POLY1305_SHA256", entry


def test_rule_for_an_origin_and_reload(ksplitd, pki, stage):
    """A rule's policy is the section's but for what it says; another comes by a reload."""
    rules = [{"sni": "origin.test", "tls": {"max_version": "1.2", "min_version": "1.2"}}]
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"tls": {"upstream": dict(OTHER, ciphers=ONE["ciphers"])},
                      "upstream": {"rules": rules}})
    entry = call(daemon, pki, stage)
    assert entry["upstream_tls"]["cipher"] == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", entry
    daemon.config["upstream"]["rules"] = []
    daemon.config_path.write_text(json.dumps(daemon.config))
    assert daemon.ask("reload")["reloaded"]
    entry = call(daemon, pki, stage)
    assert entry["upstream_tls"]["cipher"] == "TLS_CHACHA20_POLY1305_SHA256", entry


@pytest.mark.parametrize("old_versions", ("pass", "refuse"))
def test_client_without_a_version(ksplitd, pki, stage, old_versions):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"tls": {"client": {"min_version": "1.3", "old_versions": old_versions}}})
    context = client_context(pki.origin_ca, TLS12)
    with stage.play_tls(server_context(pki.origin), stages.echo):
        if old_versions == "refuse":
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                stages.connect_tls(daemon.address, context)
        else:
            stages.connect_tls(daemon.address, context).close()
    entry, = daemon.wait_log()
    if old_versions == "refuse":
        assert entry["reason"] == "version_refused" and daemon.reason_count("version_refused") == 1
    else:
        assert (entry["mode"], entry["pass_reason"]) == ("pass", "no_common_version"), entry


@pytest.mark.parametrize("old_versions", ("pass", "refuse"))
def test_origin_without_a_version(ksplitd, pki, stage, old_versions):
    daemon = ksplitd("127.0.0.1:%d" % stage.port,
                     {"tls": {"upstream": {"min_version": "1.3", "old_versions": old_versions}}})
    with stage.play_tls(server_context(pki.origin, TLS12), stages.echo):
        if old_versions == "refuse":
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                stages.connect_tls(daemon.address, client_context(pki.ca))
        else:
            stages.connect_tls(daemon.address, client_context(pki.origin_ca)).close()
    entry, = daemon.wait_log()
    if old_versions == "refuse":
        assert entry["reason"] == "version_refused", entry
    else:
        assert (entry["mode"], entry["pass_reason"]) == ("pass", "upstream_refused"), entry


@pytest.mark.needs("openssl")
def test_groups_and_security_level(ksplitd, pki):
    """A group for the origin's side; suites of the client's that only level 0 lets through."""
    port = env.free_port()
    policy = {"client": {"ciphers": "ALL:@SECLEVEL=0", "max_version": "1.2", "security_level": 0},
              "upstream": {"groups": "P-521"}}
    daemon = ksplitd("127.0.0.1:%d" % port, {"tls": policy})
    with origins.openssl_s_server(port, pki.origin, "-groups", "P-521:X25519") as server:
        done = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-servername",
                   "origin.test", "-CAfile", pki.ca.cert, "-verify_return_error", "-tls1_2",
                   "-cipher", "ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")
        assert b"Cipher is ECDHE-ECDSA-AES128-SHA" in done.stdout
        server.expect("secp521r1")
    entry, = daemon.wait_log()
    if env.EXPECT_KTLS:
        assert entry["client_tls"]["ktls"]["tx"] == "ktls_cipher", entry


@pytest.mark.parametrize("policy, complaint", (
    ({"client": {"min_version": "1.1"}},
     '"tls.client.min_version": is "1.1", expected "1.2" or "1.3"'),
    ({"upstream": {"groups": "P-12"}}, '"tls.upstream.groups": this OpenSSL knows none of it'),
    ({"client": {"min_version": "1.3", "max_version": "1.2"}},
     '"tls.client": min_version is above max_version'),
    ({"client": {"security_level": 6}}, '"tls.client.security_level": is 6'),
    ({"client": {"old_versions": "no"}}, '"tls.client.old_versions": is "no"'),
    ({"clients": {}}, '"tls.clients": unknown key, did you mean "tls.client"'),
), ids=lambda value: "")
def test_bad_policy_is_refused_with_its_line(tmp_path, policy, complaint):
    path = tmp_path / "ksplit.json"
    path.write_text("{\n\"tls\": %s\n}" % str(policy).replace("'", '"'))
    done = run_to_end(("-c", path, "--check"))
    assert done.returncode == 2, done.stderr
    assert "%s:2: " % path in done.stderr and complaint in done.stderr, done.stderr


def test_defaults_are_intercepted_as_before(ksplitd, pki, stage):
    daemon = ksplitd("127.0.0.1:%d" % stage.port, {"tls": {"client": {}, "upstream": {}}})
    for suite in (TLS12, TLS13):
        entry = call(daemon, pki, stage, suite, suite)
        assert entry["mode"] == "intercept", entry
        expect.assert_relayed(entry, "auto")
