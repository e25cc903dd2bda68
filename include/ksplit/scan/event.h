/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_EVENT_H
#define KSPLIT_SCAN_EVENT_H

/*
 * Events: how they are begun, filled and handed over. A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/scan/window.h>

static inline void scan_event_flush(struct ksplit_scan *s, struct ksplit_stream_state *st,
				    __u32 flags)
{
	__u32 len = scan_event(s)->len;

	if (len > KSPLIT_HEAD_MAX)
		len = KSPLIT_HEAD_MAX;
	scan_event(s)->flags |= flags;
	scan_event(s)->sequence = st->sequence++;
	SCAN_EMIT(scan_event(s), sizeof(struct ksplit_head_event) + len);
	s->open = 0;
}

static inline void scan_event_open(struct ksplit_scan *s, struct ksplit_stream_state *st,
				   __u32 kind)
{
	struct ksplit_head_event *event = scan_event(s);

	if (s->event_bytes < event->len)
		s->event_bytes = event->len;
	__builtin_memset(event, 0, sizeof(*event));
	event->conn = st->conn;
	event->time_ns = s->now_ns;
	event->first_ns = st->first_ns;
	event->stream = st->stream;
	event->kind = kind;
	event->sampler = st->sampler;
	s->open = 1;
}

/* Room for `len` more bytes in an event of this kind; what is full or of another kind goes out. */
static inline void scan_event_room(struct ksplit_scan *s, struct ksplit_stream_state *st,
				   __u32 kind, __u32 len)
{
	if (s->open && (scan_event(s)->kind != kind || scan_event(s)->len + len > KSPLIT_HEAD_MAX))
		scan_event_flush(s, st, 0);
	if (!s->open)
		scan_event_open(s, st, kind);
}

#define SCAN_SHORT 128

/* Bytes of the window into the event; at most a window's. */
SCAN_FN int scan_put(struct ksplit_scan *s, __u32 at, __u32 len)
{
	const __u8 *from;
	__u8 *to;
	__u32 used;

	if (!s || len > KSPLIT_HEAD_MAX)
		return 1;
	used = scan_event(s)->len;
	if (used + len > KSPLIT_HEAD_MAX)
		return 1;
	scan_event(s)->len = (__u16)(used + len);
	to = &scan_event(s)->head[used & (KSPLIT_HEAD_MAX - 1)];
	from = &s->window[at & SCAN_MASK];
	/*
	 * Mostly some words: fewer instructions than a call. What is copied beyond is written over.
	 */
	for (__u32 i = 0; i < SCAN_SHORT; i += 8) {
		if (i >= len)
			return 0;
		SCAN_STORE(to + i, SCAN_LOAD(from + i));
	}
	SCAN_COPY(to, from, len);
	return 0;
}

static inline void scan_put_byte(struct ksplit_scan *s, __u8 byte)
{
	__u32 used = scan_event(s)->len;

	if (used >= KSPLIT_HEAD_MAX)
		return;
	scan_event(s)->head[used & (KSPLIT_HEAD_MAX - 1)] = byte;
	scan_event(s)->len = (__u16)(used + 1);
}

static inline void scan_put_line_end(struct ksplit_scan *s)
{
	scan_put_byte(s, '\r');
	scan_put_byte(s, '\n');
}

/* The rest of a line that ends at `end`, with its CRLF - which stands there already, mostly. */
static inline void scan_put_to_end(struct ksplit_scan *s, __u32 at, __u32 end, __u32 cut)
{
	__u32 ended = !cut && s->window[end & SCAN_MASK] == '\r';

	scan_put(s, at, end - at + 2 * ended);
	if (!ended)
		scan_put_line_end(s);
}

/* Nothing more is told of this stream. */
static inline void scan_give_up(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 kind)
{
	if (s->open)
		scan_event_flush(s, st, 0);
	scan_event_open(s, st, kind);
	scan_event_flush(s, st, 0);
	st->mode = KSPLIT_SCAN_OPAQUE;
	st->skip = KSPLIT_SKIP_ALL;
}

static inline void scan_not_http(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	scan_give_up(s, st,
		     st->flags & KSPLIT_STATE_HTTP ? KSPLIT_EVENT_LOST : KSPLIT_EVENT_OTHER);
}

static inline void scan_message_end(struct ksplit_scan *s, struct ksplit_stream_state *st,
				    __u32 flags)
{
	if (!s->open)
		scan_event_open(s, st, KSPLIT_EVENT_HTTP1);
	scan_event(s)->time_ns = s->now_ns;
	scan_event(s)->message_bytes = st->message_bytes;
	scan_event(s)->body_bytes = st->body_bytes;
	scan_event_flush(s, st, KSPLIT_HEAD_END | flags);
	st->message_bytes = 0;
	st->body_bytes = 0;
	st->content_length = 0;
	st->first_ns = 0;
	st->status = 0;
	st->flags &= KSPLIT_STATE_HTTP;
	st->mode = KSPLIT_SCAN_FIRST_LINE;
	if (flags & KSPLIT_HEAD_UPGRADED) {
		st->mode = KSPLIT_SCAN_OPAQUE;
		st->skip = KSPLIT_SKIP_ALL;
	}
}

#endif
