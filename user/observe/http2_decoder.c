// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http2_decoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "observe/http2_block.h"
#include "observe/http2_streams.h"

#define FRAME_HEADER 9
#define BLOCK_LIMIT  65536 /* bytes of a header block's frames; nobody sends a tenth of it */
#define PRIORITY_LEN 5
#define PROMISED_LEN 4

/* The frame at hand and the header block that it is a part of. */
struct side {
	uint8_t header[FRAME_HEADER];
	unsigned int header_len;
	uint64_t begun_ns; /* its first byte */
	uint32_t id;
	uint32_t length;         /* of the payload */
	uint32_t left;           /* of it still to come */
	uint32_t skip, fragment; /* what it begins with: bytes of no interest, then the block's */
	bool padding_next;       /* the next byte is the padding's length */
	bool in_block;
	uint32_t block_id;
	uint32_t block_len;
	uint8_t block_type, block_flags; /* of the frame that began it */
	uint64_t block_ns;
	struct http2_head head;
	struct http2_block *block;
};

struct http2_decoder {
	struct http2_streams streams;
	struct side sides[KSPLIT_STREAMS];
};

struct http2_decoder *http2_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx)
{
	struct http2_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return NULL;
	decoder->streams.callbacks = callbacks;
	decoder->streams.ctx = ctx;
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		http2_head_init(&decoder->sides[i].head);
	return decoder;
}

/* RFC 9113 6.2, 6.6: [padding's length] [priority or promised stream] fragment [padding] */
static enum http_decoder_trouble begin_fragment(struct side *side, uint8_t type, uint8_t flags)
{
	uint32_t before;

	side->padding_next = type != NGHTTP2_CONTINUATION && flags & NGHTTP2_FLAG_PADDED;
	side->skip = 0;
	if (type == NGHTTP2_HEADERS && flags & NGHTTP2_FLAG_PRIORITY)
		side->skip = PRIORITY_LEN;
	else if (type == NGHTTP2_PUSH_PROMISE)
		side->skip = PROMISED_LEN;
	before = side->skip + side->padding_next;
	if (before > side->length || side->length > BLOCK_LIMIT - side->block_len)
		return HTTP_TROUBLE_MALFORMED;
	side->block_len += side->length;
	side->fragment = side->length - before;
	return HTTP_TROUBLE_NONE;
}

/* Whole frames are counted, with their headers. */
static void count_frame(struct http2_decoder *decoder, enum ksplit_stream stream, uint32_t body)
{
	struct side *side = &decoder->sides[stream];
	struct http_exchange *exchange = http2_streams_find(&decoder->streams, side->id);

	if (!exchange)
		return;
	if (stream == KSPLIT_REQUESTS) {
		exchange->request_bytes += FRAME_HEADER + side->length;
		exchange->request_body += body;
	} else {
		exchange->response_bytes += FRAME_HEADER + side->length;
		exchange->response_body += body;
	}
}

static enum http_decoder_trouble begin_block(struct http2_decoder *decoder,
					     enum ksplit_stream stream, uint8_t type, uint8_t flags)
{
	struct side *side = &decoder->sides[stream];
	enum http_decoder_trouble trouble = HTTP_TROUBLE_NONE;
	struct http_exchange *exchange;

	if (!side->block)
		side->block = http2_block_new();
	if (!side->block)
		return HTTP_TROUBLE_TOO_MANY;
	side->in_block = true;
	side->block_id = side->id;
	side->block_len = 0;
	side->block_type = type;
	side->block_flags = flags;
	side->block_ns = side->begun_ns;
	if (type == NGHTTP2_HEADERS) {
		trouble = http2_streams_open(&decoder->streams, stream, side->id, &exchange);
		count_frame(decoder, stream, 0);
	} else if (stream == KSPLIT_REQUESTS) {
		trouble = HTTP_TROUBLE_MALFORMED; /* only servers push */
	}
	return trouble ? trouble : begin_fragment(side, type, flags);
}

static void end_stream(struct http2_decoder *decoder, enum ksplit_stream stream, uint32_t id,
		       uint64_t time_ns)
{
	struct http_exchange *exchange = http2_streams_find(&decoder->streams, id);

	if (exchange)
		http2_streams_end(&decoder->streams, exchange, stream, time_ns);
}

/* The frame's header is whole. Its payload follows, but that of DATA is left out of the events. */
static enum http_decoder_trouble begin_frame(struct http2_decoder *decoder,
					     const struct ksplit_head_event *event)
{
	struct side *side = &decoder->sides[event->stream];
	const uint8_t *header = side->header;
	uint8_t type = header[3], flags = header[4];

	side->length = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
	side->id = ((uint32_t)header[5] << 24 | (uint32_t)header[6] << 16 |
		    (uint32_t)header[7] << 8 | header[8]) &
		   0x7fffffff;
	side->left = side->length;
	if (side->in_block && (type != NGHTTP2_CONTINUATION || side->id != side->block_id))
		return HTTP_TROUBLE_MALFORMED;
	if ((side->id == 0) != (type == NGHTTP2_SETTINGS || type == NGHTTP2_GOAWAY))
		return HTTP_TROUBLE_MALFORMED;
	switch (type) {
	case NGHTTP2_DATA:
		side->left = 0;
		count_frame(decoder, event->stream, side->length);
		if (flags & NGHTTP2_FLAG_END_STREAM)
			end_stream(decoder, event->stream, side->id, event->time_ns);
		return HTTP_TROUBLE_NONE;
	case NGHTTP2_HEADERS:
	case NGHTTP2_PUSH_PROMISE: return begin_block(decoder, event->stream, type, flags);
	case NGHTTP2_CONTINUATION:
		if (!side->in_block)
			return HTTP_TROUBLE_MALFORMED;
		count_frame(decoder, event->stream, 0);
		return begin_fragment(side, type, flags);
	case NGHTTP2_RST_STREAM:
		return side->length == 4 ? HTTP_TROUBLE_NONE : HTTP_TROUBLE_MALFORMED;
	case NGHTTP2_SETTINGS:
		return side->length % 6 == 0 ? HTTP_TROUBLE_NONE : HTTP_TROUBLE_MALFORMED;
	case NGHTTP2_GOAWAY: return HTTP_TROUBLE_NONE;
	default: return HTTP_TROUBLE_MALFORMED; /* samplers pass on no others */
	}
}

