/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP2_STREAMS_H
#define KSPLIT_OBSERVE_HTTP2_STREAMS_H

#include "observe/http2_block.h"
#include "observe/http_exchange.h"

#define HTTP2_STREAM_BUCKETS 64

/* The streams of an HTTP/2 connection that are not over (RFC 9113 5.1), each an exchange. */
struct http2_streams {
	const struct http_decoder_callbacks *callbacks;
	void *ctx;
	struct http_exchange *buckets[HTTP2_STREAM_BUCKETS];
	unsigned int count;
	uint32_t last; /* the highest one that a request began */
};

/*
 * The exchange of a stream, made when a HEADERS frame of either side begins one; the event of a
 * response can come ahead of its request's. *exchange is NULL for streams that are over and for
 * pushed ones. HTTP_TROUBLE_TOO_MANY, HTTP_TROUBLE_MALFORMED, or NONE.
 */
enum http_decoder_trouble http2_streams_open(struct http2_streams *streams, enum ksplit_stream side,
					     uint32_t id, struct http_exchange **exchange);

/* NULL: not open. */
struct http_exchange *http2_streams_find(const struct http2_streams *streams, uint32_t id);

/* A header block was read, whose first byte was sent at time_ns; takes what it needs out of it. */
void http2_streams_head(struct http_exchange *exchange, enum ksplit_stream side,
			struct http2_head *head, uint64_t time_ns);

/* END_STREAM of a side. The exchange may be gone afterwards. */
void http2_streams_end(struct http2_streams *streams, struct http_exchange *exchange,
		       enum ksplit_stream side, uint64_t time_ns);

/* RST_STREAM of either. The exchange may be gone afterwards. */
void http2_streams_reset(struct http2_streams *streams, struct http_exchange *exchange);

/* Tells of an exchange, and drops it, when it is over. */
void http2_streams_check(struct http2_streams *streams, struct http_exchange *exchange);

/* Drops all, told of when `tell`. */
void http2_streams_drop(struct http2_streams *streams, bool tell);

#endif
