/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_SCAN_HTTP1_FIELD_H
#define KSPLIT_SCAN_HTTP1_FIELD_H

/*
 * HTTP/1's fields: those that are kept, and how long a body is by them. A part of
 * <ksplit/stream_scan.h>, which says what has to be defined before.
 */

#include <ksplit/scan/event.h>

#define SCAN_BLANK 16
#define SCAN_OTHER 17

/* The value of a hexadecimal digit, SCAN_BLANK or SCAN_OTHER. */
static inline __u32 scan_digit(__u32 byte)
{
	if (byte - '0' <= 9)
		return byte - '0';
	if ((byte | 0x20) - 'a' <= 5)
		return (byte | 0x20) - 'a' + 10;
	return byte == ' ' || byte == '\t' ? SCAN_BLANK : SCAN_OTHER;
}

static inline __u32 scan_digit_at(const struct ksplit_scan *s, __u32 at)
{
	return scan_digit(s->window[at & SCAN_MASK]);
}

/* A number that fills the rest of the line, blanks around it; 0, or it is none. */
SCAN_FN int scan_length(const struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			__u32 end)
{
	__u64 value = 0;
	__u32 i = 0, first;

	if (!s || !st)
		return 1;
	/* Mostly one space. */
	if (at < end && s->window[at & SCAN_MASK] == ' ' &&
	    s->window[(at + 1) & SCAN_MASK] > ' ')
		at++;
	else
		for (; i < 8; i++)
			if (at + i >= end || scan_digit_at(s, at + i) != SCAN_BLANK)
				break;
	at += i;
	first = at;
	for (i = 0; i < 18; i++) {
		__u32 digit;

		if (at >= end)
			break;
		digit = s->window[at & SCAN_MASK] - '0';
		if (digit > 9)
			break;
		value = value * 10 + digit;
		at++;
	}
	st->content_length = value;
	st->flags |= KSPLIT_STATE_LENGTH;
	if (at == first || at == end)
		return at == first;
	for (i = 0; i < 8; i++)
		if (at + i >= end || scan_digit_at(s, at + i) != SCAN_BLANK)
			break;
	return at + i < end;
}

/* "chunked" is the last coding (RFC 9112 6.1); blanks may follow (5.5). */
static inline int scan_ends_chunked(const struct ksplit_scan *s, __u32 end)
{
	for (int i = 0; i < 8; i++) {
		if (scan_digit_at(s, end - 1) != SCAN_BLANK)
			break;
		end--;
	}
	return ((scan_word(s, end - 7) | SCAN_LOWER) & 0xffffffffffffffULL) == 0x64656b6e756863ULL;
}

/* Which of the kept fields is it? The length of its name with the colon; 0: none. */
static inline __u32 scan_field_name(const struct ksplit_scan *s, __u32 at, __u32 len)
{
	__u64 word = scan_word(s, at) | SCAN_LOWER;

	if (len >= 5 && (word & 0xffffffffffULL) == 0x3a74736f68ULL /* "host:" */)
		return 5;
	if (len >= 13 && word == 0x2d746e65746e6f63ULL /* "content-" */) {
		__u64 rest = scan_word(s, at + 8) | SCAN_LOWER;

		if ((rest & 0xffffffffffULL) == 0x3a65707974ULL /* "type:" */)
			return 13;
		if (len >= 15 &&
		    (rest & 0xffffffffffffffULL) == 0x3a6874676e656cULL /* "length:" */)
			return 15;
	}
	if (len >= 18 && word == 0x726566736e617274ULL /* "transfer" */ &&
	    (scan_word(s, at + 8) | SCAN_LOWER) == 0x6e69646f636e652dULL /* "-encodin" */ &&
	    (s->window[(at + 16) & SCAN_MASK] | 0x20) == 'g' &&
	    s->window[(at + 17) & SCAN_MASK] == ':')
		return 18;
	return 0;
}

