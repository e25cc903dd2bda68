// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/capability.h>

#include "check.h"
#include "look.h"
#include "try.h"

#define BPF_CAPS   (CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_BPF))
#define MOUNT_CAPS CAP_BIT(CAP_SYS_ADMIN)
#define KERNEL     "a newer kernel, or one with the options of Kbuild-notes"

#define TRY(area_, name_, weight_, caps_, try_, what_, lost_, mend_)                               \
	{                                                                                          \
		.area = (area_), .name = (name_), .weight = (weight_), .caps = (caps_),            \
		.attempt = (try_), .what = (what_), .lost = (lost_), .mend = (mend_)               \
	}
#define LOOK(area_, name_, look_, what_)                                                           \
	{                                                                                          \
		.area = (area_), .name = (name_), .look = (look_), .what = (what_)                 \
	}

static const char kernel_tls[] = "Kernel TLS";
static const char sockets[] = "Sockets";
static const char rules[] = "Rules (tried in a network namespace of their own)";
static const char bpf[] = "BPF";
static const char setup[] = "Configuration and CA";
static const char host[] = "This host";

const struct check checks[] = {
	/* First: it finds out whether the first use loads the module. */
	TRY(kernel_tls, "ktls-autoload", WEIGHT_LOSS, 0, try_ktls_autoload,
	    "the kernel loads its TLS by itself", "kernel TLS, until somebody loads the module",
	    "echo tls >/etc/modules-load.d/ksplit.conf && modprobe tls"),
	TRY(kernel_tls, "ktls-ulp", WEIGHT_LOSS, 0, try_ktls_ulp, "kernel TLS",
	    "kernel TLS as a whole: every byte goes through the daemon",
	    "modprobe tls (as root), or a kernel with CONFIG_TLS"),
	TRY(kernel_tls, "ktls-tx", WEIGHT_LOSS, 0, try_ktls_tx, "sending keys in the kernel",
	    "splice and copy: the daemon encrypts itself", KERNEL),
	TRY(kernel_tls, "ktls-rx", WEIGHT_LOSS, 0, try_ktls_rx, "receiving keys in the kernel",
	    "splice and copy: the daemon decrypts itself", KERNEL),
	TRY(kernel_tls, "ktls-tls13", WEIGHT_LOSS, 0, try_ktls_tls13, "TLS 1.3 in the kernel",
	    "TLS 1.3 connections stay in user space", KERNEL),
	TRY(kernel_tls, "ktls-aes256", WEIGHT_LOSS, 0, try_ktls_aes256, "AES-256-GCM in the kernel",
	    "such connections stay in user space", KERNEL),
	TRY(kernel_tls, "ktls-chacha20", WEIGHT_LOSS, 0, try_ktls_chacha20,
	    "CHACHA20-POLY1305 in the kernel", "such connections stay in user space",
	    "modprobe chacha20poly1305, or " KERNEL),
	TRY(kernel_tls, "ktls-ccm", WEIGHT_NONE, 0, try_ktls_ccm, "AES-CCM in the kernel", NULL,
	    NULL),
	TRY(kernel_tls, "ktls-splice", WEIGHT_LOSS, 0, try_ktls_splice,
	    "splice from and to kernel TLS", "relay splice: bytes are copied by the daemon",
	    KERNEL),
	TRY(kernel_tls, "ktls-control", WEIGHT_LOSS, 0, try_ktls_control,
	    "alerts on sockets of kernel TLS", "alerts of connections in the kernel", KERNEL),
	TRY(kernel_tls, "ktls-rekey", WEIGHT_LOSS, 0, try_ktls_rekey,
	    "new keys for a connection in the kernel",
	    "a connection whose peer renews its keys is closed in order", "Linux 6.14 or later"),
	TRY(kernel_tls, "ktls-limit", WEIGHT_NONE, 0, try_ktls_limit, "TLS_TX_MAX_PAYLOAD_LEN",
	    NULL, NULL),
	TRY(kernel_tls, "ktls-no-pad", WEIGHT_NONE, 0, try_ktls_no_pad, "TLS_RX_EXPECT_NO_PAD",
	    NULL, NULL),
	TRY(kernel_tls, "tls-stat", WEIGHT_LOSS, 0, try_tls_stat, "the kernel's counters of TLS",
	    "these counters in ksplit-status kernel", KERNEL),
	TRY(kernel_tls, "aes-fast", WEIGHT_LOSS, 0, try_aes_fast, "AES by the CPU's instructions",
	    "several times the CPU time for kernel TLS", "modprobe aesni_intel"),

	TRY(sockets, "epoll", WEIGHT_FATAL, 0, try_epoll, "epoll", "ksplitd does not start",
	    KERNEL),
	TRY(sockets, "reuseport", WEIGHT_FATAL, 0, try_reuseport, "two listeners on one port",
	    "ksplitd does not start", KERNEL),
	TRY(sockets, "splice", WEIGHT_LOSS, 0, try_splice, "splice between sockets",
	    "relay splice, also for what is passed through", KERNEL),
	TRY(sockets, "pipe-size", WEIGHT_LOSS, 0, try_pipe_size, "pipes of 128 KiB",
	    "relay splice: a pipe has to hold a whole record", "sysctl fs.pipe-max-size=1048576"),
	TRY(sockets, "ipv6", WEIGHT_LOSS, 0, try_ipv6, "IPv6",
	    "listeners, clients and origins with IPv6 addresses",
	    "sysctl net.ipv6.conf.lo.disable_ipv6=0, or a kernel with CONFIG_IPV6"),
	TRY(sockets, "sock-diag", WEIGHT_LOSS, 0, try_sock_diag, "socket diagnostics",
	    "figures of each socket in ksplit-status connections", "modprobe tcp_diag"),
	TRY(sockets, "ulp-info", WEIGHT_LOSS, 0, try_ulp_info,
	    "the kernel's word on a socket's TLS",
	    "version and cipher as the kernel has them in ksplit-status connections", KERNEL),
	TRY(sockets, "diag-cgroup", WEIGHT_LOSS, 0, try_diag_cgroup, "the cgroup of a socket",
	    "without the connect hook: units of callers that have moved since", KERNEL),

	TRY(rules, "redirect", WEIGHT_LOSS, 0, try_redirect, "REDIRECT rules and SO_ORIGINAL_DST",
	    "capture by redirect; destination original", "modprobe nft_redir, or " KERNEL),
	TRY(rules, "redirect6", WEIGHT_LOSS, 0, try_redirect6, "the same for IPv6",
	    "capture of IPv6 by redirect", "modprobe nft_redir, or " KERNEL),
	TRY(rules, "tproxy", WEIGHT_LOSS, 0, try_tproxy, "TPROXY rules",
	    "capture by tproxy; destination tproxy", "modprobe nft_tproxy, or " KERNEL),
	TRY(rules, "nft-inet", WEIGHT_LOSS, 0, try_nft_inet,
	    "rules for both families in one table that lead calls elsewhere", "capture by rules",
	    "modprobe nft_redir nft_chain_nat, or " KERNEL),
	TRY(rules, "nft-dnat", WEIGHT_LOSS, 0, try_nft_dnat, "DNAT rules",
	    "capture of incoming and forwarded calls by a listener on one address",
	    "modprobe nft_nat, or a listener on all addresses"),
	TRY(rules, "nft-fib", WEIGHT_LOSS, 0, try_nft_fib, "rules that know this host's addresses",
	    "capture by rules", "modprobe nft_fib_inet, or " KERNEL),
	TRY(rules, "nft-socket", WEIGHT_LOSS, 0, try_nft_socket,
	    "rules that see the mark of a caller's socket", "capture of outgoing calls by rules",
	    "modprobe nft_socket, or the connect hook (capture.hook)"),
	TRY(rules, "nft-wildcard", WEIGHT_LOSS, 0, try_nft_wildcard,
	    "rules that know ksplitd's own transparent sockets", "capture by tproxy",
	    "modprobe nft_socket, or capture by redirect"),
	TRY(rules, "nft-cgroup", WEIGHT_LOSS, MOUNT_CAPS, try_nft_cgroup,
	    "rules for chosen cgroups", "capture by rules of chosen cgroups, and exempt ones",
	    "Linux 5.13 or later with cgroup v2, or the connect hook (capture.hook)"),
	TRY(rules, "nft-ct", WEIGHT_LOSS, 0, try_nft_ct, "rules that know open connections",
	    "connections that are open when capture is switched off",
	    "modprobe nft_ct, or " KERNEL),
	TRY(rules, "nft-zone", WEIGHT_LOSS, 0, try_nft_zone,
	    "rules that give calls a zone of connection tracking",
	    "capture that leads to a listener with client_address transparent",
	    "a kernel with CONFIG_NF_CONNTRACK_ZONES, or client_address proxy_v2"),
	TRY(rules, "nft-reject", WEIGHT_LOSS, 0, try_nft_reject, "rules that refuse, and say so",
	    "capture with refuse_quic", "modprobe nft_reject_inet, or " KERNEL),
	TRY(rules, "nft-owner", WEIGHT_LOSS, 0, try_nft_owner, "tables that go with their owner",
	    "rules of ksplit's own that the kernel withdraws when ksplitd is gone", KERNEL),

	TRY(bpf, "bpf", WEIGHT_LOSS, BPF_CAPS, try_bpf, "ring buffers and BTF of the kernel",
	    "all of BPF: timings, sampling in the kernel", KERNEL),
	TRY(bpf, "bpf-timings", WEIGHT_LOSS, BPF_CAPS, try_bpf_timings,
	    "programs that see a cgroup's connections (sock_ops)",
	    "connect times, round trips and retransmits of endpoints", KERNEL),
	TRY(bpf, "bpf-processes", WEIGHT_LOSS, BPF_CAPS, try_bpf_processes,
	    "programs that are asked when a process connects",
	    "callers are looked for in /proc: slower, and some stay unknown", KERNEL),
	TRY(bpf, "bpf-steer", WEIGHT_LOSS, BPF_CAPS, try_bpf_steer,
	    "connect led elsewhere, getpeername answered as before", "capture by connect hook",
	    KERNEL),
	TRY(bpf, "bpf-netns", WEIGHT_LOSS, BPF_CAPS, try_bpf_netns,
	    "programs that tell network namespaces apart",
	    "callers with the same address in several namespaces are mixed up", KERNEL),
	TRY(bpf, "bpf-fexit", WEIGHT_LOSS, BPF_CAPS, try_bpf_fexit,
	    "programs at the exit of kernel functions",
	    "kernel TLS connections are sampled by the daemon, and so go through it", KERNEL),
	TRY(bpf, "bpf-loop", WEIGHT_LOSS, BPF_CAPS, try_bpf_loop, "bpf_loop in programs",
	    "both samplers in the kernel: the daemon samples", "Linux 5.17 or later"),
	TRY(bpf, "bpf-sk-msg", WEIGHT_LOSS, BPF_CAPS, try_bpf_sk_msg,
	    "programs that see what a socket sends (sk_msg)",
	    "without bpf-fexit: plain TCP is sampled by the daemon", KERNEL),
	TRY(bpf, "sockmap-ktls", WEIGHT_NONE, BPF_CAPS, try_bpf_sk_msg_ktls,
	    "sk_msg beside kernel TLS (not relied on)", NULL, NULL),
	TRY(bpf, "bpffs", WEIGHT_LOSS, MOUNT_CAPS, try_bpffs, "maps pinned in the file system",
	    "maps and links by name for bpftool",
	    "mount -t bpf bpf /sys/fs/bpf, or a kernel with CONFIG_BPF_SYSCALL"),

	LOOK(setup, "config", look_config, "the configuration file"),
	LOOK(setup, "ca-cert", look_ca_cert, "the CA's certificate"),
	LOOK(setup, "ca-key", look_ca_key, "the CA's key"),
	LOOK(setup, "ca-match", look_ca_match, "the two belong together"),
	LOOK(setup, "trust-store", look_trust_store, "this host trusts the CA"),

	LOOK(host, "ports", look_ports, "addresses to listen on"),
	LOOK(host, "rules", look_rules, "rules of others for the same connections"),
	LOOK(host, "clock", look_clock, "the clock"),
	LOOK(host, "open-files", look_files_limit, "RLIMIT_NOFILE"),
	LOOK(host, "memory-lock", look_memory_lock, "RLIMIT_MEMLOCK"),
	LOOK(host, "capabilities", look_capabilities, "capabilities"),
	LOOK(host, "access-log", look_disk, "room for the access log"),
	LOOK(host, "control", look_control, "the control socket"),
	LOOK(host, "unit", look_unit, "the systemd unit"),
	{.name = NULL},
};
