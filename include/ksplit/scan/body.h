/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_BODY_H
#define KSPLIT_SCAN_BODY_H

/*
 * Bodies: stepped over. A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/scan/event.h>

static inline void scan_account(struct ksplit_stream_state *st, __u64 bytes)
{
	if (st->skip != KSPLIT_SKIP_ALL)
		st->skip -= bytes;
	if (st->mode == KSPLIT_SCAN_BODY || st->mode == KSPLIT_SCAN_CHUNK_DATA ||
	    st->mode == KSPLIT_SCAN_UNTIL_CLOSE) {
		st->message_bytes += bytes;
		st->body_bytes += bytes;
	}
}

/* `skip` has come to nothing: what is next? */
static inline void scan_skipped(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	if (st->mode == KSPLIT_SCAN_BODY)
		scan_message_end(s, st, 0);
	else if (st->mode == KSPLIT_SCAN_CHUNK_DATA)
		st->mode = KSPLIT_SCAN_CHUNK_END;
}

/* Step over bytes, those in the window first. */
static inline void scan_skip(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	__u32 ready = s->len - s->at, behind = s->size - s->read;

	if (ready) {
		if (ready > st->skip)
			ready = (__u32)st->skip;
		s->at += ready;
		scan_account(st, ready);
	}
	if (st->skip && behind) {
		if (behind > st->skip)
			behind = (__u32)st->skip;
		s->read += behind;
		scan_account(st, behind);
	}
	if (!st->skip)
		scan_skipped(s, st);
}

/*
 * A piece that is all body needs no look: true, and accounted for. (Not where it ends the message:
 * that is an event.)
 */
static inline int scan_skip_piece(struct ksplit_stream_state *st, __u64 size)
{
	if (st->skip <= size)
		return 0;
	st->total += size;
	scan_account(st, size);
	return 1;
}

#endif
