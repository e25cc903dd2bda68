# SPDX-License-Identifier: GPL-2.0-or-later
"""What access log and control socket must say of a connection, on a kernel with TLS and without."""

from . import env

DIRECTIONS = [(side, way) for side in ("client_tls", "upstream_tls") for way in ("rx", "tx")]

# What comes right behind a session ticket is fetched by the same recvmsg(2) as the ticket: a
# splice relay may copy that much.
COPIED_AT_MOST = 256 * 1024

IANA = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}


def kernel_expected(relay):
    """Does this relay have the kernel hold the keys, on the running kernel?"""
    return env.EXPECT_KTLS and relay != "user"


def fallback_reason(relay):
    """Why a direction is in user space where it is."""
    return "relay_user" if relay == "user" else "ktls_not_in_kernel"


def assert_kernel_counted(before, connections):
    """/proc/net/tls_stat, the kernel's own count, since `before`: two sockets a connection, both
    ways of each. Other programs of a host may have opened some, too; in the VM there are none."""
    now = env.read_tls_stat()
    for name in ("TlsRxSw", "TlsTxSw"):
        grown = now.get(name, 0) - before.get(name, 0)
        assert grown == 2 * connections or (grown > 2 * connections and not env.IN_VM), (
            "%s: %d, not %d" % (name, grown, 2 * connections))


def relays_of_bytes(entry, relay, observed):
    """By which of "splice", "copy" and "user" a flow's last bytes may have gone."""
    if not kernel_expected(relay):
        return ("user",)
    # Each frame of HTTP/2 has a header that somebody has to look at, and frames are small.
    if relay == "copy" or (observed and entry["alpn"] == "h2"):
        return ("copy",)
    return ("splice", "copy")


def assert_relayed(entry, relay, observed=True, long_frames=False):
    """An intercepted connection went the way that the relay stands for: all four directions in
    the kernel where it can, else in user space with the reason told. observed: by a daemon whose
    sampler is not off; long_frames: of HTTP/2, whose middle nobody has to look at."""
    assert entry["mode"] == "intercept", entry
    for side, way in DIRECTIONS:
        told = entry[side]["ktls"][way]
        if kernel_expected(relay):
            assert told is True, "%s %s: %s\n%s" % (side, way, told, entry)
        else:
            assert told == fallback_reason(relay), "%s %s: %s\n%s" % (side, way, told, entry)
    for flow in (entry["to_origin"], entry["to_client"]):
        if not flow["bytes"]:
            continue
        ways = relays_of_bytes(entry, relay, observed and not long_frames)
        assert flow["relay"] in ways, entry
        if "splice" not in ways:
            assert flow["spliced"] == 0, entry
        elif relay == "splice":
            assert flow["spliced"] >= flow["bytes"] - COPIED_AT_MOST, entry


def assert_spliced(flow, relay):
    """Bulk that a pipe can carry: where the kernel has the keys most of it was never in user
    space."""
    if kernel_expected(relay) and relay in ("splice", "auto"):
        assert flow["spliced"] > flow["bytes"] // 2, flow


def assert_suites(entry, client_suite, origin_suite):
    """Version and cipher suite of both sides, under IANA's names."""
    for side, suite in (("client_tls", client_suite), ("upstream_tls", origin_suite)):
        assert entry[side]["version"] == suite.version, entry
        assert entry[side]["cipher"] == IANA.get(suite.cipher, suite.cipher), entry


def assert_sockets(connection, relay, client_suite, origin_suite):
    """Socket diagnostics of an open connection: the kernel's own word."""
    for side, suite in (("client", client_suite), ("upstream", origin_suite)):
        socket = connection["kernel"][side]
        assert socket is not None, connection
        if kernel_expected(relay):
            assert (socket["ulp"], socket["version"], socket["cipher"].lower()) == (
                "tls", suite.version, suite.kernel), socket
            assert (socket["rxconf"], socket["txconf"]) == ("sw", "sw"), socket
        else:
            # "base": the ULP without keys.
            assert {socket["rxconf"], socket["txconf"]} <= {"none", "base"}, socket
        assert socket["tcp"]["received_bytes"] > 0, socket
