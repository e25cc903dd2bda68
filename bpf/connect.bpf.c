// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who connects: the process that calls connect(2), by its socket's cookie; and, once TCP has chosen
 * the source address and port, by the connection's addresses. The call always goes on, and with no
 * daemon to read the maps, they only forget the oldest entry for each new one.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "caller_key.h"

/* Set before loading: this kernel tells sock_ops the network namespace of a socket. */
const volatile bool netns_cookies = false;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KSPLIT_PROCESS_MAX);
	__type(key, __u64);
	__type(value, struct ksplit_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KSPLIT_CALLER_MAX);
	__type(key, struct ksplit_caller_key);
	__type(value, struct ksplit_process);
} callers SEC(".maps");

static __always_inline int remember_process(struct bpf_sock_addr *ctx)
{
	struct ksplit_process process = {0};
	__u64 cookie;

	if (ctx->protocol != IPPROTO_TCP)
		return 1;
	cookie = bpf_get_socket_cookie(ctx);
	process.cgroup = bpf_get_current_cgroup_id();
	process.pid = bpf_get_current_pid_tgid() >> 32;
	process.uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(process.command, sizeof(process.command));
	bpf_map_update_elem(&processes, &cookie, &process, BPF_ANY);
	return 1;
}

SEC("cgroup/connect4")
int process_connect4(struct bpf_sock_addr *ctx)
{
	return remember_process(ctx);
}

SEC("cgroup/connect6")
int process_connect6(struct bpf_sock_addr *ctx)
{
	return remember_process(ctx);
}

/*
 * Called in tcp_connect (net/ipv4/tcp_output.c), before the SYN is sent: whoever accepts the
 * connection finds its entry. No callback is asked for, so that other sockets are left alone.
 */
SEC("sockops")
int process_connect(struct bpf_sock_ops *ctx)
{
	struct ksplit_caller_key key = {0};
	struct ksplit_process *process;
	__u64 cookie;

	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB)
		return 1;
	cookie = bpf_get_socket_cookie(ctx);
	process = bpf_map_lookup_elem(&processes, &cookie);
	if (!process)
		return 1;
	if (netns_cookies)
		key.netns = bpf_get_netns_cookie(ctx);
	caller_key_fill(ctx, &key);
	bpf_map_update_elem(&callers, &key, process, BPF_ANY);
	return 1;
}
