/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BPF_CALLER_KEY_H
#define KSPLIT_BPF_CALLER_KEY_H

/* The addresses of a connection that begins, as a key. After vmlinux.h and bpf_helpers.h. */

#include <bpf/bpf_endian.h>

#include <ksplit/endpoint.h>

#define CALLER_AF_INET 2

/*
 * A mapped IPv4 connection of an AF_INET6 socket has its mapped addresses in the IPv6 fields. In
 * BPF_SOCK_OPS_TCP_CONNECT_CB the source is chosen already.
 */
static __always_inline void caller_key_fill(struct bpf_sock_ops *ctx, struct ksplit_caller_key *key)
{
	__u32 *source = (__u32 *)key->source, *destination = (__u32 *)key->destination;
	__u32 local = ctx->local_ip4, remote = ctx->remote_ip4;

	/* Not one load from either of two addresses: the verifier knows fields only. */
	barrier_var(local);
	barrier_var(remote);
	key->source_port = (__u16)ctx->local_port;                  /* host order ... */
	key->destination_port = (__u16)bpf_ntohl(ctx->remote_port); /* ... and network order */
	if (ctx->family == CALLER_AF_INET) {
		source[2] = destination[2] = bpf_htonl(0xffff);
		source[3] = local;
		destination[3] = remote;
		return;
	}
	source[0] = ctx->local_ip6[0];
	source[1] = ctx->local_ip6[1];
	source[2] = ctx->local_ip6[2];
	source[3] = ctx->local_ip6[3];
	destination[0] = ctx->remote_ip6[0];
	destination[1] = ctx->remote_ip6[1];
	destination[2] = ctx->remote_ip6[2];
	destination[3] = ctx->remote_ip6[3];
}

#endif
