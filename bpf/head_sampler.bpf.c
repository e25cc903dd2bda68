// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The head sampler in the kernel: <ksplit/stream_scan.h> at the places where plaintext goes by.
 *
 * fexit of inet_sendmsg, inet6_sendmsg (and, before 6.5, inet_sendpage): sockets of kernel TLS. At
 * the exit, because only what the socket has taken counts. Sockets that are not armed cost a
 * look-up.
 * sk_msg: sockets in a sockhash, plain TCP, and kernel TLS on kernels that still allow both.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "head_walk.h"

/* 6.4 renamed the member; both have it behind a union. */
struct iov_iter___iov {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

struct iov_iter___ubuf {
	void *ubuf;
	const struct iovec *__iov;
} __attribute__((preserve_access_index));

enum iter_type___any { ITER_IOVEC___any, ITER_UBUF___any };

/* --- kernel TLS: fexit --- */

/* Where the sender's bytes were; NULL: not in its memory. Each call has an iterator of its own. */
static __always_inline const void *sender_buffer(struct msghdr *msg)
{
	struct iov_iter *iter = &msg->msg_iter;
	const struct iovec *iov;
	__u8 type = iter->iter_type;

	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return ((struct iov_iter___ubuf *)iter)->ubuf;
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return NULL;
	if (bpf_core_field_exists(struct iov_iter___iov, iov))
		iov = BPF_CORE_READ((struct iov_iter___iov *)iter, iov);
	else
		iov = BPF_CORE_READ((struct iov_iter___ubuf *)iter, __iov);
	/* Used up, it points behind the only one that there was. */
	if (BPF_CORE_READ(iter, nr_segs) == 0)
		iov--;
	return BPF_CORE_READ(iov, iov_base);
}

/*
 * A program that is running on a CPU is not run there a second time (kernel/bpf/trampoline.c,
 * __bpf_prog_enter_recur). Where the kernel may preempt it, a send of another task goes by unseen
 * meanwhile. So a second program stands in there: whichever comes first does the work, the other
 * finds its mark for this very send. Both would have to be interrupted on one CPU to miss one.
 */
static __always_inline int is_seen(struct ksplit_stream_state *state, struct sock *sk, __u8 by)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	__u32 at = tcp ? tcp->write_seq : 0;

	if (state->seen_by != KSPLIT_SEEN_BOTH && state->seen_by != by && state->seen_at == at) {
		state->seen_by = KSPLIT_SEEN_BOTH;
		return 1;
	}
	state->seen_by = by;
	state->seen_at = at;
	return 0;
}

static __always_inline void sample_sent(struct socket *sock, struct msghdr *msg, int sent, __u8 by)
{
	struct sock *sk = sock->sk;
	struct ksplit_stream_state *state;
	struct walk walk = {};

	if (!sk)
		return;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || state->sampler != KSPLIT_SAMPLER_FENTRY || (sent <= 0 && !state->looks))
		return;
	if (stand_ins && is_seen(state, sk, by))
		return;
	if (!state->looks) {
		/* Alerts and key updates have a control message (Documentation/networking/tls.rst). */
		if (msg->msg_controllen)
			return;
		if (scan_skip_piece(state, (__u32)sent))
			return;
	}
	if (walk_open(&walk, state))
		return;
	if (state->looks ? walk_resume(&walk, sent) : walk_begin(&walk, (__u32)sent))
		return;
	walk.source.user = sender_buffer(msg);
	if (!walk.source.user) {
		/* Spliced pages: allowed as body only. */
		count(SAMPLER_UNREADABLE);
		if (state->skip < (__u32)sent) {
			scan_give_up(walk.scan, state, KSPLIT_EVENT_LOST);
			return;
		}
	}
	bpf_loop(WALK_STEPS, step_user, &walk, 0);
	if (walk.want == WALK_UNREAD) {
		walk_wait(&walk);
		return;
	}
	if (state->looks) {
		state->looks = 0;
		count(SAMPLER_LOOKED_AGAIN);
	}
	walk_end(&walk);
}

