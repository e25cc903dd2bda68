/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP_DECODER_H
#define KSPLIT_OBSERVE_HTTP_DECODER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include <ksplit/head_event.h>

#include "observe/request.h"

/*
 * Joins a connection's head events into requests: HTTP/1.0 and 1.1 by http_parser, HTTP/2 by
 * nghttp2's HPACK decoder. Fed with heads only. One thread.
 */
struct http_decoder;

/* What became of a stream that is not decoded (any more); each is counted by the caller. */
enum http_decoder_trouble {
	HTTP_TROUBLE_NONE,
	HTTP_TROUBLE_GAP,	/* events were dropped */
	HTTP_TROUBLE_SAMPLER,	/* the sampler lost the stream */
	HTTP_TROUBLE_MALFORMED, /* no HTTP after all, or broken */
	HTTP_TROUBLE_TOO_MANY,	/* more streams or pipelined requests than are kept */
	HTTP_TROUBLES
};

struct http_decoder_callbacks {
	/* A request is over (response complete, or the connection ended). Valid within the call. */
	void (*request)(void *ctx, const struct observe_request *request);
	/* Told once a connection for each kind of trouble. */
	void (*trouble)(void *ctx, enum http_decoder_trouble trouble);
};

/* Make one for a connection; `callbacks` is not owned. NULL: out of memory. */
struct http_decoder *http_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx);

/*
 * The connection's next event. Its bytes are neither kept nor changed beyond what a request holds.
 */
void http_decoder_feed(struct http_decoder *decoder, const struct ksplit_head_event *event);

/* The connection is closed: requests that are still open are told of, incomplete. */
void http_decoder_finish(struct http_decoder *decoder);

/* Is (was) it HTTP? 0: not (yet) known, else enum observe_http_version of the last message. */
int http_decoder_version(const struct http_decoder *decoder);

/* Wipes what it holds. NULL allowed. */
void http_decoder_free(struct http_decoder *decoder);

#endif
