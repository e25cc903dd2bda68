/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STREAM_SCAN_H
#define KSPLIT_STREAM_SCAN_H

#include <ksplit/stream_state.h>

/*
 * The sampler of plaintext heads: written once, compiled twice, by clang for the kernel and by the
 * daemon's compiler for user space. It walks a stream piece by piece, copies what
 * <ksplit/head_event.h> names into events, and steps over bodies without reading them.
 *
 * Who includes it gives it what differs, before the include:
 *   SCAN_FN                  storage of its larger functions (BPF: global, so that the verifier
 *                            looks at each one once; their pointer arguments are then checked for
 *                            NULL)
 *   SCAN_LOAD(from)          the __u64 at any address (BPF: not by memcpy, which clang makes bytes
 *                            of)
 *   SCAN_STORE(to, word)
 *   SCAN_COPY(to, from, len) copy, also to lower addresses within one array
 *   SCAN_MEMCHR(at, byte, n) memchr(3), where there is one (BPF: none)
 *   SCAN_EMIT(event, size)   hand over an event of that many bytes; may drop and count it
 *
 * and then, for each piece: scan_begin; scan_step again and again, which says what it wants (enum
 * scan_want), reading more of the piece into the window where scan_room tells; scan_event_flush if
 * an event is open at the end. Its parts are in <ksplit/scan/>.
 *
 * Little-endian machines only: bytes are looked for eight at a time.
 */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

/* The kernel allows eight frames (kernel/bpf/verifier.c, MAX_CALL_FRAMES). */
#define SCAN_INLINE static inline __attribute__((always_inline))

#include <ksplit/scan/body.h>
#include <ksplit/scan/http1_chunk.h>
#include <ksplit/scan/http1_field.h>
#include <ksplit/scan/http1_first_line.h>
#include <ksplit/scan/http2.h>

/* --- lines --- */

static inline void scan_line(struct ksplit_scan *s, struct ksplit_stream_state *st,
			     struct ksplit_pair *pair, const struct scan_line *line)
{
	__u32 at = line->at, len = line->len, cut = line->cut;

	switch (st->mode) {
	case KSPLIT_SCAN_FIRST_LINE:
		if (scan_is_preface(s, at, len) && st->stream == KSPLIT_REQUESTS) {
			st->mode = KSPLIT_SCAN_FRAME;
			st->skip = SCAN_PREFACE_LEN - 16;
			st->flags |= KSPLIT_STATE_HTTP;
			st->first_ns = 0;
			pair->http2 = 1;
		} else {
			scan_first_line(s, st, pair, line);
		}
		break;
	case KSPLIT_SCAN_FIELDS:
		if (len)
			scan_field_line(s, st, line);
		else
			scan_head_end(s, st, pair);
		break;
	case KSPLIT_SCAN_CHUNK_SIZE:
		if (scan_chunk_size(s, st, at, at + len))
			scan_not_http(s, st);
		else if (!cut)
			scan_chunk_begin(st);
		break;
	case KSPLIT_SCAN_CHUNK_END:
		st->mode = KSPLIT_SCAN_CHUNK_SIZE;
		if (len)
			scan_not_http(s, st);
		break;
	case KSPLIT_SCAN_TRAILERS:
		if (!len)
			scan_message_end(s, st, 0);
		break;
	default: break;
	}
}

/*
 * A line with its end, or (cut) the begin of one that is too long, is done with: its bytes are the
 * message's, whatever they were.
 */
SCAN_FN int scan_consume_line(struct ksplit_scan *s, struct ksplit_stream_state *st,
			      struct ksplit_pair *pair, __u32 bytes, __u32 cut)
{
	struct scan_line line;
	__u32 at, len = bytes;

	if (!s || !st || !pair)
		return 1;
	at = s->at;
	s->at = at + bytes;
	st->message_bytes += bytes;
	if (!cut && len && s->window[(at + --len - 1) & SCAN_MASK] == '\r' && len)
		len--;
	if (st->flags & KSPLIT_STATE_REST) {
		if (cut)
			return 0;
		st->flags &= ~KSPLIT_STATE_REST;
		if (st->mode == KSPLIT_SCAN_CHUNK_SIZE)
			scan_chunk_begin(st);
		return 0;
	}
	if (cut)
		st->flags |= KSPLIT_STATE_REST;
	line = (struct scan_line){.at = at, .len = len, .cut = cut};
	scan_line(s, st, pair, &line);
	return 0;
}

/* --- the walk --- */

/* Begin with a piece of `size` bytes; the window may hold what was pending. */
static inline void scan_begin(struct ksplit_scan *s, struct ksplit_stream_state *st,
			      struct ksplit_pair *pair, __u64 now_ns, __u32 size)
{
	s->now_ns = now_ns;
	s->size = size;
	s->read = 0;
	s->at = 0;
	s->open = 0;
	s->touched = s->len;
	/* Requests are mostly head, responses mostly body. */
	s->chunk = st->stream == KSPLIT_REQUESTS ? SCAN_CHUNK : SCAN_CHUNK / 2;
	st->total += size;
	if (st->mode != KSPLIT_SCAN_FIRST_LINE)
		return;
	if (pair->upgraded) {
		st->mode = KSPLIT_SCAN_OPAQUE;
		st->skip = KSPLIT_SKIP_ALL;
	} else if (pair->http2 && st->stream == KSPLIT_RESPONSES) {
		st->mode = KSPLIT_SCAN_FRAME;
	}
}

