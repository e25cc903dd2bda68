/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP1_DECODER_H
#define KSPLIT_OBSERVE_HTTP1_DECODER_H

#include "observe/http_decoder.h"

/*
 * A connection's HTTP/1: the n-th request and the n-th final response are one exchange (RFC 9112
 * 9.3), in whatever order the events of the two streams come in. For http_decoder.c alone.
 */
struct http1_decoder;

/* `callbacks` is not owned; only its `request` is called. NULL: out of memory. */
struct http1_decoder *http1_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx);

/*
 * The next event, of kind KSPLIT_EVENT_HTTP1. `version` is set when a head was read. What it
 * returns is why this connection cannot be decoded any more: the caller then finishes and frees.
 */
enum http_decoder_trouble http1_decoder_feed(struct http1_decoder *decoder,
					     const struct ksplit_head_event *event, int *version);

/*
 * Events were lost. Requests that wait are told of, incomplete; later ones only when the kernel's
 * measure of a response's latency proves which request it answers.
 */
void http1_decoder_gap(struct http1_decoder *decoder);

/* Did a message say that what follows is not HTTP? */
bool http1_decoder_is_upgraded(const struct http1_decoder *decoder);

/* Tells of what is still open. */
void http1_decoder_finish(struct http1_decoder *decoder);

/* Wipes. NULL allowed. */
void http1_decoder_free(struct http1_decoder *decoder);

#endif