/* What the field says of the body's length; 0, or that cannot be read. */
static inline int scan_framing(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			       __u32 end, __u32 name)
{
	__u64 before = st->flags & KSPLIT_STATE_LENGTH ? st->content_length : KSPLIT_SKIP_ALL;

	if (name == 18) {
		if (scan_ends_chunked(s, end))
			st->flags |= KSPLIT_STATE_CHUNKED;
		return 0;
	}
	/* RFC 9112 6.3: several that differ are an attack. */
	return scan_length(s, st, at + 15, end) ||
	       (before != KSPLIT_SKIP_ALL && before != st->content_length);
}

/*
 * A kept field's line, without its end; `name` as scan_field_name told. One of more than SCAN_LINE
 * bytes need not be here whole.
 */
SCAN_INLINE void scan_field(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			    __u32 len, __u32 name)
{
	if (name >= 15) {
		st->flags |= KSPLIT_STATE_FRAMING;
		if (len > SCAN_LINE || scan_framing(s, st, at, at + len, name)) {
			scan_not_http(s, st); /* framing that cannot be read */
			return;
		}
	}
	if (len > SCAN_LINE)
		return;
	scan_event_room(s, st, KSPLIT_EVENT_HTTP1, len + 2);
	scan_put_to_end(s, at, at + len, 0);
}

/* Does the line go on with a field that told the length? It must not (RFC 9112 5.2). */
static inline int scan_is_folded(const struct ksplit_scan *s, const struct ksplit_stream_state *st,
				 __u32 at)
{
	return st->flags & KSPLIT_STATE_FRAMING && scan_digit_at(s, at) == SCAN_BLANK;
}

/* Any line of the head behind its first. */
static inline void scan_field_line(struct ksplit_scan *s, struct ksplit_stream_state *st,
				   const struct scan_line *line)
{
	__u32 name = scan_field_name(s, line->at, line->len), len = line->len;

	if (scan_is_folded(s, st, line->at)) {
		scan_not_http(s, st);
		return;
	}
	st->flags &= ~KSPLIT_STATE_FRAMING;
	/* The same, however it arrived: a line that came in pieces may be cut sooner. */
	if (line->cut && len <= SCAN_LINE)
		len = SCAN_LINE + 1;
	if (name)
		scan_field(s, st, line->at, len, name);
}

static inline int scan_is_bodyless(const struct ksplit_stream_state *st)
{
	return st->status < 200 || st->status == 204 || st->status == 304 ||
	       (st->flags & KSPLIT_STATE_TO_HEAD);
}

/* How long is the body (RFC 9112 6.3)? */
static inline void scan_body_begin(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	if (st->flags & KSPLIT_STATE_CHUNKED) {
		st->mode = KSPLIT_SCAN_CHUNK_SIZE;
	} else if (st->flags & KSPLIT_STATE_LENGTH) {
		st->mode = KSPLIT_SCAN_BODY;
		st->skip = st->content_length;
		if (!st->skip)
			scan_message_end(s, st, 0);
	} else if (st->stream == KSPLIT_REQUESTS) {
		scan_message_end(s, st, 0);
	} else {
		st->mode = KSPLIT_SCAN_UNTIL_CLOSE;
		st->skip = KSPLIT_SKIP_ALL;
	}
}

static inline void scan_request_head_end(struct ksplit_scan *s, struct ksplit_stream_state *st,
					 struct ksplit_pair *pair)
{
	if (pair->asked - pair->answered >= KSPLIT_PAIR_REQUESTS) {
		scan_give_up(s, st, KSPLIT_EVENT_LOST);
		return;
	}
	pair->method[pair->asked & (KSPLIT_PAIR_REQUESTS - 1)] = st->method;
	pair->request_ns[pair->asked & (KSPLIT_PAIR_TIMES - 1)] = st->first_ns;
	pair->asked++;
	scan_body_begin(s, st);
}

static inline void scan_response_head_end(struct ksplit_scan *s, struct ksplit_stream_state *st,
					  struct ksplit_pair *pair)
{
	int interim = st->status < 200 && st->status != 101;
	int upgraded = st->status == 101 || ((st->flags & KSPLIT_STATE_TO_TUNNEL) &&
					     st->status >= 200 && st->status < 300);

