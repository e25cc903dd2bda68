/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP2_DECODER_H
#define KSPLIT_OBSERVE_HTTP2_DECODER_H

#include "observe/http_decoder.h"

/*
 * A connection's HTTP/2 (RFC 9113): frames put together from the events, header blocks by nghttp2's
 * HPACK decoder, one for each stream of plaintext. For http_decoder.c alone.
 */
struct http2_decoder;

/* `callbacks` is not owned; only its `request` is called. NULL: out of memory. */
struct http2_decoder *http2_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx);

/*
 * The next event, of kind KSPLIT_EVENT_HTTP2, none missing. What it returns is why this connection
 * cannot be decoded any more: the caller then finishes and frees.
 */
enum http_decoder_trouble http2_decoder_feed(struct http2_decoder *decoder,
					     const struct ksplit_head_event *event);

/* Tells of what is still open. */
void http2_decoder_finish(struct http2_decoder *decoder);

/* Wipes. NULL allowed. */
void http2_decoder_free(struct http2_decoder *decoder);

#endif
