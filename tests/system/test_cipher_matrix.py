# SPDX-License-Identifier: GPL-2.0-or-later
"""{TLS 1.2, 1.3} x {AES-128-GCM, AES-256-GCM, CHACHA20-POLY1305} on the client's side times the
same on the origin's, through each relay; bytes both ways, and the kernel's own word for its part."""

import pytest

from lib import env, expect
from lib.tls import SUITES

SIZE = 200000


@pytest.mark.every_relay
@pytest.mark.parametrize("client_suite", SUITES, ids=repr)
def test_bytes_pass_to_origins_of_every_suite(proxy, client_suite):
    before = env.read_tls_stat()

    for origin_suite in SUITES:
        connections = proxy.exchange(client_suite, origin_suite, SIZE,
                                     while_open=proxy.daemon.connections)
        assert len(connections) == 1, connections
        expect.assert_sockets(connections[0], proxy.relay, client_suite, origin_suite)

    lines = proxy.lines(len(SUITES))
    assert len(lines) == len(SUITES)
    for entry, origin_suite in zip(lines, SUITES):
        expect.assert_relayed(entry, proxy.relay)
        expect.assert_suites(entry, client_suite, origin_suite)
        assert (entry["to_origin"]["bytes"], entry["to_client"]["bytes"]) == (SIZE, SIZE), entry
        assert entry["reason"] == "closed", entry
    assert_kernel_counted(proxy, before, env.read_tls_stat(), 2 * len(SUITES))


def assert_kernel_counted(proxy, before, after, sockets):
    """/proc/net/tls_stat: each socket was one software session in each direction."""
    if not expect.kernel_expected(proxy.relay):
        return
    for counter in ("TlsTxSw", "TlsRxSw"):
        assert after[counter] - before[counter] == sockets, (counter, before, after)
    assert after["TlsDecryptError"] == before["TlsDecryptError"], (before, after)


def test_kernel_support_is_told(proxy):
    """The control socket's `kernel` command says what this kernel can do."""
    kernel = proxy.daemon.ask("kernel")
    assert kernel["ktls"]["ulp"] is env.EXPECT_KTLS, kernel
    assert kernel["ktls"]["rekey"] is env.EXPECT_REKEY, kernel
    for direction in ("tx", "rx"):
        for version in ("TLSv1.2", "TLSv1.3"):
            ciphers = kernel["ktls"][direction][version]
            wanted = ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"]
            assert ciphers == (wanted if env.EXPECT_KTLS else []), kernel


@pytest.mark.every_relay
def test_fallbacks_are_counted(proxy):
    """A relay that cannot be had is told and counted for each of the four directions."""
    reason = expect.fallback_reason(proxy.relay)
    before = proxy.daemon.reason_count(reason)
    proxy.exchange(size=1000)
    expect.assert_relayed(proxy.line(), proxy.relay)
    counted = proxy.daemon.reason_count(reason) - before
    assert counted == (0 if expect.kernel_expected(proxy.relay) else 4)
