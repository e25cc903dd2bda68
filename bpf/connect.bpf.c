// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who connects: the process that calls connect(2), by its socket's cookie. The call always goes on,
 * and with no daemon to read the map, it only forgets the oldest entry for each new one.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <ksplit/endpoint.h>

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KSPLIT_PROCESS_MAX);
	__type(key, __u64);
	__type(value, struct ksplit_process);
} processes SEC(".maps");

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
