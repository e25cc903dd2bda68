// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/stream_scanner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "observe/event_queue.h"

static void emit(void *event, size_t size);

static inline __u64 load(const void *from)
{
	__u64 word;

	memcpy(&word, from, sizeof(word));
	return word;
}

static inline void store(void *to, __u64 word)
{
	memcpy(to, &word, sizeof(word));
}

#define SCAN_LOAD(from)		 load(from)
#define SCAN_STORE(to, word)	 store(to, word)
#define SCAN_FN			 static
#define SCAN_COPY(to, from, len) memmove(to, from, len)
#define SCAN_MEMCHR(at, byte, n) memchr(at, byte, n)
#define SCAN_EMIT(event, size)	 emit(event, size)

#include <ksplit/stream_scan.h>

struct stream_scanner {
	struct ksplit_scan scan;
	struct event_queue *queue; /* not owned */
};

/* The event is a member of the scan, which is one of the scanner. */
static void emit(void *event, size_t size)
{
	struct stream_scanner *scanner =
		(void *)((char *)event - offsetof(struct stream_scanner, scan.event));

	event_queue_put(scanner->queue, EVENT_QUEUE_HEAD, event, size);
	explicit_bzero(event, size + 8); /* copies are made in whole words */
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int stream_scanner_new(struct event_queue *queue, uint32_t head_bytes,
		       struct stream_scanner **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->queue = queue;
	(*out)->scan.head_bytes = head_bytes;
	return 0;
}

void stream_scanner_free(struct stream_scanner *scanner)
{
	if (scanner)
		explicit_bzero(scanner, sizeof(*scanner));
	free(scanner);
}

void stream_state_init(struct ksplit_stream_state *state, uint64_t conn,
		       enum ksplit_stream stream, enum ksplit_sampler sampler)
{
	*state = (struct ksplit_stream_state){
		.conn = conn, .stream = (__u8)stream, .sampler = (__u8)sampler};
}

void stream_pair_init(struct stream_pair *pair, uint64_t conn, bool http2)
{
	memset(pair, 0, sizeof(*pair));
	pair->pair.http2 = http2;
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		stream_state_init(&pair->stream[i], conn, i, KSPLIT_SAMPLER_USER);
}

static void pending_free(struct stream_pair *pair, int stream)
{
	if (pair->pending[stream])
		explicit_bzero(pair->pending[stream], sizeof(*pair->pending[stream]));
	free(pair->pending[stream]);
	pair->pending[stream] = NULL;
}

void stream_pair_release(struct stream_pair *pair)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		pending_free(pair, i);
}

static void window_begin(struct ksplit_scan *s, struct stream_pair *pair, int stream)
{
	struct ksplit_pending *pending = pair->pending[stream];

	s->len = 0;
	if (!(pair->stream[stream].flags & KSPLIT_STATE_PENDING) || !pending)
		return;
	pair->stream[stream].flags &= ~KSPLIT_STATE_PENDING;
	memcpy(s->window, pending->bytes, pending->len);
	s->len = pending->len;
	explicit_bzero(pending->bytes, pending->len);
	pending->len = 0;
}

static int window_keep(struct ksplit_scan *s, struct stream_pair *pair, int stream)
{
	struct ksplit_pending *pending = pair->pending[stream];

	if (!pending)
		pending = pair->pending[stream] = calloc(1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	pending->len = s->len - s->at;
	memcpy(pending->bytes, &s->window[s->at], pending->len);
	pair->stream[stream].flags |= KSPLIT_STATE_PENDING;
	return 0;
}

static void walk(struct ksplit_scan *s, struct stream_pair *pair, int stream, const uint8_t *data)
{
	struct ksplit_stream_state *state = &pair->stream[stream];
	int want;

	for (;;) {
		uint32_t room;

		want = scan_step(s, state, &pair->pair);
		if (want == SCAN_GO_ON)
			continue;
		if (want != SCAN_WANT_MORE)
			break;
		room = scan_room(s);
		memcpy(&s->window[s->len], data + s->read, room);
		s->len += room;
		s->read += room;
		if (s->len > s->touched)
			s->touched = s->len;
	}
	if (want == SCAN_WANT_KEEP && window_keep(s, pair, stream))
		scan_give_up(s, state, KSPLIT_EVENT_LOST);
	if (s->open)
		scan_event_flush(s, state, 0);
	explicit_bzero(s->window, s->touched);
	if (!(state->flags & KSPLIT_STATE_PENDING))
		pending_free(pair, stream);
}

void stream_scanner_feed(struct stream_scanner *scanner, struct stream_pair *pair,
			 enum ksplit_stream stream, const void *data, size_t len)
{
	struct ksplit_scan *s = &scanner->scan;

	if (!len || scan_skip_piece(&pair->stream[stream], len))
		return;
	window_begin(s, pair, stream);
	scan_begin(s, &pair->stream[stream], &pair->pair, clock_ns(), (uint32_t)len);
	walk(s, pair, stream, data);
}

void stream_scanner_skip(struct stream_scanner *scanner, struct stream_pair *pair,
			 enum ksplit_stream stream, size_t len)
{
	struct ksplit_stream_state *state = &pair->stream[stream];
	struct ksplit_scan *s = &scanner->scan;

	if (!len || scan_skip_piece(state, len))
		return;
	if (state->skip < len) {
		stream_scanner_lose(scanner, state);
		return;
	}
	window_begin(s, pair, stream);
	scan_begin(s, state, &pair->pair, clock_ns(), (uint32_t)len);
	walk(s, pair, stream, NULL);
}

void stream_scanner_finish(struct stream_scanner *scanner, struct ksplit_stream_state *state)
{
	scanner->scan.now_ns = clock_ns();
	scan_finish(&scanner->scan, state);
}

void stream_scanner_lose(struct stream_scanner *scanner, struct ksplit_stream_state *state)
{
	scanner->scan.now_ns = clock_ns();
	scanner->scan.open = 0;
	scan_give_up(&scanner->scan, state, KSPLIT_EVENT_LOST);
}
