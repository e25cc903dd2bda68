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

#include "head_maps.h"

/* 6.4 renamed the member; both have it behind a union. */
struct iov_iter___iov {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

struct iov_iter___ubuf {
	void *ubuf;
	const struct iovec *__iov;
} __attribute__((preserve_access_index));

enum iter_type___any { ITER_IOVEC___any, ITER_UBUF___any };

/* What a piece is read from: one of the two. */
struct scan_source {
	const void *user;
	struct sk_msg_md *msg;
};

struct walk {
	struct ksplit_scan *scan;
	struct ksplit_stream_state *state;
	struct ksplit_pair *pair;
	struct scan_source source;
	__u32 want; /* what the walk ended with */
};

/* Fill the window up from the sender's buffer: it has just been read, so it is in memory. */
static long fill_from_user(struct walk *walk)
{
	struct ksplit_scan *s = walk->scan;
	__u32 room = scan_room(s), at = s->len;

	if (room > SCAN_CHUNK || at > SCAN_WINDOW - SCAN_CHUNK)
		return 1;
	if (bpf_probe_read_user(&s->window[at & SCAN_MASK], room,
				(const char *)walk->source.user + s->read))
		return 1;
	s->len = at + room;
	s->read += room;
	if (s->len > s->touched)
		s->touched = s->len;
	return 0;
}

static long step_user(__u32 index, void *context)
{
	struct walk *walk = context;

	walk->want = scan_step(walk->scan, walk->state, walk->pair);
	if (walk->want == SCAN_WANT_MORE) {
		if (!fill_from_user(walk))
			return 0;
		count(SAMPLER_UNREADABLE);
		walk->want = SCAN_DONE;
		scan_give_up(walk->scan, walk->state, KSPLIT_EVENT_LOST);
		return 1;
	}
	return walk->want != SCAN_GO_ON;
}

/* Data that is not in one run is copied into one by the helper, for this call. */
static long fill_from_msg(struct walk *walk)
{
	struct ksplit_scan *s = walk->scan;
	struct sk_msg_md *msg = walk->source.msg;
	__u32 room = scan_room(s), at = s->len, from = s->read;
	void *data, *end;

	if (room == 0 || room > SCAN_CHUNK || at > SCAN_WINDOW - SCAN_CHUNK)
		return 1;
	if (bpf_msg_pull_data(msg, from, from + room, 0))
		return 1;
	data = msg->data;
	end = msg->data_end;
	if (data + room > end)
		return 1;
	if (bpf_probe_read_kernel(&s->window[at & SCAN_MASK], room, data))
		return 1;
	s->len = at + room;
	s->read += room;
	if (s->len > s->touched)
		s->touched = s->len;
	return 0;
}

static long step_msg(__u32 index, void *context)
{
	struct walk *walk = context;

	walk->want = scan_step(walk->scan, walk->state, walk->pair);
	if (walk->want == SCAN_WANT_MORE) {
		if (!fill_from_msg(walk))
			return 0;
		count(SAMPLER_UNREADABLE);
		walk->want = SCAN_DONE;
		scan_give_up(walk->scan, walk->state, KSPLIT_EVENT_LOST);
		return 1;
	}
	return walk->want != SCAN_GO_ON;
}

/* The window for a new piece: empty, or with what the last one left over. */
static __always_inline int window_begin(struct ksplit_scan *s, struct ksplit_stream_state *state)
{
	__u64 key = pending_key(state);
	struct ksplit_pending *pending;
	__u32 len;

	s->len = 0;
	if (!(state->flags & KSPLIT_STATE_PENDING))
		return 0;
	state->flags &= ~KSPLIT_STATE_PENDING;
	pending = bpf_map_lookup_elem(&partial, &key);
	if (!pending)
		return 1;
	len = pending->len;
	if (len > KSPLIT_PENDING_MAX)
		return 1;
	bpf_probe_read_kernel(s->window, len, pending->bytes);
	s->len = len;
	bpf_map_delete_elem(&partial, &key);
	return 0;
}

static __always_inline int window_keep(struct ksplit_scan *s, struct ksplit_stream_state *state)
{
	__u64 key = pending_key(state);
	__u32 len = s->len - s->at, worker = worker_of(state);
	struct ksplit_pending *pending = bpf_map_lookup_elem(&partial_new, &worker);

	if (!pending || len > KSPLIT_PENDING_MAX)
		return 1;
	pending->len = len;
	bpf_probe_read_kernel(pending->bytes, len, &s->window[s->at & SCAN_MASK]);
	if (!bpf_map_update_elem(&partial, &key, pending, BPF_ANY))
		state->flags |= KSPLIT_STATE_PENDING;
	blank_out(pending->bytes, len);
	return !(state->flags & KSPLIT_STATE_PENDING);
}

/* Whoever may read maps reads what was said no longer than it takes. */
static __noinline int wipe(struct ksplit_scan *s)
{
	__u64 *window, *event;
	__u32 window_len, event_len;

	if (!s)
		return 0;
	window = (__u64 *)s->window;
	event = (__u64 *)scan_event(s)->head;
	window_len = s->touched;
	event_len = s->event_bytes;
	if (event_len < scan_event(s)->len)
		event_len = scan_event(s)->len;
	scan_event(s)->len = 0;
	s->event_bytes = 0;
	for (__u32 i = 0; i < SCAN_WINDOW / 8; i += 8) {
		if (i * 8 >= window_len)
			break;
		window[i] = window[i + 1] = window[i + 2] = window[i + 3] = 0;
		window[i + 4] = window[i + 5] = window[i + 6] = window[i + 7] = 0;
	}
	/* Copies are made in whole words: one beyond the event's end. */
	for (__u32 i = 0; i < KSPLIT_HEAD_MAX / 8; i += 4) {
		if (i * 8 >= event_len + 8)
			break;
		event[i] = event[i + 1] = event[i + 2] = event[i + 3] = 0;
	}
	return 0;
}

static __always_inline void walk_end(struct walk *walk)
{
	struct ksplit_scan *s = walk->scan;

	if (walk->want == SCAN_WANT_KEEP && window_keep(s, walk->state)) {
		count(SAMPLER_NO_ROOM);
		scan_give_up(s, walk->state, KSPLIT_EVENT_LOST);
	}
	if (s->open)
		scan_event_flush(s, walk->state, 0);
	wipe(s);
}

/* 0, or there is nothing to walk with. */
static __always_inline int walk_begin(struct walk *walk, struct ksplit_stream_state *state,
				      __u32 size)
{
	__u32 worker = worker_of(state);
	struct ksplit_scan *s = bpf_map_lookup_elem(&scratch, &worker);

	walk->state = state;
	walk->scan = s;
	walk->pair = bpf_map_lookup_elem(&pairs, &state->conn);
	if (!s || !walk->pair)
		return 1;
	s->head_bytes = head_bytes;
	if (window_begin(s, state)) {
		scan_give_up(s, state, KSPLIT_EVENT_LOST);
		return 1;
	}
	scan_begin(s, state, walk->pair, bpf_ktime_get_ns(), size);
	return 0;
}

#define WALK_STEPS (1 << 20) /* each takes a byte at least, or is the last */

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

	if (sent <= 0 || !sk)
		return;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || state->sampler != KSPLIT_SAMPLER_FENTRY)
		return;
	if (stand_ins && is_seen(state, sk, by))
		return;
	/* Alerts and key updates come with a control message (Documentation/networking/tls.rst). */
	if (msg->msg_controllen)
		return;
	if (scan_skip_piece(state, (__u32)sent))
		return;
	if (walk_begin(&walk, state, (__u32)sent))
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
	if (walk_begin(&walk, state, (__u32)sent))
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
	if (walk_begin(&walk, state, size))
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
