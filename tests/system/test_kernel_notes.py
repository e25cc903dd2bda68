# SPDX-License-Identifier: GPL-2.0-or-later
"""Kbuild-notes against the running kernel: every row that names a test is tried, and must work
exactly where the notes say so. Needs root (network namespaces, modules); runs in the test VM too."""

import errno
import os
import subprocess

import pytest

from lib import bpf_try, env, kernel_notes, kernel_try as attempt
from lib.process import ENV

ROWS = kernel_notes.rows_read()
SHELL_ROWS = [name for name, row in ROWS.items()
              if row.command != "-" and row.command.split()[0] not in ("ksplit-status", "ss", "uname")]

# What a kernel without the feature answers; any other error is a failure of its own.
REFUSALS = (errno.ENOENT, errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT,
            errno.ENOTSUP, errno.EBUSY, errno.EADDRNOTAVAIL)


@pytest.fixture(autouse=True)
def root():
    assert os.geteuid() == 0, "these tests need root"
    subprocess.run(["modprobe", "--quiet", "tls"], env=ENV, check=False)


def check(name, try_it, *arguments):
    """Try it, and compare with what the row says of this kernel. Returns the refusal, if any."""
    row, refusal = ROWS[name], None
    try:
        works = try_it(*arguments)
    except OSError as error:
        assert error.errno in REFUSALS, f"{name}: {error}"
        works, refusal = False, error
    assert works == row.expected(), (
        f"{name}: Kbuild-notes says first {row.first}, options {row.options} "
        f"(here {[kernel_notes.option_value(o) for o in row.options]}) and so "
        f"{'works' if row.expected() else 'does not'} on {kernel_notes.RELEASE}; it does"
        f"{'' if works else ' not'} ({refusal})")
    return refusal


def test_every_row_has_its_test():
    mine = {name for name in globals() if name.startswith("test_")}
    for name, row in ROWS.items():
        if row.test.startswith("not tried: "):
            continue
        assert row.test in mine, f"{name}: there is no {row.test}"
        assert name in globals()[row.test].__code__.co_consts, f"{row.test} does not try {name}"


def test_notes_fit_the_screen():
    text = kernel_notes.NOTES.read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("name", SHELL_ROWS)
def test_command(name):
    """The command of a row succeeds where its feature is there, and only there."""
    row = ROWS[name]
    done = subprocess.run(["bash", "-c", row.command], env=ENV, capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode == 0) == row.expected(), f"{row.command}\n{done.stdout}{done.stderr}"


def test_ktls_ulp():
    refusal = check("ktls-ulp", attempt.ulp)
    assert refusal is None or refusal.errno == errno.ENOENT
    assert (refusal is None) == env.EXPECT_KTLS, "whoever booted this kernel says otherwise"


def module_remove(name):
    """False while a socket somewhere still uses it."""
    return subprocess.run(["modprobe", "-r", name], env=ENV, capture_output=True,
                          check=False).returncode == 0


def test_ktls_autoload():
    """Taken out of the kernel, the module comes back by the first use: with CAP_NET_ADMIN."""
    if kernel_notes.option_value("CONFIG_TLS") == "m":
        env.wait_for(lambda: module_remove("tls"), "module tls to be unused")
        unprivileged = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
             "--bounding-set", "-all", "--inh-caps", "-all", "/usr/bin/python3", "-B", "-c",
             "import socket\n"
             "with socket.create_server(('127.0.0.1', 0)) as s:\n"
             "    c = socket.create_connection(s.getsockname())\n"
             f"    c.setsockopt(socket.IPPROTO_TCP, {attempt.TCP_ULP}, b'tls')"],
            env=ENV, capture_output=True, text=True, check=False)
        assert f"[Errno {errno.ENOENT}]" in unprivileged.stderr, unprivileged.stderr
    check("ktls-autoload", attempt.ulp)


def test_ktls_tx():
    check("ktls-tx", attempt.transmit)


def test_ktls_rx():
    check("ktls-rx", attempt.receive)


def test_ktls_tls13():
    check("ktls-tls13", attempt.receive, attempt.TLS13)


def test_ktls_aes256():
    for version in (attempt.TLS12, attempt.TLS13):
        check("ktls-aes256", attempt.receive, version, attempt.AES256_GCM)


def test_ktls_chacha20():
    for version in (attempt.TLS12, attempt.TLS13):
        check("ktls-chacha20", attempt.receive, version, attempt.CHACHA20)


def test_ktls_ccm():
    check("ktls-ccm", attempt.receive, attempt.TLS12, attempt.AES128_CCM)


def test_ktls_splice():
    check("ktls-splice", attempt.tls_splice)


def test_ktls_control():
    check("ktls-control", attempt.control_records)


