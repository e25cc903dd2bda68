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
 *   SCAN_FN                  storage of its larger functions (BPF: global, so that the verifier looks at
 *                            each one once; their pointer arguments are then checked for NULL)
 *   SCAN_LOAD(from)          the __u64 at any address (BPF: not by memcpy, which clang makes bytes of)
 *   SCAN_STORE(to, word)
 *   SCAN_COPY(to, from, len) copy, also to lower addresses within one array
 *   SCAN_EMIT(event, size)   hand over an event of that many bytes; may drop and count it
 *
 * and calls scan_step until it returns non-zero, with a struct scan_source of its own kind that
 * SCAN_READ(source, to, offset, len) reads the piece by (0, or not readable).
 *
 * Little-endian machines only: bytes are looked for eight at a time.
 */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

#define SCAN_WINDOW 8192 /* a power of two */
#define SCAN_CHUNK  512	 /* of a piece that is read at once */
#define SCAN_LINE   512	 /* a header field that is longer is of no interest */

/* One piece's work; too large for a BPF stack. Holds plaintext within a call only. */
struct ksplit_scan {
	__u64 now_ns;
	__u32 size;	  /* of the piece */
	__u32 read;	  /* bytes of it that are in the window or behind it */
	__u32 at, len;	  /* unread bytes of the window: [at, len) */
	__u32 head_bytes; /* of a first line, at most */
	__u32 touched;	  /* of the window, by this piece: to be wiped */
	__u8 open;	  /* an event is being written */
	__u8 reserved[7];
	__u8 window[2 * SCAN_WINDOW]; /* the second half only keeps masked copies inside */
	/* The event that is being written, with room for its bytes; as above. */
	__u64 event[(sizeof(struct ksplit_head_event) + 2 * KSPLIT_HEAD_MAX) / 8];
};

static inline struct ksplit_head_event *scan_event(struct ksplit_scan *s)
{
	return (struct ksplit_head_event *)s->event;
}

#define SCAN_MASK (SCAN_WINDOW - 1)

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
 * Index of the first `byte` in [from, to), or `to`. Four words at a time as long as none of them can
 * have it: a byte that is zero after the XOR borrows from its highest bit; so do bytes above 0x80, which
 * are looked at more closely.
 */
SCAN_FN __u32 scan_find(const struct ksplit_scan *s, __u32 from, __u32 to, __u32 byte)
{
	__u64 pattern = (byte & 0xff) * SCAN_ONES;
	__u32 at = from;

	if (!s || to > SCAN_WINDOW || from >= to)
		return to;
	for (__u32 i = 0; i < SCAN_WINDOW / 32; i++) {
		const __u8 *p = &s->window[at & SCAN_MASK];
		__u64 a = (SCAN_LOAD(p) ^ pattern) - SCAN_ONES;
		__u64 b = (SCAN_LOAD(p + 8) ^ pattern) - SCAN_ONES;
		__u64 c = (SCAN_LOAD(p + 16) ^ pattern) - SCAN_ONES;
		__u64 d = (SCAN_LOAD(p + 24) ^ pattern) - SCAN_ONES;

		if ((a | b | c | d) & SCAN_HIGHS)
			break;
		at += 32;
		if (at >= to)
			return to;
	}
	for (__u32 i = 0; i < SCAN_WINDOW / 8; i++) {
		__u64 word, marks;

		if (at >= to)
			break;
		word = scan_word(s, at) ^ pattern;
		marks = (word - SCAN_ONES) & ~word & SCAN_HIGHS;
		if (marks) {
			at += scan_first_mark(marks);
			return at < to ? at : to;
		}
		at += 8;
	}
	return to;
}

/* --- events --- */

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
	/* Mostly some words: fewer instructions than a call. What is copied beyond is written over. */
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

