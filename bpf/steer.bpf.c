// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Capture without packets: a TCP connect(2) of a chosen cgroup is led to the daemon's listener by
 * another address; where it was meant to go is kept for the daemon, and getpeername(2) goes on
 * telling it. Whatever is in doubt goes direct: the daemon silent or gone, its listener closed,
 * another network namespace, a socket that cannot reach loopback.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "caller_key.h"
#include "steer_maps.h"

#define AF_INET	      2
#define AF_INET6      10
#define SOCK_STREAM   1
#define LOOPBACK      1	 /* lo's index in every network namespace */
#define ANCESTORS     16 /* levels of cgroups that are looked at for an exempt one */
#define ALLOW	      1
#define REFUSE	      0 /* EPERM */
#define MAPPED_PREFIX bpf_htonl(0xffff)

static const __u32 only = 0; /* index of the one entry */

static __always_inline bool is_mapped(const __u32 *ip)
{
	return !ip[0] && !ip[1] && ip[2] == MAPPED_PREFIX;
}

static __always_inline void count(enum ksplit_steer_count what)
{
	__u32 index = what;
	__u64 *value = bpf_map_lookup_elem(&steer_counts, &index);

	if (value)
		(*value)++;
}

/* --- whose call is it, and where does it go? --- */

static __always_inline bool port_has(__u16 port, __u8 bit)
{
	__u8 *bits = bpf_map_lookup_elem(&steer_ports, &port);

	return bits && (*bits & bit);
}

static __always_inline bool cgroup_is_exempt(void)
{
#pragma unroll
	for (int level = 0; level < ANCESTORS; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id)
			break;
		if (bpf_map_lookup_elem(&steer_cgroups, &id))
			return true;
	}
	return false;
}

static __always_inline bool is_exempt(const struct ksplit_steer_network *network, __u16 port)
{
	__u32 user = (__u32)bpf_get_current_uid_gid();

	return port_has(port, KSPLIT_STEER_EXEMPT) ||
	       bpf_map_lookup_elem(&steer_exempt, network) ||
	       bpf_map_lookup_elem(&steer_users, &user) || cgroup_is_exempt();
}

static __always_inline bool is_alive(const struct ksplit_steer_settings *settings)
{
	__u64 *beat = bpf_map_lookup_elem(&steer_beat, &only);

	return beat && bpf_ktime_get_ns() < *beat + settings->patience_ns;
}

/* A device's own link-local addresses need a scope, which the program is not told. */
static __always_inline bool is_link_local(const struct ksplit_steer_address *to)
{
	return to->ip[0] == 0xfe && (to->ip[1] & 0xc0) == 0x80;
}

