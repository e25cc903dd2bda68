/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP2_BLOCK_H
#define KSPLIT_OBSERVE_HTTP2_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/request.h"

/* What is wanted of a header block; all other fields are passed over. */
struct http2_head {
	char method[OBSERVE_METHOD_MAX];
	char *path, *authority, *host, *type; /* as of http_text_...(); NULL: not there */
	bool path_cut;
	int status;      /* 0: none */
	int grpc_status; /* -1: none */
};

/*
 * The HPACK decoder (RFC 7541) of one stream of plaintext, by nghttp2. It follows the table sizes
 * that the encoder announces, up to 64 KiB, and never looks at SETTINGS: what the decoding peer
 * allowed is that peer's to enforce, and its SETTINGS go over the other stream, whose events may
 * come later than the headers that they allow. Values that are not wanted are blanked in its table,
 * and whatever memory nghttp2 gives back is wiped.
 */
struct http2_block;

/* NULL: out of memory. */
struct http2_block *http2_block_new(void);

/* Wipes. NULL allowed. */
void http2_block_free(struct http2_block *block);

void http2_head_init(struct http2_head *head);

/* Wipes what it holds; it can be filled again. */
void http2_head_clear(struct http2_head *head);

/* A part of a header block, cut anywhere, into `head`. 0, -EBADMSG or -ENOMEM. */
int http2_block_feed(struct http2_block *block, struct http2_head *head, const void *bytes,
		     size_t len);

/* The block is over: the next bytes begin another one. 0, -EBADMSG or -ENOMEM. */
int http2_block_end(struct http2_block *block, struct http2_head *head);

#endif