static enum http_decoder_trouble read_fragment(struct side *side, const uint8_t *bytes, size_t len)
{
	size_t part;

	if (side->padding_next && len) {
		if (*bytes > side->fragment)
			return HTTP_TROUBLE_MALFORMED;
		side->fragment -= *bytes;
		side->padding_next = false;
		bytes++;
		len--;
	}
	part = len < side->skip ? len : side->skip;
	side->skip -= (uint32_t)part;
	bytes += part;
	len -= part;
	part = len < side->fragment ? len : side->fragment;
	side->fragment -= (uint32_t)part;
	if (part && http2_block_feed(side->block, &side->head, bytes, part) < 0)
		return HTTP_TROUBLE_MALFORMED;
	return HTTP_TROUBLE_NONE;
}

static enum http_decoder_trouble end_block(struct http2_decoder *decoder,
					   const struct ksplit_head_event *event)
{
	struct side *side = &decoder->sides[event->stream];
	struct http_exchange *exchange = http2_streams_find(&decoder->streams, side->block_id);

	side->in_block = false;
	if (http2_block_end(side->block, &side->head) < 0)
		return HTTP_TROUBLE_MALFORMED;
	if (exchange && side->block_type == NGHTTP2_HEADERS) {
		http2_streams_head(exchange, event->stream, &side->head, side->block_ns);
		if (side->block_flags & NGHTTP2_FLAG_END_STREAM)
			http2_streams_end(&decoder->streams, exchange, event->stream,
					  event->time_ns);
		else
			http2_streams_check(&decoder->streams, exchange);
	}
	http2_head_clear(&side->head);
	return HTTP_TROUBLE_NONE;
}

static enum http_decoder_trouble end_frame(struct http2_decoder *decoder,
					   const struct ksplit_head_event *event)
{
	struct side *side = &decoder->sides[event->stream];
	uint8_t type = side->header[3], flags = side->header[4];
	struct http_exchange *exchange;

	side->header_len = 0;
	if (side->in_block && flags & NGHTTP2_FLAG_END_HEADERS)
		return end_block(decoder, event);
	exchange = http2_streams_find(&decoder->streams, side->id);
	if (type == NGHTTP2_RST_STREAM && exchange)
		http2_streams_reset(&decoder->streams, exchange);
	return HTTP_TROUBLE_NONE;
}

/* Takes what there is of the frame's header, or of its payload. */
static enum http_decoder_trouble feed_part(struct http2_decoder *decoder,
					   const struct ksplit_head_event *event,
					   const uint8_t *bytes, size_t len, size_t *used)
{
	struct side *side = &decoder->sides[event->stream];
	enum http_decoder_trouble trouble = HTTP_TROUBLE_NONE;

	if (side->header_len < FRAME_HEADER) {
		*used = FRAME_HEADER - side->header_len;
		*used = *used < len ? *used : len;
		if (!side->header_len)
			side->begun_ns = event->time_ns;
		memcpy(side->header + side->header_len, bytes, *used);
		side->header_len += (unsigned int)*used;
		if (side->header_len < FRAME_HEADER)
			return HTTP_TROUBLE_NONE;
		trouble = begin_frame(decoder, event);
	} else {
		*used = len < side->left ? len : side->left;
		side->left -= (uint32_t)*used;
		if (side->in_block)
			trouble = read_fragment(side, bytes, *used);
	}
	if (!trouble && !side->left)
		trouble = end_frame(decoder, event);
	return trouble;
}

enum http_decoder_trouble http2_decoder_feed(struct http2_decoder *decoder,
					     const struct ksplit_head_event *event)
{
	const uint8_t *bytes = event->head;
	size_t len = event->len, used = 0;

	while (len) {
		enum http_decoder_trouble trouble = feed_part(decoder, event, bytes, len, &used);

		if (trouble)
			return trouble;
		bytes += used;
		len -= used;
	}
	return HTTP_TROUBLE_NONE;
}

void http2_decoder_finish(struct http2_decoder *decoder)
{
	http2_streams_drop(&decoder->streams, true);
}

void http2_decoder_free(struct http2_decoder *decoder)
{
	if (!decoder)
		return;
	http2_streams_drop(&decoder->streams, false);
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		http2_head_clear(&decoder->sides[i].head);
		http2_block_free(decoder->sides[i].block);
	}
	free(decoder);
}
