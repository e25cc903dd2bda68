/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BPF_HEAD_WALK_H
#define KSPLIT_BPF_HEAD_WALK_H

/*
 * A walk through one piece of plaintext: <ksplit/stream_scan.h> with a window that is filled from
 * the sender's memory or from a message, with what the piece before has left over, and with a wipe
 * at the end. For head_sampler.bpf.c, after the helpers' headers.
 */

#include "head_maps.h"

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

#define WALK_UNREAD (SCAN_WANT_KEEP + 1) /* a want: the next bytes are not in memory just now */
#define WALK_STEPS  (1 << 20)		 /* each takes a byte at least, or is the last */

/*
 * Fill the window up from the sender's buffer. It has just been read, so it is in memory, unless
 * its page is on its way to another place (mm/migrate.c, mm/khugepaged.c): then it is there when
 * the sender touches it.
 */
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
		walk->want = WALK_UNREAD;
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
static __always_inline int walk_open(struct walk *walk, struct ksplit_stream_state *state)
{
	__u32 worker = worker_of(state);

	walk->state = state;
	walk->scan = bpf_map_lookup_elem(&scratch, &worker);
	walk->pair = bpf_map_lookup_elem(&pairs, &state->conn);
	return !walk->scan || !walk->pair;
}

/* 0, or the piece is not walked through: the stream is given up. */
static __always_inline int walk_begin(struct walk *walk, __u32 size)
{
	struct ksplit_stream_state *state = walk->state;
	struct ksplit_scan *s = walk->scan;

	if (s->waits) {
		wipe(s); /* nobody has come for the second look */
		s->waits = 0;
	}
	s->head_bytes = head_bytes;
	if (window_begin(s, state)) {
		scan_give_up(s, state, KSPLIT_EVENT_LOST);
		return 1;
	}
	scan_begin(s, state, walk->pair, bpf_ktime_get_ns(), size);
	return 0;
}

static __always_inline void ask_for_look(const struct ksplit_stream_state *state, __u64 key)
{
	__u32 worker = worker_of(state);
	__u64 *asked = bpf_map_lookup_elem(&second_look, &worker);

	if (asked)
		*asked = key;
}

/* Everything stays as it is, until the daemon has touched the bytes and shows them again. */
static __always_inline void walk_wait(struct walk *walk)
{
	walk->state->looks++;
	walk->scan->waits = (__u32)pending_key(walk->state);
	ask_for_look(walk->state, pending_key(walk->state));
}

/*
 * The second look: a call that sends nothing, from where the bytes are (`sent` is 0). 0: the walk
 * goes on where it was. Otherwise the piece was never read, and the stream is given up.
 */
static __always_inline int walk_resume(struct walk *walk, int sent)
{
	struct ksplit_stream_state *state = walk->state;
	struct ksplit_scan *s = walk->scan;
	__u32 waits = s->waits;

	ask_for_look(state, 0);
	s->waits = 0;
	if (!sent && waits == (__u32)pending_key(state) && state->looks < KSPLIT_LOOKS_MAX)
		return 0;
	state->looks = 0;
	count(SAMPLER_UNREADABLE);
	scan_give_up(s, state, KSPLIT_EVENT_LOST);
	wipe(s);
	return 1;
}

#endif