static __always_inline bool same_address(const struct ksplit_steer_address *a,
					 const struct ksplit_steer_address *b)
{
	const __u32 *x = (const __u32 *)a->ip, *y = (const __u32 *)b->ip;

	return a->port == b->port && x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* KSPLIT_STEER_STEERED: it is to be taken; else why it goes direct. */
static __always_inline enum ksplit_steer_count judge(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
						     const struct ksplit_steer_settings *settings,
						     const struct ksplit_steer_address *to)
{
	struct ksplit_steer_self *self = bpf_map_lookup_elem(&steer_self, &only);
	struct ksplit_steer_network network = {.bits = KSPLIT_STEER_NETWORK_BITS};

	if (!self || !self->learned ||
	    (__u32)(bpf_get_current_pid_tgid() >> 32) == self->pid ||
	    (settings->mark && sk->mark == settings->mark))
		return KSPLIT_STEER_OWN;
	if (!settings->any_port && !port_has(to->port, KSPLIT_STEER_TAKE))
		return KSPLIT_STEER_OTHER;
	__builtin_memcpy(network.ip, to->ip, sizeof(network.ip));
	network.family = is_mapped((const __u32 *)to->ip) ? AF_INET : AF_INET6;
	if (is_link_local(to) || !bpf_map_lookup_elem(&steer_take, &network))
		return KSPLIT_STEER_OTHER;
	if (is_exempt(&network, to->port))
		return KSPLIT_STEER_IS_EXEMPT;
	if (bpf_get_netns_cookie(ctx) != self->netns)
		return KSPLIT_STEER_OTHER_NETNS;
	if (sk->bound_dev_if && sk->bound_dev_if != LOOPBACK)
		return KSPLIT_STEER_BOUND;
	return is_alive(settings) ? KSPLIT_STEER_STEERED : KSPLIT_STEER_STALLED;
}

/* Without this the moments between a daemon's death and its links' would refuse calls. */
static __always_inline bool is_listening(struct bpf_sock_addr *ctx,
					 const struct ksplit_steer_address *listener)
{
	const __u32 *ip = (const __u32 *)listener->ip;
	struct bpf_sock_tuple tuple = {0};
	struct bpf_sock *found;
	bool listening;

	if (listener->family == AF_INET) {
		tuple.ipv4.saddr = tuple.ipv4.daddr = ip[3];
		tuple.ipv4.dport = bpf_htons(listener->port);
		found = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, listener->ip, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, listener->ip, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.dport = bpf_htons(listener->port);
		found = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!found)
		return false;
	listening = found->state == BPF_TCP_LISTEN;
	bpf_sk_release(found);
	return listening;
}

/* --- connect --- */

static __always_inline const struct ksplit_steer_address *
listener_for(const struct ksplit_steer_settings *settings, const struct ksplit_steer_address *to)
{
	return is_mapped((const __u32 *)to->ip) ? &settings->listener4 : &settings->listener6;
}

/* Keep the original destination with the socket. */
static __always_inline bool note(struct bpf_sock *sk, const struct ksplit_steer_address *to)
{
	struct steer_socket *notes =
		bpf_sk_storage_get(&steer_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!notes)
		return false;
	notes->original = *to;
	notes->key.source_port = 0;
	return true;
}

static __always_inline enum ksplit_steer_count
judge_all(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
	  const struct ksplit_steer_settings *settings, const struct ksplit_steer_address *to)
{
	const struct ksplit_steer_address *listener = listener_for(settings, to);
	enum ksplit_steer_count what = judge(ctx, sk, settings, to);

	if (what != KSPLIT_STEER_STEERED)
		return what;
	return listener->family && is_listening(ctx, listener) ? what : KSPLIT_STEER_NO_LISTENER;
}

/* The daemon calls once to be known: by its process and its network namespace. */
static __always_inline bool is_lesson(struct bpf_sock_addr *ctx,
				      const struct ksplit_steer_settings *settings)
{
	struct ksplit_steer_self self = {.learned = 1};

	if (!settings->learn_cookie || bpf_get_socket_cookie(ctx) != settings->learn_cookie)
		return false;
	self.netns = bpf_get_netns_cookie(ctx);
	self.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_map_update_elem(&steer_self, &only, &self, BPF_ANY);
	return true;
}

/*
 * QUIC cannot be steered: refused, it is tried again over TCP. A call that would go direct over
 * TCP, for whatever reason, goes by QUIC as well.
 */
static __always_inline bool refuses(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
				    const struct ksplit_steer_settings *settings,
				    const struct ksplit_steer_address *to)
{
	if (!settings->refuse_quic || to->port != KSPLIT_STEER_QUIC_PORT ||
	    judge_all(ctx, sk, settings, to) != KSPLIT_STEER_STEERED)
		return false;
	count(KSPLIT_STEER_QUIC_REFUSED);
	return true;
}

enum verdict { DIRECT, STEER, REFUSED };

static __always_inline enum verdict decide(struct bpf_sock_addr *ctx,
					   const struct ksplit_steer_settings *settings,
					   const struct ksplit_steer_address *to)
{
	struct bpf_sock *sk = ctx->sk;
	enum ksplit_steer_count what;

	if (!sk || is_lesson(ctx, settings) || !settings->on)
		return DIRECT;
	if (ctx->protocol == IPPROTO_UDP)
		return refuses(ctx, sk, settings, to) ? REFUSED : DIRECT;
	/* Steered already, by this program on a cgroup below? Or whoever calls us, calls us. */
	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP ||
	    same_address(to, listener_for(settings, to)))
		return DIRECT;
	what = judge_all(ctx, sk, settings, to);
	if (what == KSPLIT_STEER_STEERED && !note(sk, to))
		what = KSPLIT_STEER_NO_MEMORY;
	count(what);
	if (what == KSPLIT_STEER_STEERED)
		return STEER;
	/* An earlier connect of this socket, which came to nothing, may have been steered. */
	bpf_sk_storage_delete(&steer_sockets, sk);
	return DIRECT;
}

static __always_inline void read4(struct bpf_sock_addr *ctx, struct ksplit_steer_address *to)
{
	__u32 *ip = (__u32 *)to->ip, port = ctx->user_port;

	barrier_var(port);
	ip[2] = MAPPED_PREFIX;
	ip[3] = ctx->user_ip4;
	to->port = bpf_ntohs((__u16)port);
	to->family = AF_INET;
}

static __always_inline void read6(struct bpf_sock_addr *ctx, struct ksplit_steer_address *to)
{
	__u32 *ip = (__u32 *)to->ip, port = ctx->user_port;

	barrier_var(port);
	ip[0] = ctx->user_ip6[0];
	ip[1] = ctx->user_ip6[1];
	ip[2] = ctx->user_ip6[2];
	ip[3] = ctx->user_ip6[3];
	to->port = bpf_ntohs((__u16)port);
	to->family = AF_INET6;
}

