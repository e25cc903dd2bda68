/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_HTTP1_FIRST_LINE_H
#define KSPLIT_SCAN_HTTP1_FIRST_LINE_H

/*
 * HTTP/1's first lines (RFC 9112 3, 4). A part of <ksplit/stream_scan.h>,
 * which says what has to be defined before.
 */

#include <ksplit/scan/event.h>

/* "?a=1&b=2" without the values; [at, end) begins with the question mark. */
static inline void scan_put_parameters(struct ksplit_scan *s, __u32 at, __u32 end)
{
	for (int i = 0; i < 16; i++) {
		__u32 next, name_end;

		if (at >= end)
			break;
		next = scan_find(s, at + 1, end, '&');
		name_end = scan_find(s, at + 1, next, '=');
		scan_put(s, at, name_end - at);
		at = next;
	}
}

/*
 * Where the path of a target begins that is neither in origin-form nor "*": behind the authority
 * (RFC 3986 3.2: it ends at the first slash or question mark), or behind the user info.
 */
static inline __u32 scan_path_begin(struct ksplit_scan *s, __u32 at, __u32 end)
{
	__u32 query = scan_find(s, at, end, '?'), colon = scan_find(s, at, query, ':');
	__u32 user;

	if (colon + 3 <= query && s->window[(colon + 1) & SCAN_MASK] == '/' &&
	    s->window[(colon + 2) & SCAN_MASK] == '/') {
		at = scan_find(s, colon + 3, query, '/');
		if (at == query)
			scan_put_byte(s, '/');
		return at;
	}
	user = scan_find(s, at, query, '@');
	return user < query ? user + 1 : at;
}

/*
 * The target (RFC 9112 3.2): of an absolute URI the path alone, of CONNECT's authority not the user
 * info.
 */
SCAN_FN int scan_put_target(struct ksplit_scan *s, __u32 at, __u32 end)
{
	__u32 query;

	if (!s || end > SCAN_WINDOW || at >= end)
		return 1;
	end = scan_find(s, at, end, '#');
	if (s->window[at & SCAN_MASK] != '/' && s->window[at & SCAN_MASK] != '*')
		at = scan_path_begin(s, at, end);
	query = scan_find(s, at, end, '?');
	scan_put(s, at, query - at);
	if (query < end)
		scan_put_parameters(s, query, end);
	return 0;
}

static inline __u32 scan_method(const struct ksplit_scan *s, __u32 at, __u32 len)
{
	__u64 word = scan_word(s, at);

	if (len == 4 && (__u32)word == 0x44414548 /* "HEAD" */)
		return KSPLIT_METHOD_HEAD;
	if (len == 7 && (word << 8 >> 8) == 0x5443454e4e4f43ULL /* "CONNECT" */)
		return KSPLIT_METHOD_CONNECT;
	return KSPLIT_METHOD_ANY;
}

#define SCAN_VERSION_LEN 9 /* " HTTP/1.1" */

/* " HTTP/1." before the last digit? */
static inline int scan_is_version(const struct ksplit_scan *s, __u32 at)
{
	return scan_word(s, at) == 0x2e312f5054544820ULL;
}

/* "GET ", "PUT ", "POST " or "HEAD " at a line's begin: how long the method is; 0: another one. */
static inline __u32 scan_usual_method(const struct ksplit_scan *s, __u32 at)
{
	__u64 word = scan_word(s, at);

	switch ((__u32)word) {
	case 0x20544547 /* "GET " */:
	case 0x20545550 /* "PUT " */: return 3;
	case 0x54534f50 /* "POST" */:
	case 0x44414548 /* "HEAD" */: return (word >> 32 & 0xff) == ' ' ? 4 : 0;
	default: return 0;
	}
}

/* Capitals and what stands between them: all methods that are registered (RFC 9110 16.1). */
SCAN_FN int scan_is_method(const struct ksplit_scan *s, __u32 at, __u32 len)
{
	if (!s || len == 0 || len >= 24)
		return 0;
	for (__u32 i = 0; i < 24; i++) {
		__u32 byte;

		if (i >= len)
			break;
		byte = s->window[(at + i) & SCAN_MASK];
		if (byte - 'A' > 25 && byte != '-' && byte != '_')
			return 0;
	}
	return 1;
}

/* Neither a query nor a fragment in [at, end)? */
SCAN_FN int scan_is_plain(const struct ksplit_scan *s, __u32 at, __u32 end)
{
	if (!s || end > SCAN_WINDOW)
		return 0;
	for (__u32 i = 0; i < SCAN_WINDOW / 8 && at < end; i++, at += 8) {
		__u64 word = scan_word(s, at);
		__u64 marks = scan_marks(word, '?') | scan_marks(word, '#');

		if (marks)
			return at + scan_first_mark(marks) >= end;
	}
	return 1;
}

