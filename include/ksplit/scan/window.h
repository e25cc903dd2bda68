/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_WINDOW_H
#define KSPLIT_SCAN_WINDOW_H

/*
 * The window that a stream is looked at through. A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/stream_state.h>

#define SCAN_WINDOW 8192 /* a power of two */
#define SCAN_CHUNK  1024 /* of a piece that is read at once, at most */
#define SCAN_LINE   512	 /* a header field that is longer is of no interest */

/* One piece's work; too large for a BPF stack. Holds plaintext within a call only. */
struct ksplit_scan {
	__u64 now_ns;
	__u32 size;	  /* of the piece */
	__u32 read;	  /* bytes of it that are in the window or behind it */
	__u32 at, len;	  /* unread bytes of the window: [at, len) */
	__u32 head_bytes; /* of a first line, at most */
	__u32 touched;	  /* of the window, by this piece: to be wiped */
	__u32 chunk;	  /* of the piece, read at once */
	__u32 open;	  /* an event is being written */
	__u8 window[2 * SCAN_WINDOW]; /* the second half only keeps masked copies inside */
	/* The event that is being written, with room for its bytes; as above. */
	__u64 event[(sizeof(struct ksplit_head_event) + 2 * KSPLIT_HEAD_MAX) / 8];
};

static inline struct ksplit_head_event *scan_event(struct ksplit_scan *s)
{
	return (struct ksplit_head_event *)s->event;
}

#define SCAN_MASK (SCAN_WINDOW - 1)

/* Where a line is in the window; cut: it goes on, but the rest is not looked at. */
struct scan_line {
	__u32 at, len, cut;
};

/* --- bytes of the window --- */

static inline __u64 scan_word(const struct ksplit_scan *s, __u32 at)
{
	return SCAN_LOAD(&s->window[at & SCAN_MASK]);
}

/* The word in lower case where it has letters; other bytes of interest stay apart. */
#define SCAN_LOWER 0x2020202020202020ULL

#define SCAN_ONES  0x0101010101010101ULL
#define SCAN_HIGHS 0x8080808080808080ULL

/* Where in its word is the lowest of the marked (0x80) bytes? */
static inline __u32 scan_first_mark(__u64 marks)
{
	__u32 at = 0;

	if (!(marks & 0xffffffff)) {
		at += 4;
		marks >>= 32;
	}
	if (!(marks & 0xffff)) {
		at += 2;
		marks >>= 16;
	}
	if (!(marks & 0xff))
		at += 1;
	return at;
}

/*
 * Index of the first `byte` in [from, to), or `to`. Without memchr two words at a time as long as neither
 * can have it: a byte that is zero after the XOR borrows from its highest bit; so do bytes above 0x80,
 * which are looked at more closely.
 */
SCAN_FN __u32 scan_find(const struct ksplit_scan *s, __u32 from, __u32 to, __u32 byte)
{
#ifdef SCAN_MEMCHR
	const __u8 *found;

	if (from >= to)
		return to;
	found = SCAN_MEMCHR(&s->window[from], (int)byte, to - from);
	return found ? (__u32)(found - s->window) : to;
#else
	__u64 pattern = (byte & 0xff) * SCAN_ONES;

	if (!s || to > SCAN_WINDOW)
		return to;
	for (__u32 i = 0; i < SCAN_WINDOW / 16; i++) {
		const __u8 *p = &s->window[from & SCAN_MASK];
		__u64 a = SCAN_LOAD(p) ^ pattern, b = SCAN_LOAD(p + 8) ^ pattern;

		if (from >= to)
			return to;
		if (((a - SCAN_ONES) | (b - SCAN_ONES)) & SCAN_HIGHS) {
			a = (a - SCAN_ONES) & ~a & SCAN_HIGHS;
			b = (b - SCAN_ONES) & ~b & SCAN_HIGHS;
			if (a | b) {
				from += a ? scan_first_mark(a) : 8 + scan_first_mark(b);
				return from < to ? from : to;
			}
		}
		from += 16;
	}
	return to;
#endif
}

#endif
