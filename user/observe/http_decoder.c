// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http_decoder.h"

#include <stdlib.h>

#include "observe/http1_decoder.h"
#include "observe/http2_decoder.h"

struct http_decoder {
	const struct http_decoder_callbacks *callbacks;
	void *ctx;
	struct http1_decoder *http1; /* at most one of the two, from its first event on */
	struct http2_decoder *http2;
	uint32_t next[KSPLIT_STREAMS]; /* sequence */
	unsigned int told;             /* bit of each trouble */
	int version;
	bool stopped;
};

struct http_decoder *http_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx)
{
	struct http_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder) {
		decoder->callbacks = callbacks;
		decoder->ctx = ctx;
	}
	return decoder;
}

static void tell(struct http_decoder *decoder, enum http_decoder_trouble trouble)
{
	if (trouble == HTTP_TROUBLE_NONE || decoder->told & 1u << trouble)
		return;
	decoder->told |= 1u << trouble;
	decoder->callbacks->trouble(decoder->ctx, trouble);
}

/* Nothing of this connection is decoded from here on, and nothing is kept. */
static void stop(struct http_decoder *decoder, enum http_decoder_trouble trouble)
{
	tell(decoder, trouble);
	http_decoder_finish(decoder);
}

void http_decoder_finish(struct http_decoder *decoder)
{
	decoder->stopped = true;
	if (decoder->http1)
		http1_decoder_finish(decoder->http1);
	if (decoder->http2)
		http2_decoder_finish(decoder->http2);
	http1_decoder_free(decoder->http1);
	http2_decoder_free(decoder->http2);
	decoder->http1 = NULL;
	decoder->http2 = NULL;
}

static enum http_decoder_trouble feed_http1(struct http_decoder *decoder,
					    const struct ksplit_head_event *event, bool gap)
{
	if (decoder->http2)
		return HTTP_TROUBLE_MALFORMED;
	if (!decoder->http1)
		decoder->http1 = http1_decoder_new(decoder->callbacks, decoder->ctx);
	if (!decoder->http1)
		return HTTP_TROUBLE_TOO_MANY;
	if (gap)
		http1_decoder_gap(decoder->http1);
	return http1_decoder_feed(decoder->http1, event, &decoder->version);
}

/* A lost frame may have changed the HPACK table (RFC 7541 2.2): nothing can be read after it. */
static enum http_decoder_trouble feed_http2(struct http_decoder *decoder,
					    const struct ksplit_head_event *event, bool gap)
{
	if (gap)
		return HTTP_TROUBLE_GAP;
	if (decoder->http1)
		return HTTP_TROUBLE_MALFORMED;
	if (!decoder->http2)
		decoder->http2 = http2_decoder_new(decoder->callbacks, decoder->ctx);
	if (!decoder->http2)
		return HTTP_TROUBLE_TOO_MANY;
	decoder->version = OBSERVE_HTTP_2;
	return http2_decoder_feed(decoder->http2, event);
}

void http_decoder_feed(struct http_decoder *decoder, const struct ksplit_head_event *event)
{
	enum http_decoder_trouble trouble = HTTP_TROUBLE_NONE;
	bool gap;

	if (decoder->stopped || event->stream >= KSPLIT_STREAMS || event->len > KSPLIT_HEAD_MAX)
		return;
	gap = event->sequence != decoder->next[event->stream];
	decoder->next[event->stream] = event->sequence + 1;
	/* What follows an upgrade was never promised to be HTTP. */
	if (event->kind != KSPLIT_EVENT_HTTP1 && decoder->http1 &&
	    http1_decoder_is_upgraded(decoder->http1))
		return;
	if (gap)
		tell(decoder, HTTP_TROUBLE_GAP);
	switch (event->kind) {
	case KSPLIT_EVENT_HTTP1: trouble = feed_http1(decoder, event, gap); break;
	case KSPLIT_EVENT_HTTP2: trouble = feed_http2(decoder, event, gap); break;
	case KSPLIT_EVENT_LOST: trouble = HTTP_TROUBLE_SAMPLER; break;
	default:
		/* One stream HTTP and the other not is broken; neither is no trouble at all. */
		stop(decoder,
		     decoder->http1 || decoder->http2 ? HTTP_TROUBLE_MALFORMED : HTTP_TROUBLE_NONE);
		return;
	}
	if (trouble)
		stop(decoder, trouble);
}

int http_decoder_version(const struct http_decoder *decoder)
{
	return decoder->version;
}

void http_decoder_free(struct http_decoder *decoder)
{
	if (!decoder)
		return;
	http1_decoder_free(decoder->http1);
	http2_decoder_free(decoder->http2);
	free(decoder);
}
