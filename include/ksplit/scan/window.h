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
	__u32 event_bytes; /* of the longest that was written before this one: to be wiped */
	__u32 waits; /* fexit: for a second look at this piece, of this stream; 0: for none */
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
#define SCAN_SPACES SCAN_LOWER

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
 * Marks of the word's bytes that are `byte`; the lowest is always right, those above it need not
 * be.
 */
static inline __u64 scan_marks(__u64 word, __u64 byte)
{
	word ^= byte * SCAN_ONES;
	return (word - SCAN_ONES) & ~word & SCAN_HIGHS;
}

/* Where is the first `byte` in [from, to)? At `to`: nowhere. Eight bytes at a time. */
SCAN_FN __u32 scan_find(const struct ksplit_scan *s, __u32 from, __u32 to, __u32 byte)
{
#ifdef SCAN_MEMCHR
	const __u8 *found;

	if (from >= to)
		return to;
	found = SCAN_MEMCHR(&s->window[from], (int)byte, to - from);
	return found ? (__u32)(found - s->window) : to;
#else
	if (!s || to > SCAN_WINDOW)
		return to;
	for (__u32 i = 0; i < SCAN_WINDOW / 8 && from < to; i++, from += 8) {
		__u64 marks = scan_marks(scan_word(s, from), byte & 0xff);

		if (marks) {
			from += scan_first_mark(marks);
			return from < to ? from : to;
		}
	}
	return to;
#endif
}

/*
 * The same for the line feed. Without memchr 32 bytes at a time as long as none of them can be
 * below the space: such bytes borrow from their highest bit, and few are in a head but at its
 * lines' ends.
 */
SCAN_FN __u32 scan_line_end(const struct ksplit_scan *s, __u32 from, __u32 to)
{
#ifdef SCAN_MEMCHR
	return scan_find(s, from, to, '\n');
#else
	if (!s || to > SCAN_WINDOW)
		return to;
	for (__u32 i = 0; i < SCAN_WINDOW / 32 && from < to; i++, from += 32) {
		const __u8 *p = &s->window[from & SCAN_MASK];
		__u64 a = SCAN_LOAD(p), b = SCAN_LOAD(p + 8);
		__u64 c = SCAN_LOAD(p + 16), d = SCAN_LOAD(p + 24), marks;
		__u32 at = from;

		if (!(((a - SCAN_SPACES) | (b - SCAN_SPACES) | (c - SCAN_SPACES) |
		       (d - SCAN_SPACES)) & SCAN_HIGHS))
			continue;
		marks = scan_marks(a, '\n');
		if (!marks) {
			marks = scan_marks(b, '\n');
			at += 8;
		}
		if (!marks) {
			marks = scan_marks(c, '\n');
			at += 8;
		}
		if (!marks) {
			marks = scan_marks(d, '\n');
			at += 8;
		}
		if (!marks)
			continue;
		at += scan_first_mark(marks);
		return at < to ? at : to;
	}
	return to;
#endif
}

#endif
