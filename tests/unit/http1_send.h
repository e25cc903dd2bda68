/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_HTTP1_SEND_H
#define KSPLIT_TESTS_HTTP1_SEND_H

/* HTTP/1 events for a decoder under test. */

#include "head_feed.h"

#define MS 1000000ull

#define FIRST KSPLIT_HEAD_FIRST
#define WHOLE KSPLIT_HEAD_WHOLE
#define END   KSPLIT_HEAD_END
#define ALL   (FIRST | WHOLE | END)

/* Message bytes are 1000 + body; the first byte was sent a millisecond before the event. */
static inline void send_head(struct head_feed *feed, enum ksplit_stream stream, unsigned int flags,
			     uint64_t ms, uint64_t body, const char *text)
{
	struct ksplit_head_event event = {
		.time_ns = ms * MS,
		.first_ns = (ms - 1) * MS,
		.kind = KSPLIT_EVENT_HTTP1,
		.stream = (uint8_t)stream,
		.flags = (uint8_t)flags,
	};

	if (flags & END) {
		event.message_bytes = 1000 + body;
		event.body_bytes = body;
	}
	head_feed_event(feed, &event, text, strlen(text));
}

static inline void request(struct head_feed *feed, unsigned int flags, uint64_t ms,
			   const char *text)
{
	send_head(feed, KSPLIT_REQUESTS, flags, ms, 0, text);
}

static inline void response(struct head_feed *feed, unsigned int flags, uint64_t ms,
			    const char *text)
{
	send_head(feed, KSPLIT_RESPONSES, flags, ms, 0, text);
}

static inline void expect(const struct head_feed *feed, size_t i, const char *method,
			  const char *path, int status, bool complete)
{
	assert_true(i < feed->count);
	assert_string_equal(feed->requests[i].method, method);
	assert_string_equal(feed->requests[i].path, path);
	assert_int_equal(feed->requests[i].status, status);
	assert_int_equal(feed->requests[i].complete, complete);
	assert_int_equal(feed->requests[i].grpc_status, -1);
}

#endif