enum scan_want {
	SCAN_GO_ON,
	SCAN_WANT_MORE, /* the window has to be filled up (scan_room), then go on */
	SCAN_DONE,	/* the piece is done with */
	SCAN_WANT_KEEP, /* ... but for the window's unread bytes, to be kept for the next */
};

/* Other protocols are told apart by their first byte mostly, without waiting for a line's end. */
static inline int scan_cannot_begin(const struct ksplit_scan *s,
				    const struct ksplit_stream_state *st)
{
	__u32 byte = s->window[s->at & SCAN_MASK];

	if (st->mode != KSPLIT_SCAN_FIRST_LINE || (st->flags & KSPLIT_STATE_REST) ||
	    byte == '\r' || byte == '\n')
		return 0;
	return st->stream == KSPLIT_REQUESTS ? byte - 'A' > 25 : byte != 'H';
}

static inline int scan_is_at_field(const struct ksplit_stream_state *st)
{
	return st->mode == KSPLIT_SCAN_FIELDS && !(st->flags & KSPLIT_STATE_REST);
}

SCAN_INLINE enum scan_want scan_lines(struct ksplit_scan *s, struct ksplit_stream_state *st,
				      struct ksplit_pair *pair)
{
	__u32 limit = scan_head_bytes(s) + SCAN_VERSION_LEN + 24;
	__u32 ready, line_end;

	if (scan_is_at_field(st) && scan_fields(s, st, pair))
		return SCAN_GO_ON;
	ready = s->len - s->at;
	line_end = scan_line_end(s, s->at, s->len);
	if (limit < SCAN_LINE + 2)
		limit = SCAN_LINE + 2; /* what is not longer has its end in there */
	if (scan_cannot_begin(s, st)) {
		scan_not_http(s, st);
		return SCAN_GO_ON;
	}
	if (line_end < s->len) {
		scan_consume_line(s, st, pair, line_end + 1 - s->at, 0);
		if (scan_is_at_field(st))
			scan_fields(s, st, pair);
		return SCAN_GO_ON;
	}
	if (ready < limit && s->read < s->size && !(st->flags & KSPLIT_STATE_REST))
		return SCAN_WANT_MORE;
	if (ready >= limit || ready > KSPLIT_PENDING_MAX || (st->flags & KSPLIT_STATE_REST)) {
		scan_consume_line(s, st, pair, ready, 1);
		return SCAN_GO_ON;
	}
	if (!st->first_ns)
		st->first_ns = s->now_ns;
	return SCAN_WANT_KEEP;
}

/* One line, one frame or one stretch of body. */
SCAN_FN int scan_step(struct ksplit_scan *s, struct ksplit_stream_state *st,
		      struct ksplit_pair *pair)
{
	__u32 ready;

	if (!s || !st || !pair || s->at > s->len || s->len > SCAN_WINDOW)
		return SCAN_DONE; /* never: for the verifier */
	ready = s->len - s->at;
	if (!ready && s->read >= s->size)
		return SCAN_DONE;
	if (st->skip) {
		scan_skip(s, st);
		return SCAN_GO_ON;
	}
	if (!ready)
		return SCAN_WANT_MORE;
	switch (st->mode) {
	case KSPLIT_SCAN_FRAME:
		if (ready >= SCAN_FRAME_HEADER)
			scan_frame(s, st);
		else
			return s->read < s->size ? SCAN_WANT_MORE : SCAN_WANT_KEEP;
		return SCAN_GO_ON;
	case KSPLIT_SCAN_PAYLOAD: scan_payload(s, st); return SCAN_GO_ON;
	default: return scan_lines(s, st, pair);
	}
}

/* Move the unread bytes to the window's begin; how many more may be read behind them, and where. */
static inline __u32 scan_room(struct ksplit_scan *s)
{
	__u32 ready = s->len - s->at, left = s->size - s->read, room;

	if (ready > SCAN_WINDOW - SCAN_CHUNK)
		ready = SCAN_WINDOW - SCAN_CHUNK; /* never: lines are cut before that */
	if (s->at && ready)
		SCAN_COPY(s->window, &s->window[s->at & SCAN_MASK], ready);
	s->at = 0;
	s->len = ready;
	room = s->chunk;
	return left < room ? left : room;
}

/* The connection is closed: a body that goes on until then is complete, another message is not. */
static inline void scan_finish(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	s->open = 0;
	switch (st->mode) {
	case KSPLIT_SCAN_UNTIL_CLOSE: scan_message_end(s, st, 0); break;
	case KSPLIT_SCAN_FIELDS:
	case KSPLIT_SCAN_BODY:
	case KSPLIT_SCAN_CHUNK_SIZE:
	case KSPLIT_SCAN_CHUNK_DATA:
	case KSPLIT_SCAN_CHUNK_END:
	case KSPLIT_SCAN_TRAILERS: scan_message_end(s, st, KSPLIT_HEAD_ABORTED); break;
	default: break;
	}
}

#endif
