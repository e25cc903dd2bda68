/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_HTTP2_H
#define KSPLIT_SCAN_HTTP2_H

/*
 * HTTP/2's frames. A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/scan/event.h>

/* --- HTTP/2 (RFC 9113 4.1, 6) --- */

/*
 * Types whose payload is told of: HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY,
 * CONTINUATION.
 */
#define SCAN_KEPT_FRAMES (1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9)
#define SCAN_FRAME_HEADER 9

static inline void scan_frame(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	__u64 word = scan_word(s, s->at);
	__u32 len = (word & 0xff) << 16 | (word >> 8 & 0xff) << 8 | (word >> 16 & 0xff);
	__u32 type = word >> 24 & 0xff;
	int kept = type < 10 && (SCAN_KEPT_FRAMES >> type & 1);

	if (kept || type == 0) {
		scan_event_room(s, st, KSPLIT_EVENT_HTTP2, SCAN_FRAME_HEADER);
		scan_put(s, s->at, SCAN_FRAME_HEADER);
	}
	s->at += SCAN_FRAME_HEADER;
	if (!kept) {
		st->skip = len;
	} else if (len) {
		st->keep = len;
		st->mode = KSPLIT_SCAN_PAYLOAD;
	}
}

static inline void scan_payload(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	__u32 len = s->len - s->at;

	if (len > st->keep)
		len = st->keep;
	if (len > SCAN_CHUNK)
		len = SCAN_CHUNK;
	scan_event_room(s, st, KSPLIT_EVENT_HTTP2, len);
	scan_put(s, s->at, len);
	s->at += len;
	st->keep -= len;
	if (!st->keep)
		st->mode = KSPLIT_SCAN_FRAME;
}

#endif
