/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP1_HEAD_H
#define KSPLIT_OBSERVE_HTTP1_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "observe/request.h"

struct http1_text {
	const char *at;
	size_t len; /* 0: not there */
};

/* What is wanted of an HTTP/1 message's head; the texts point into the bytes that were parsed. */
struct http1_head {
	enum observe_http_version version;
	int status;                       /* of a response */
	struct http1_text method, target; /* of a request */
	bool target_cut;                  /* its end is not there */
	struct http1_text host, content_type;
};

/*
 * Parse the head of one message: its first line and the fields that a sampler passes
 * on (<ksplit/head_event.h>); the empty line may be missing. `cut`: the first line is only the
 * start of what was sent. 0, or -EBADMSG: not HTTP/1 (RFC 9112).
 */
int http1_head_parse(struct http1_head *out, bool request, const char *text, size_t len, bool cut);

/* The same by http_parser alone, which parses all but heads of the usual shape (http1_shape.h). */
int http1_head_judge(struct http1_head *out, bool request, const char *text, size_t len, bool cut);

#endif
