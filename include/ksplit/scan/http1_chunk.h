/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_HTTP1_CHUNK_H
#define KSPLIT_SCAN_HTTP1_CHUNK_H

/*
 * HTTP/1's chunks. A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/scan/http1_field.h>

/* --- HTTP/1: chunks (RFC 9112 7.1) --- */

SCAN_FN int scan_chunk_size(const struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			    __u32 end)
{
	__u64 size = 0;
	__u32 digits = 0;

	if (!s || !st)
		return 1;
	for (; digits < 16; digits++) {
		__u32 digit;

		if (at + digits >= end)
			break;
		digit = scan_digit_at(s, at + digits);
		if (digit > 15)
			break; /* an extension, or blanks */
		size = size << 4 | digit;
	}
	if (digits > 15 || !digits)
		return 1;
	at += digits;
	st->content_length = size;
	return at < end && scan_digit_at(s, at) != SCAN_BLANK && s->window[at & SCAN_MASK] != ';';
}

/* The line with the size has ended: only now is there something to skip. */
static inline void scan_chunk_begin(struct ksplit_stream_state *st)
{
	st->skip = st->content_length;
	st->mode = st->skip ? KSPLIT_SCAN_CHUNK_DATA : KSPLIT_SCAN_TRAILERS;
}

#endif
