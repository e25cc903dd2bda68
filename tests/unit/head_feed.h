/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_HEAD_FEED_H
#define KSPLIT_TESTS_HEAD_FEED_H

/* Head events for a decoder under test, and what it tells of them. */

#include <stdlib.h>
#include <string.h>

#include "observe/http_decoder.h"

struct head_feed {
	struct http_decoder *decoder;
	uint32_t sequence[KSPLIT_STREAMS];
	struct observe_request *requests; /* told so far */
	size_t count;
	unsigned int troubles[HTTP_TROUBLES];
};

static inline void head_feed_take_request(void *ctx, const struct observe_request *request)
{
	struct head_feed *feed = ctx;

	feed->requests = realloc(feed->requests, (feed->count + 1) * sizeof(*feed->requests));
	assert_non_null(feed->requests);
	feed->requests[feed->count++] = *request;
}

static inline void head_feed_take_trouble(void *ctx, enum http_decoder_trouble trouble)
{
	struct head_feed *feed = ctx;

	assert_true(trouble > HTTP_TROUBLE_NONE && trouble < HTTP_TROUBLES);
	feed->troubles[trouble]++;
}

static inline void head_feed_begin(struct head_feed *feed)
{
	static const struct http_decoder_callbacks callbacks = {head_feed_take_request,
								head_feed_take_trouble};

	memset(feed, 0, sizeof(*feed));
	feed->decoder = http_decoder_new(&callbacks, feed);
	assert_non_null(feed->decoder);
}

/* Ends the connection, then the decoder; what was told stays until head_feed_drop(). */
static inline void head_feed_end(struct head_feed *feed)
{
	http_decoder_finish(feed->decoder);
	http_decoder_finish(feed->decoder); /* again: nothing more to tell */
	http_decoder_free(feed->decoder);
	feed->decoder = NULL;
}

static inline void head_feed_drop(struct head_feed *feed)
{
	if (feed->decoder)
		head_feed_end(feed);
	free(feed->requests);
	feed->requests = NULL;
}

static inline unsigned int head_feed_troubles(const struct head_feed *feed)
{
	unsigned int sum = 0;

	for (int i = 0; i < HTTP_TROUBLES; i++)
		sum += feed->troubles[i];
	return sum;
}

/* Feeds `event` with these bytes, in memory of exactly their size: a sanitizer sees what is read.
 */
static inline void head_feed_event(struct head_feed *feed, const struct ksplit_head_event *event,
				   const void *bytes, size_t len)
{
	struct ksplit_head_event *copy = malloc(sizeof(*copy) + len);

	assert_non_null(copy);
	*copy = *event;
	copy->len = (uint16_t)len;
	copy->sequence = feed->sequence[event->stream % KSPLIT_STREAMS]++;
	if (len)
		memcpy(copy->head, bytes, len);
	http_decoder_feed(feed->decoder, copy);
	free(copy);
}

#endif
