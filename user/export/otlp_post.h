/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_POST_H
#define KSPLIT_EXPORT_OTLP_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One HTTP request at a time to a collector, without blocking. One thread, but for otlp_post_wake.
 */
struct otlp_post;

enum otlp_result {
	OTLP_ACCEPTED,
	OTLP_AGAIN,   /* may be tried again */
	OTLP_REFUSED, /* trying again does not mend it */
};

struct otlp_answer {
	enum otlp_result result;
	uint64_t rejected_points; /* accepted, but for these (partialSuccess) */
	int64_t retry_after_s;    /* 0: the collector did not say */
	/* Not accepted, or partly, or a warning: why; printable, no user info of the URL. With the
	 * collector's own words, but for a URL with user info or a query: it could repeat these. */
	char error[200];
};

/*
 * Check an endpoint: http or https and a host. *url is what is sent to, *name what may be printed
 * (without user info and query); the caller frees both with free(3). 0, -EINVAL with a sentence in
 * `error`, or -ENOMEM.
 */
int otlp_url_parse(const char *endpoint, char **url, char **name, char *error, size_t len);

/*
 * `mark`: SO_MARK (socket(7)) of its connections as it is when they begin, so that ksplitd's own
 * rules leave them alone; 0, or NULL: none. Caller owns *out. 0 or -ENOMEM.
 */
int otlp_post_new(const char *url, const _Atomic uint32_t *mark, struct otlp_post **out);

/* Begin to send; `body` stays the caller's and must stay as it is until the end. 0 or -ENOMEM. */
int otlp_post_start(struct otlp_post *post, const char *body, uint32_t timeout_ms);

/* Go on as far as possible without waiting. true: it is over, *answer is set. */
bool otlp_post_step(struct otlp_post *post, struct otlp_answer *answer);

/* Wait until a step can do something, at most `ms`, or until another thread wakes it. */
void otlp_post_wait(struct otlp_post *post, int ms);
void otlp_post_wake(struct otlp_post *post);

bool otlp_post_busy(const struct otlp_post *post);

/* Give up what is under way. */
void otlp_post_abort(struct otlp_post *post);

/* Does not wait for a name that is being resolved. NULL allowed. */
void otlp_post_free(struct otlp_post *post);

#endif