	if (!interim && pair->asked != pair->answered)
		pair->answered++;
	if (upgraded) {
		pair->upgraded = 1;
		scan_event(s)->flags |= KSPLIT_HEAD_BODYLESS;
		scan_message_end(s, st, KSPLIT_HEAD_UPGRADED);
	} else if (scan_is_bodyless(st)) {
		scan_event(s)->flags |= KSPLIT_HEAD_BODYLESS;
		scan_message_end(s, st, 0);
	} else {
		scan_body_begin(s, st);
	}
}

/* The empty line has gone by. */
SCAN_FN int scan_head_end(struct ksplit_scan *s, struct ksplit_stream_state *st,
			  struct ksplit_pair *pair)
{
	if (!s || !st || !pair)
		return 1;
	scan_event_room(s, st, KSPLIT_EVENT_HTTP1, 2);
	scan_put_line_end(s);
	scan_event(s)->flags |= KSPLIT_HEAD_WHOLE;
	if (st->stream == KSPLIT_REQUESTS)
		scan_request_head_end(s, st, pair);
	else
		scan_response_head_end(s, st, pair);
	return 0;
}

#define SCAN_NAME   18 /* of the longest field name that is looked for, with its colon */
#define SCAN_FIELDS 16 /* that are looked at in one go */

enum scan_field_result {
	SCAN_FIELD_PASSED,
	SCAN_FIELD_EMPTY, /* the empty line is next */
	SCAN_FIELD_OVER,  /* of the window, or of what is looked at */
	SCAN_FIELD_LONG,  /* the next line has to be looked at by itself */
};

static inline enum scan_field_result scan_field_at(const struct ksplit_scan *s,
						   const struct ksplit_stream_state *st, __u32 at)
{
	__u8 first = s->window[at & SCAN_MASK];

	if (at >= s->len)
		return SCAN_FIELD_OVER;
	if (first == '\r' && at + 2 <= s->len && s->window[(at + 1) & SCAN_MASK] == '\n')
		return SCAN_FIELD_EMPTY;
	if (first == '\r' || first == '\n' || scan_is_folded(s, st, at))
		return SCAN_FIELD_LONG;
	return SCAN_FIELD_PASSED;
}

/* Returns enum scan_field_result. */
SCAN_FN int scan_next_field(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	enum scan_field_result result;
	__u32 at, name, end;

	if (!s || !st || s->len > SCAN_WINDOW)
		return SCAN_FIELD_LONG;
	at = s->at;
	result = scan_field_at(s, st, at);
	if (result != SCAN_FIELD_PASSED)
		return result;
	name = scan_field_name(s, at, s->len - at);
	end = scan_line_end(s, at, s->len);
	if (end >= s->len) {
		if (name || at + SCAN_NAME >= s->len)
			return SCAN_FIELD_LONG;
		st->flags |= KSPLIT_STATE_REST;
		result = SCAN_FIELD_OVER;
		end = s->len - 1;
	}
	st->flags &= ~KSPLIT_STATE_FRAMING;
	st->message_bytes += end + 1 - at;
	s->at = end + 1;
	if (!name)
		return result;
	if (s->window[(end - 1) & SCAN_MASK] == '\r')
		end--;
	scan_field(s, st, at, end - at, name);
	return st->mode == KSPLIT_SCAN_FIELDS ? SCAN_FIELD_PASSED : SCAN_FIELD_OVER;
}

/*
 * Fields that are in the window whole, and the empty line behind them: most of a head in one go.
 * What is of no interest, a cookie above all, is not waited for as a whole. 0: the next line has to
 * be looked at by itself.
 */
SCAN_FN int scan_fields(struct ksplit_scan *s, struct ksplit_stream_state *st,
			struct ksplit_pair *pair)
{
	int result = SCAN_FIELD_PASSED;

	if (!s || !st || !pair)
		return 0;
	for (__u32 i = 0; i < SCAN_FIELDS && result == SCAN_FIELD_PASSED; i++)
		result = scan_next_field(s, st);
	if (result == SCAN_FIELD_EMPTY) {
		st->message_bytes += 2;
		s->at += 2;
		scan_head_end(s, st, pair);
	}
	return result != SCAN_FIELD_LONG;
}

#endif
