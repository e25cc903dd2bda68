/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP_EXCHANGE_H
#define KSPLIT_OBSERVE_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/http_decoder.h"

/* As many requests of one connection can wait for their end. */
#define HTTP_EXCHANGES_MAX 1024

/* Room for the strings of a usual request, so that it costs one allocation. */
#define HTTP_EXCHANGE_NEAR 128

/*
 * A request and its response while they are under way: struct observe_request, but with strings no
 * longer than they need be, since many can wait. Made by its protocol's decoder, which owns it.
 */
struct http_exchange {
	struct http_exchange *next; /* in the decoder's list */
	uint32_t stream;            /* HTTP/2: its number */
	enum observe_http_version version;
	bool request_begun, response_begun; /* HTTP/1: joined to a message of that stream */
	bool has_request, has_response;     /* its (final) head was read */
	bool request_ended, response_ended;
	bool complete; /* the response ended as it should */
	bool path_cut;
	int status;      /* 0: no response yet */
	int grpc_status; /* -1: none seen */
	char method[OBSERVE_METHOD_MAX];
	char *host, *path, *type;   /* NULL: none; in `near` if they are short */
	uint64_t time_ns;           /* the request's first byte */
	uint64_t first_ns, last_ns; /* the response's */
	uint64_t latency_ns;        /* as measured by the kernel's side; 0: not */
	uint64_t request_bytes, request_body;
	uint64_t response_bytes, response_body;
	size_t near_len;
	char near[HTTP_EXCHANGE_NEAR]; /* as much as near_len is in use */
};

/* An empty one, or NULL when there is no memory. */
struct http_exchange *http_exchange_new(void);

/* Wipe it, so that it is an empty one again. */
void http_exchange_clear(struct http_exchange *exchange);

/* Wipes it. NULL allowed. */
void http_exchange_free(struct http_exchange *exchange);

/* What is kept of a peer's bytes, as in http_text.h. Once each. */
void http_exchange_set_path(struct http_exchange *exchange, const char *text, size_t len);
void http_exchange_set_host(struct http_exchange *exchange, const char *text, size_t len);
void http_exchange_set_type(struct http_exchange *exchange, const char *text, size_t len);

/* Tell of it as it is now. */
void http_exchange_report(const struct http_exchange *exchange,
			  const struct http_decoder_callbacks *callbacks, void *ctx);

#endif