/* METHOD TARGET HTTP/1.x; 0, or it is none. */
SCAN_FN int scan_request_line(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			      __u32 len, __u32 cut)
{
	__u32 end = at + len, space;

	if (!s || !st || end > SCAN_WINDOW || len < SCAN_VERSION_LEN + 3)
		return 1;
	if (!cut && !scan_is_version(s, end - SCAN_VERSION_LEN))
		return 1;
	if (!cut)
		end -= SCAN_VERSION_LEN;
	space = scan_usual_method(s, at);
	if (space) {
		space += at;
	} else {
		space = scan_find(s, at, end, ' ');
		if (!scan_is_method(s, at, space - at))
			return 1;
	}
	if (space + 1 >= end)
		return 1;
	st->method = scan_method(s, at, space - at);
	if (s->window[(space + 1) & SCAN_MASK] == '/' && scan_is_plain(s, space + 1, end)) {
		/* The common case: all of it. */
		scan_put_to_end(s, at, at + len, cut);
		return 0;
	}
	scan_put(s, at, space + 1 - at);
	scan_put_target(s, space + 1, end);
	if (!cut)
		scan_put_to_end(s, end, at + len, cut);
	else
		scan_put_line_end(s);
	return 0;
}

/* HTTP/1.x 200 ...; without the phrase, which is the origin's own text. 0, or it is none. */
SCAN_FN int scan_status_line(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			     __u32 len)
{
	__u32 status = 0;

	if (!s || !st || at + len > SCAN_WINDOW || len < 12)
		return 1;
	/* "HTTP/1.", then a digit, a space and three more digits. */
	if (scan_word(s, at) << 8 != 0x2e312f5054544800ULL ||
	    s->window[(at + 8) & SCAN_MASK] != ' ')
		return 1;
	for (__u32 i = 9; i < 12; i++) {
		__u32 digit = s->window[(at + i) & SCAN_MASK] - '0';

		if (digit > 9)
			return 1;
		status = status * 10 + digit;
	}
	st->status = (__u16)status;
	scan_put(s, at, 12);
	scan_put_byte(s, ' ');
	scan_put_line_end(s);
	return 0;
}

/* What the response to the oldest open request has to know of it. */
static inline void scan_join(struct ksplit_scan *s, struct ksplit_stream_state *st,
			     const struct ksplit_pair *pair)
{
	__u32 waiting = pair->asked - pair->answered;
	__u32 method;

	if (waiting == 0 || waiting > KSPLIT_PAIR_REQUESTS)
		return; /* a server may answer without being asked (408) */
	method = pair->method[pair->answered & (KSPLIT_PAIR_REQUESTS - 1)];
	if (method == KSPLIT_METHOD_HEAD)
		st->flags |= KSPLIT_STATE_TO_HEAD;
	else if (method == KSPLIT_METHOD_CONNECT)
		st->flags |= KSPLIT_STATE_TO_TUNNEL;
	if (waiting <= KSPLIT_PAIR_TIMES) {
		__u64 asked_ns = pair->request_ns[pair->answered & (KSPLIT_PAIR_TIMES - 1)];

		if (asked_ns && st->first_ns > asked_ns)
			scan_event(s)->latency_ns = st->first_ns - asked_ns;
	}
}

/* The 24 bytes of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" (RFC 9113 3.4) begin with a line of 14. */
#define SCAN_PREFACE_LEN 24

static inline int scan_is_preface(const struct ksplit_scan *s, __u32 at, __u32 len)
{
	return len == 14 && scan_word(s, at) == 0x5448202a20495250ULL &&
	       scan_word(s, at + 6) == 0x302e322f50545448ULL;
}

/* Of a first line that are looked at: with its end it has to fit into an event. */
static inline __u32 scan_head_bytes(const struct ksplit_scan *s)
{
	return s->head_bytes < KSPLIT_HEAD_MAX - 2 ? s->head_bytes : KSPLIT_HEAD_MAX - 2;
}

static inline void scan_first_line(struct ksplit_scan *s, struct ksplit_stream_state *st,
				   struct ksplit_pair *pair, const struct scan_line *line)
{
	__u32 at = line->at, len = line->len, cut = line->cut;
	int bad;

	if (len == 0) {
		st->first_ns = 0; /* RFC 9112 2.2: empty lines before a message are passed over */
		return;
	}
	if (!st->first_ns)
		st->first_ns = s->now_ns;
	if (len > scan_head_bytes(s)) {
		len = scan_head_bytes(s);
		cut = 1;
	}
	scan_event_room(s, st, KSPLIT_EVENT_HTTP1, KSPLIT_HEAD_MAX);
	if (st->stream == KSPLIT_REQUESTS)
		bad = scan_request_line(s, st, at, len, cut);
	else
		bad = scan_status_line(s, st, at, len);
	if (bad) {
		s->open = 0; /* nothing of it goes out */
		scan_not_http(s, st);
		return;
	}
	scan_event(s)->first_ns = st->first_ns;
	scan_event(s)->flags |= KSPLIT_HEAD_FIRST;
	if (cut && st->stream == KSPLIT_REQUESTS)
		scan_event(s)->flags |= KSPLIT_HEAD_CUT;
	st->flags |= KSPLIT_STATE_HTTP;
	st->mode = KSPLIT_SCAN_FIELDS;
	if (st->stream == KSPLIT_RESPONSES)
		scan_join(s, st, pair);
}

#endif
