// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP's own times and troubles of ksplitd's connections, summed up for every remote endpoint.
 * It is called for every TCP socket of the daemon's cgroup and counts those that the daemon
 * has marked; marks go with their sockets, so it does nothing once the daemon is dead.
 *
 * Cost: the kernel calls it with each new RTT sample, about once a round trip. After RTT_SAMPLES of
 * them on a socket it asks to be left alone until the socket closes or sends something again.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <ksplit/endpoint.h>
#include <ksplit/histogram.h>

#define AF_INET	    2
#define RTT_SAMPLES 64
#define NSEC_IN_US  1000
#define SRTT_SHIFT  3 /* struct tcp_sock keeps srtt_us times eight */

#define LIFE_FLAGS (BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG)

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct ksplit_socket_times);
} socket_times SEC(".maps");

/* LRU: clients are without number, the ones that are not seen any more are forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, KSPLIT_ENDPOINT_MAX);
	__type(key, struct ksplit_endpoint_key);
	__type(value, struct ksplit_endpoint);
} endpoints SEC(".maps");

/* What a new entry begins with; it would not fit on the stack. */
static const struct ksplit_endpoint no_endpoint = {0};

static __always_inline void fill_key(struct bpf_sock_ops *ctx, __u8 role,
				     struct ksplit_endpoint_key *key)
{
	__u32 *words = (__u32 *)key->address;
	__u32 ip4 = ctx->remote_ip4;

	/* Not one load from either of two addresses: the verifier knows fields only. */
	barrier_var(ip4);
	key->role = role;
	if (role == KSPLIT_ENDPOINT_ORIGIN)
		key->port = (__u16)bpf_ntohl(ctx->remote_port);
	if (ctx->family == AF_INET) {
		words[2] = bpf_htonl(0xffff);
		words[3] = ip4;
	} else {
		words[0] = ctx->remote_ip6[0];
		words[1] = ctx->remote_ip6[1];
		words[2] = ctx->remote_ip6[2];
		words[3] = ctx->remote_ip6[3];
	}
}

static __always_inline struct ksplit_endpoint *find_endpoint(struct bpf_sock_ops *ctx, __u8 role)
{
	struct ksplit_endpoint_key key = {0};
	struct ksplit_endpoint *endpoint;

	fill_key(ctx, role, &key);
	endpoint = bpf_map_lookup_elem(&endpoints, &key);
	if (endpoint)
		return endpoint;
	bpf_map_update_elem(&endpoints, &key, &no_endpoint, BPF_NOEXIST);
	return bpf_map_lookup_elem(&endpoints, &key);
}

static __always_inline void count_bucket(__u32 *buckets, __u64 us)
{
	__u32 bucket = ksplit_histogram_bucket(us, KSPLIT_ENDPOINT_BITS);

	if (bucket >= KSPLIT_ENDPOINT_BUCKETS)
		bucket = KSPLIT_ENDPOINT_BUCKETS - 1;
	buckets[bucket]++;
}

static __always_inline void count_rtt(struct bpf_sock_ops *ctx, struct ksplit_endpoint *endpoint)
{
	__u32 us = ctx->srtt_us >> SRTT_SHIFT;

	if (!us)
		return;
	endpoint->rtt_samples++;
	endpoint->rtt_sum_us += us;
	if (!endpoint->rtt_min_us || us < endpoint->rtt_min_us)
		endpoint->rtt_min_us = us;
	if (us > endpoint->rtt_max_us)
		endpoint->rtt_max_us = us;
	count_bucket(endpoint->rtt_us, us);
}

/* Others may have asked for calls of their own. */
static __always_inline void ask_for(struct bpf_sock_ops *ctx, int flags)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | flags);
}

static __always_inline void connect_begins(struct bpf_sock_ops *ctx,
					   struct ksplit_socket_times *times,
					   struct ksplit_endpoint *endpoint)
{
	times->connect_ns = bpf_ktime_get_ns();
	times->established_ns = 0;
	endpoint->connecting++;
	ask_for(ctx, LIFE_FLAGS);
}

static __always_inline void is_established(struct bpf_sock_ops *ctx,
					   struct ksplit_socket_times *times,
					   struct ksplit_endpoint *endpoint)
{
	times->established_ns = bpf_ktime_get_ns();
	endpoint->established++;
	if (times->connect_ns) {
		__u64 us = (times->established_ns - times->connect_ns) / NSEC_IN_US;

		endpoint->connect_sum_us += us;
		count_bucket(endpoint->connect_us, us);
	}
	count_rtt(ctx, endpoint); /* the handshake's own */
	ask_for(ctx, LIFE_FLAGS | BPF_SOCK_OPS_RTT_CB_FLAG);
}

static __always_inline void rtt_measured(struct bpf_sock_ops *ctx,
					 struct ksplit_socket_times *times,
					 struct ksplit_endpoint *endpoint)
{
	count_rtt(ctx, endpoint);
	if (++times->rtt_samples >= RTT_SAMPLES)
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags &
						       ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

static __always_inline void is_closed(struct ksplit_socket_times *times,
				      struct ksplit_endpoint *endpoint)
{
	if (times->established_ns) {
		endpoint->closed++;
		endpoint->lifetime_sum_us +=
			(bpf_ktime_get_ns() - times->established_ns) / NSEC_IN_US;
	} else if (times->connect_ns) {
		endpoint->failed++;
	}
	times->connect_ns = 0;
	times->established_ns = 0;
}

SEC("sockops")
int time_sockets(struct bpf_sock_ops *ctx)
{
	struct ksplit_socket_times *times;
	struct ksplit_endpoint *endpoint;
	struct bpf_sock *sk = ctx->sk;
	__u32 op = ctx->op;

	/* The cheap questions first: most calls are not for us. */
	if (op != BPF_SOCK_OPS_RTT_CB && op != BPF_SOCK_OPS_TCP_CONNECT_CB &&
	    op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB &&
	    op != BPF_SOCK_OPS_RETRANS_CB && op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	if (op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] != BPF_TCP_CLOSE)
		return 1;
	if (!sk)
		return 1;
	times = bpf_sk_storage_get(&socket_times, sk, NULL, 0);
	if (!times)
		return 1;
	endpoint = find_endpoint(ctx, times->role);
	if (!endpoint)
		return 1;
	if (op == BPF_SOCK_OPS_RTT_CB)
		rtt_measured(ctx, times, endpoint);
	else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		connect_begins(ctx, times, endpoint);
	else if (op == BPF_SOCK_OPS_RETRANS_CB)
		endpoint->retransmits += ctx->args[2] ? 0 : ctx->args[1]; /* error, segments */
	else if (op == BPF_SOCK_OPS_STATE_CB)
		is_closed(times, endpoint);
	else
		is_established(ctx, times, endpoint);
	return 1;
}