SEC("fexit/inet_sendmsg")
int BPF_PROG(head_inet_sendmsg, struct socket *sock, struct msghdr *msg, size_t size, int sent)
{
	sample_sent(sock, msg, sent, KSPLIT_SEEN_FIRST);
	return 0;
}

SEC("fexit/inet_sendmsg")
int BPF_PROG(head_inet_again, struct socket *sock, struct msghdr *msg, size_t size, int sent)
{
	sample_sent(sock, msg, sent, KSPLIT_SEEN_STAND_IN);
	return 0;
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(head_inet6_sendmsg, struct socket *sock, struct msghdr *msg, size_t size, int sent)
{
	sample_sent(sock, msg, sent, KSPLIT_SEEN_FIRST);
	return 0;
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(head_inet6_again, struct socket *sock, struct msghdr *msg, size_t size, int sent)
{
	sample_sent(sock, msg, sent, KSPLIT_SEEN_STAND_IN);
	return 0;
}

/* Before 6.5 splice comes this way: bodies, of which only the length counts. */
SEC("fexit/inet_sendpage")
int BPF_PROG(head_inet_sendpage, struct socket *sock, struct page *page, int offset, size_t size,
	     int flags, ssize_t sent)
{
	struct sock *sk = sock->sk;
	struct ksplit_stream_state *state;
	struct walk walk = {};

	if (sent <= 0 || !sk)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || state->sampler != KSPLIT_SAMPLER_FENTRY)
		return 0;
	if (scan_skip_piece(state, (__u64)sent))
		return 0;
	if (walk_open(&walk, state) || walk_begin(&walk, (__u32)sent))
		return 0;
	if (state->skip < (__u64)sent) {
		scan_give_up(walk.scan, state, KSPLIT_EVENT_LOST);
		return 0;
	}
	bpf_loop(WALK_STEPS, step_user, &walk, 0);
	walk_end(&walk);
	return 0;
}

/* --- sockhash: sk_msg --- */

/*
 * Kernel TLS shows its control records, too, and does not tell that they are. Where a line or a
 * frame begins, two bytes that begin with 1 or 2 are an alert (RFC 8446 6) and no HTTP.
 */
static __always_inline int is_alert(struct sk_msg_md *msg, const struct ksplit_stream_state *state)
{
	__u8 *data, *end;

	if (msg->size != 2 || state->skip || (state->flags & KSPLIT_STATE_PENDING))
		return 0;
	if (bpf_msg_pull_data(msg, 0, 2, 0))
		return 0;
	data = msg->data;
	end = msg->data_end;
	return data + 2 <= end && (data[0] == 1 || data[0] == 2);
}

SEC("sk_msg")
int head_sk_msg(struct sk_msg_md *msg)
{
	struct ksplit_stream_state *state;
	struct walk walk = {};
	struct bpf_sock *sk = msg->sk;
	__u32 size = msg->size;

	if (!sk)
		return SK_PASS;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || state->sampler != KSPLIT_SAMPLER_SK_MSG || !size)
		return SK_PASS;
	if (is_alert(msg, state))
		return SK_PASS;
	if (scan_skip_piece(state, size))
		return SK_PASS;
	if (walk_open(&walk, state) || walk_begin(&walk, size))
		return SK_PASS;
	walk.source.msg = msg;
	bpf_loop(WALK_STEPS, step_msg, &walk, 0);
	walk_end(&walk);
	return SK_PASS; /* any other answer breaks the connection */
}

/* --- wiping --- */

/*
 * The daemon cannot write to the ring buffer, so what it has read stays there until it is written
 * over. This does it: zeros, which the daemon passes over. Run by BPF_PROG_TEST_RUN when the ring
 * is idle; the packet says nothing.
 */
SEC("socket")
int head_ring_wipe(struct __sk_buff *skb)
{
	__u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&blanks, &zero);

	if (!blank)
		return 0;
	return !bpf_ringbuf_output(&heads, blank, BLANK_BYTES, BPF_RB_NO_WAKEUP);
}

char LICENSE[] SEC("license") = "GPL";
