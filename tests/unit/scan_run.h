/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SCAN_RUN_H
#define KSPLIT_TESTS_SCAN_RUN_H

/* A stream scanner with its queue, fed in pieces. Include after cmocka.h. */

#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "observe/event_queue.h"
#include "observe/stream_scanner.h"
#include "scan_rig.h"

enum scan_cut { SCAN_CUT_WHOLE, SCAN_CUT_AT, SCAN_CUT_BYTES, SCAN_CUT_RANDOM };

struct scan_run {
	struct event_queue *queue;
	struct stream_scanner *scanner;
	struct stream_pair pair;
	struct scan_events events;
	int wake_fd;
	enum scan_cut cut;
	size_t at; /* SCAN_CUT_AT */
	bool skip; /* bodies go by unseen */
	bool check_memory;
	uint64_t random;
};

static inline uint32_t scan_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static inline void scan_run_new(struct scan_run *run, uint32_t head_bytes)
{
	memset(run, 0, sizeof(*run));
	run->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(run->wake_fd >= 0);
	assert_int_equal(event_queue_new(1 << 20, run->wake_fd, &run->queue), 0);
	assert_int_equal(stream_scanner_new(run->queue, head_bytes, &run->scanner), 0);
}

static inline void scan_run_free(struct scan_run *run)
{
	scan_events_drop(&run->events);
	stream_scanner_free(run->scanner);
	event_queue_free(run->queue);
	close(run->wake_fd);
}

/* Between two pieces the scanner itself remembers nothing of what went by. */
static inline void scan_run_check_memory(const struct scan_run *run)
{
	size_t size = malloc_usable_size(run->scanner);

	assert_null(memmem(run->scanner, size, SCAN_SECRET, strlen(SCAN_SECRET)));
	assert_null(memmem(run->scanner, size, "HTTP", 4));
	assert_null(memmem(run->scanner, size, "xxxx", 4));
}

static inline void scan_run_take(struct scan_run *run)
{
	enum event_queue_kind kind;
	const struct ksplit_head_event *event;
	size_t len;

	while ((event = event_queue_peek(run->queue, &kind, &len))) {
		assert_int_equal(kind, EVENT_QUEUE_HEAD);
		assert_int_equal(len, sizeof(*event) + event->len);
		scan_events_add(&run->events, event);
		event_queue_take(run->queue);
	}
	assert_int_equal(event_queue_dropped(run->queue), 0);
}

/* In memory of just its size: a sanitizer sees what is read beyond. */
static inline void scan_run_feed(struct scan_run *run, enum ksplit_stream stream, const char *data,
				 size_t len)
{
	char *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	stream_scanner_feed(run->scanner, &run->pair, stream, copy, len);
	free(copy);
}

static inline void scan_run_piece(struct scan_run *run, enum ksplit_stream stream, const char *data,
				  size_t len)
{
	while (len) {
		uint64_t skip = run->pair.stream[stream].skip;
		size_t part = len;

		if (run->skip && skip) {
			part = skip < len ? (size_t)skip : len;
			stream_scanner_skip(run->scanner, &run->pair, stream, part);
		} else {
			scan_run_feed(run, stream, data, part);
		}
		data += part;
		len -= part;
	}
	if (run->check_memory)
		scan_run_check_memory(run);
	scan_run_take(run);
}

/* All of a stream, in pieces as the run has them. */
static inline void scan_run_stream(struct scan_run *run, enum ksplit_stream stream,
				   const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t part = len - done;

		if (run->cut == SCAN_CUT_AT && done == 0 && run->at && run->at < len)
			part = run->at;
		else if (run->cut == SCAN_CUT_BYTES)
			part = 1;
		else if (run->cut == SCAN_CUT_RANDOM)
			part = 1 + scan_random(&run->random) %
					   (scan_random(&run->random) % 4 ? 40 : 1500);
		if (part > len - done)
			part = len - done;
		scan_run_piece(run, stream, data + done, part);
		done += part;
	}
}

static inline void scan_run_begin(struct scan_run *run, bool http2)
{
	scan_events_drop(&run->events);
	stream_pair_init(&run->pair, 7, http2);
}

static inline void scan_run_end(struct scan_run *run)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		stream_scanner_finish(run->scanner, &run->pair.stream[i]);
	scan_run_take(run);
	scan_run_check_memory(run);
	stream_pair_release(&run->pair);
}

#endif