def test_ktls_rekey():
    refusal = check("ktls-rekey", attempt.rekey)
    if ROWS["ktls-tls13"].expected() and not ROWS["ktls-rekey"].expected():
        assert refusal.errno == errno.EBUSY


def test_ktls_limit():
    check("ktls-limit", attempt.limit_records)


def test_ktls_no_pad():
    check("ktls-no-pad", attempt.expect_no_pad)


def test_tls_stat():
    check("tls-stat", attempt.stat_counts)


def test_aes_fast():
    with open("/proc/cpuinfo", encoding="ascii") as cpuinfo:
        assert " aes " in cpuinfo.read(), "this CPU has no AES instructions: run it elsewhere"
    check("aes-fast", attempt.ciphers_fast)


def test_sock_diag():
    check("sock-diag", attempt.tcp_diag)


def test_ulp_info():
    check("ulp-info", attempt.ulp_info)


def test_epoll():
    check("epoll", attempt.epoll)


def test_reuseport():
    check("reuseport", attempt.reuseport)


def test_splice_sockets():
    check("splice", attempt.plain_splice)


def test_pipe_size():
    check("pipe-size", attempt.pipe_size)


def test_ipv6():
    check("ipv6", attempt.ipv6)


def test_redirect():
    check("redirect", attempt.in_namespace, "redirect_inside")


def test_redirect6():
    check("redirect6", attempt.in_namespace, "redirect6_inside")


def test_tproxy():
    check("tproxy", attempt.in_namespace, "tproxy_inside")


def test_nft_owner():
    check("nft-owner", attempt.in_namespace, "nft_owner_inside")


def test_nft_inet():
    check("nft-inet", attempt.in_namespace, "inet_inside")


def test_nft_dnat():
    check("nft-dnat", attempt.in_namespace, "dnat_inside")


def test_nft_fib():
    check("nft-fib", attempt.in_namespace, "fib_inside")


def test_nft_socket():
    check("nft-socket", attempt.in_namespace, "socket_mark_inside")


def test_nft_wildcard():
    check("nft-wildcard", attempt.in_namespace, "transparent_inside")


def test_nft_cgroup():
    check("nft-cgroup", attempt.in_namespace, "cgroup_inside")


def test_nft_ct():
    check("nft-ct", attempt.in_namespace, "conntrack_inside")


def test_nft_zone():
    check("nft-zone", attempt.in_namespace, "zone_inside")


def test_nft_reject():
    check("nft-reject", attempt.in_namespace, "reject_inside")


def test_bpf():
    check("bpf", bpf_try.ring_buffer)


def test_bpf_timings():
    check("bpf-timings", bpf_try.sock_ops_link)


def test_bpf_processes():
    check("bpf-processes", bpf_try.connect_hook)


def test_bpf_steer():
    check("bpf-steer", bpf_try.steering)


def test_bpf_netns():
    check("bpf-netns", bpf_try.sock_ops_netns)


def test_bpf_fexit():
    """A machine's own policy may refuse just these programs, even to root; a stock kernel's has
    none."""
    try:
        bpf_try.function_exit()
    except PermissionError:
        assert "KSPLIT_VM" not in os.environ, "refused by a kernel without such a policy"
        assert bpf_try.sock_ops_link(), "refused as all BPF is: run it with more privilege"
        return
    except OSError:
        pass
    check("bpf-fexit", bpf_try.function_exit)


def test_bpf_loop():
    check("bpf-loop", bpf_try.helper_loop)


def test_bpf_sk_msg():
    check("bpf-sk-msg", bpf_try.sk_msg_verdict)


def test_bpffs():
    check("bpffs", bpf_try.bpffs)


def test_diag_cgroup():
    check("diag-cgroup", bpf_try.diag_cgroup)


def test_daemon_finds_the_same(ksplitd):
    """What ksplitd's own probe tells in `ksplit-status kernel` is what the rows say."""
    ktls = ksplitd("127.0.0.1:9").ask("kernel")["ktls"]
    told = {
        "ktls-ulp": ktls["ulp"], "ktls-rekey": ktls["rekey"],
        "ktls-tx": "AES-128-GCM" in ktls["tx"]["TLSv1.2"],
        "ktls-rx": "AES-128-GCM" in ktls["rx"]["TLSv1.2"],
        "ktls-tls13": "AES-128-GCM" in ktls["rx"]["TLSv1.3"],
        "ktls-aes256": "AES-256-GCM" in ktls["rx"]["TLSv1.3"],
        "ktls-chacha20": "CHACHA20-POLY1305" in ktls["rx"]["TLSv1.3"],
    }
    assert told == {name: ROWS[name].expected() for name in told}