/* --- HTTP/1: the first line --- */

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
	space = scan_find(s, at, end, ' ');
	if (space + 1 >= end || !scan_is_method(s, at, space - at))
		return 1;
	st->method = scan_method(s, at, space - at);
	if (s->window[(space + 1) & SCAN_MASK] == '/' &&
	    scan_find(s, space + 1, end, '?') == end && scan_find(s, space + 1, end, '#') == end) {
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

/* Where a line is in the window; cut: it goes on, but the rest is not looked at. */
struct scan_line {
	__u32 at, len, cut;
};

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

/* --- HTTP/1: fields --- */

#define SCAN_BLANK 16
#define SCAN_OTHER 17

/* The value of a hexadecimal digit, SCAN_BLANK or SCAN_OTHER. */
SCAN_FN __u32 scan_digit(__u32 byte)
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
	if (at == first)
		return 1;
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
		if (len >= 15 && (rest & 0xffffffffffffffULL) == 0x3a6874676e656cULL /* "length:" */)
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

static inline void scan_field(struct ksplit_scan *s, struct ksplit_stream_state *st, __u32 at,
			      __u32 len, __u32 cut)
{
	__u32 folded = st->flags & KSPLIT_STATE_FRAMING && scan_digit_at(s, at) == SCAN_BLANK;
	__u32 name = scan_field_name(s, at, len);

	/* The same, however it arrived: a line that came in pieces may be cut sooner. */
	cut |= len > SCAN_LINE;
	st->flags &= ~KSPLIT_STATE_FRAMING;
	if (name >= 15)
		st->flags |= KSPLIT_STATE_FRAMING;
	if (folded || (name >= 15 && (cut || scan_framing(s, st, at, at + len, name)))) {
		scan_not_http(s, st); /* framing that cannot be read */
		return;
	}
	if (!name || cut)
		return;
	scan_event_room(s, st, KSPLIT_EVENT_HTTP1, len + 2);
	scan_put_to_end(s, at, at + len, cut);
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

static inline void scan_head_end(struct ksplit_scan *s, struct ksplit_stream_state *st,
				 struct ksplit_pair *pair)
{
	scan_event_room(s, st, KSPLIT_EVENT_HTTP1, 2);
	scan_put_line_end(s);
	scan_event(s)->flags |= KSPLIT_HEAD_WHOLE;
	if (st->stream == KSPLIT_REQUESTS)
		scan_request_head_end(s, st, pair);
	else
		scan_response_head_end(s, st, pair);
}

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
			scan_field(s, st, at, len, cut);
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

/* --- bodies --- */

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

/* --- HTTP/2 (RFC 9113 4.1, 6) --- */

/* Types whose payload is told of: HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, CONTINUATION. */
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
	SCAN_WANT_KEEP, /* ... but for the window's unread bytes, which have to be kept for the next */
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

#define SCAN_NAME 18 /* of the longest field name that is looked for, with its colon */

/*
 * Fields that are of no interest, cookies above all: passed over in one go, and the last one is not
 * waited for as a whole.
 */
SCAN_FN int scan_pass_over(struct ksplit_scan *s, struct ksplit_stream_state *st)
{
	if (!s || !st || s->len > SCAN_WINDOW)
		return 1;
	for (__u32 i = 0; i < 32; i++) {
		__u32 at = s->at, line_end;
		__u8 first = s->window[at & SCAN_MASK];

		if (at + SCAN_NAME >= s->len || first == '\r' || first == '\n' ||
		    scan_field_name(s, at, s->len - at))
			return 0;
		if (st->flags & KSPLIT_STATE_FRAMING && scan_digit(first) == SCAN_BLANK)
			return 0; /* folded: scan_field has a word to say */
		st->flags &= ~KSPLIT_STATE_FRAMING;
		line_end = scan_find(s, at, s->len, '\n');
		if (line_end >= s->len) {
			st->flags |= KSPLIT_STATE_REST;
			st->message_bytes += s->len - at;
			s->at = s->len;
			return 0;
		}
		st->message_bytes += line_end + 1 - at;
		s->at = line_end + 1;
	}
	return 0;
}

static inline enum scan_want scan_lines(struct ksplit_scan *s, struct ksplit_stream_state *st,
					struct ksplit_pair *pair)
{
	__u32 limit = scan_head_bytes(s) + SCAN_VERSION_LEN + 24;
	__u32 ready, line_end;

	if (st->mode == KSPLIT_SCAN_FIELDS && !(st->flags & KSPLIT_STATE_REST)) {
		scan_pass_over(s, st);
		if (s->at >= s->len || s->len > SCAN_WINDOW)
			return SCAN_GO_ON;
	}
	ready = s->len - s->at;
	line_end = scan_find(s, s->at, s->len, '\n');
	if (limit < SCAN_LINE + 2)
		limit = SCAN_LINE + 2; /* what is not longer has its end in there */
	if (scan_cannot_begin(s, st)) {
		scan_not_http(s, st);
		return SCAN_GO_ON;
	}
	if (line_end < s->len) {
		scan_consume_line(s, st, pair, line_end + 1 - s->at, 0);
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
	room = SCAN_CHUNK;
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