static __always_inline void write4(struct bpf_sock_addr *ctx, const struct ksplit_steer_address *to)
{
	ctx->user_ip4 = ((const __u32 *)to->ip)[3];
	ctx->user_port = bpf_htons(to->port);
}

static __always_inline void write6(struct bpf_sock_addr *ctx, const struct ksplit_steer_address *to)
{
	const __u32 *ip = (const __u32 *)to->ip;

	ctx->user_ip6[0] = ip[0];
	ctx->user_ip6[1] = ip[1];
	ctx->user_ip6[2] = ip[2];
	ctx->user_ip6[3] = ip[3];
	ctx->user_port = bpf_htons(to->port);
}

SEC("cgroup/connect4")
int steer_connect4(struct bpf_sock_addr *ctx)
{
	struct ksplit_steer_settings *settings = bpf_map_lookup_elem(&steer_settings, &only);
	struct ksplit_steer_address to = {0};
	enum verdict verdict;

	if (!settings)
		return ALLOW;
	read4(ctx, &to);
	verdict = decide(ctx, settings, &to);
	if (verdict == STEER)
		write4(ctx, &settings->listener4);
	return verdict == REFUSED ? REFUSE : ALLOW;
}

SEC("cgroup/connect6")
int steer_connect6(struct bpf_sock_addr *ctx)
{
	struct ksplit_steer_settings *settings = bpf_map_lookup_elem(&steer_settings, &only);
	struct ksplit_steer_address to = {0};
	enum verdict verdict;

	if (!settings)
		return ALLOW;
	read6(ctx, &to);
	verdict = decide(ctx, settings, &to);
	if (verdict == STEER)
		write6(ctx, listener_for(settings, &to));
	return verdict == REFUSED ? REFUSE : ALLOW;
}

/* --- UDP without connect --- */

static __always_inline int judge_sending(struct bpf_sock_addr *ctx,
					 const struct ksplit_steer_address *to)
{
	struct ksplit_steer_settings *settings = bpf_map_lookup_elem(&steer_settings, &only);
	struct bpf_sock *sk = ctx->sk;

	if (!settings || !sk || !settings->on)
		return ALLOW;
	return refuses(ctx, sk, settings, to) ? REFUSE : ALLOW;
}

SEC("cgroup/sendmsg4")
int steer_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct ksplit_steer_address to = {0};

	read4(ctx, &to);
	return judge_sending(ctx, &to);
}

SEC("cgroup/sendmsg6")
int steer_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct ksplit_steer_address to = {0};

	read6(ctx, &to);
	return judge_sending(ctx, &to);
}

/* --- what the caller is told --- */

static __always_inline struct steer_socket *find_notes(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk ? bpf_sk_storage_get(&steer_sockets, sk, NULL, 0) : NULL;
}

SEC("cgroup/getpeername4")
int steer_peername4(struct bpf_sock_addr *ctx)
{
	struct steer_socket *notes = find_notes(ctx);

	if (notes)
		write4(ctx, &notes->original);
	return ALLOW;
}

SEC("cgroup/getpeername6")
int steer_peername6(struct bpf_sock_addr *ctx)
{
	struct steer_socket *notes = find_notes(ctx);

	if (notes)
		write6(ctx, &notes->original);
	return ALLOW;
}

/* --- what the daemon is told --- */

/*
 * In tcp_connect (net/ipv4/tcp_output.c) the source address is known and the SYN is not yet sent:
 * the daemon cannot accept before its entry is there. A call that is never answered takes its own
 * out.
 */
SEC("sockops")
int steer_tell(struct bpf_sock_ops *ctx)
{
	struct steer_socket *notes;
	struct bpf_sock *sk = ctx->sk;
	__u32 op = ctx->op;

	if (!sk || (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_STATE_CB))
		return 1;
	notes = bpf_sk_storage_get(&steer_sockets, sk, NULL, 0);
	if (!notes)
		return 1;
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		caller_key_fill(ctx, &notes->key);
		bpf_map_update_elem(&steer_calls, &notes->key, &notes->original, BPF_ANY);
		bpf_sock_ops_cb_flags_set(ctx,
					  ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	} else if (ctx->args[0] == BPF_TCP_SYN_SENT && ctx->args[1] == BPF_TCP_CLOSE &&
		   notes->key.source_port) {
		bpf_map_delete_elem(&steer_calls, &notes->key);
		notes->key.source_port = 0;
	}
	return 1;
}
