// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "observe/byte_words.h"
#include "observe/http_text.h"

struct http_exchange *http_exchange_new(void)
{
	struct http_exchange *exchange = malloc(sizeof(*exchange)); /* calloc uses no cache */

	if (!exchange)
		return NULL;
	memset(exchange, 0, offsetof(struct http_exchange, near));
	exchange->grpc_status = -1;
	return exchange;
}

static bool is_near(const struct http_exchange *exchange, const char *text)
{
	uintptr_t from = (uintptr_t)exchange->near;

	return (uintptr_t)text >= from && (uintptr_t)text < from + sizeof(exchange->near);
}

/* Those that are near are wiped with the exchange. */
static void free_text(const struct http_exchange *exchange, char *text)
{
	if (!is_near(exchange, text))
		http_text_free(text);
}

void http_exchange_clear(struct http_exchange *exchange)
{
	free_text(exchange, exchange->host);
	free_text(exchange, exchange->path);
	free_text(exchange, exchange->type);
	explicit_bzero(exchange, offsetof(struct http_exchange, near) + exchange->near_len);
	exchange->grpc_status = -1;
}

void http_exchange_free(struct http_exchange *exchange)
{
	if (!exchange)
		return;
	http_exchange_clear(exchange);
	free(exchange);
}

/* Where the next near string goes, and the room there. */
static char *near_begin(struct http_exchange *exchange, size_t *size)
{
	*size = sizeof(exchange->near) - exchange->near_len;
	return exchange->near + exchange->near_len;
}

/* `len` is what became of it; 0: nothing that is of use, but it may have been begun. */
static char *near_end(struct http_exchange *exchange, char *at, size_t len)
{
	if (!len) {
		explicit_bzero(at, sizeof(exchange->near) - exchange->near_len);
		return NULL;
	}
	exchange->near_len += len + 1;
	return at;
}

void http_exchange_set_path(struct http_exchange *exchange, const char *text, size_t len)
{
	size_t size;
	char *at = near_begin(exchange, &size);

	exchange->path = near_end(exchange, at, http_text_short_path(at, size, text, len));
	if (!exchange->path)
		exchange->path = http_text_path(text, len, &exchange->path_cut);
}

void http_exchange_set_host(struct http_exchange *exchange, const char *text, size_t len)
{
	size_t size;
	char *at = near_begin(exchange, &size);

	exchange->host = near_end(exchange, at, http_text_short_name(at, size, text, len));
	if (!exchange->host)
		exchange->host = http_text_host(text, len);
}

void http_exchange_set_type(struct http_exchange *exchange, const char *text, size_t len)
{
	const char *end = memchr(text, ';', len);
	size_t size, name = end ? (size_t)(end - text) : len;
	char *at = near_begin(exchange, &size);

	if (size > OBSERVE_TYPE_MAX)
		size = OBSERVE_TYPE_MAX;
	exchange->type = near_end(exchange, at, http_text_short_name(at, size, text, name));
	if (!exchange->type)
		exchange->type = http_text_type(text, len);
}

/* Of two samplers' clocks the later event can bear the earlier time. */
static uint64_t us_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

static void fill_times(struct observe_request *out, const struct http_exchange *exchange)
{
	out->time_ns = exchange->has_request ? exchange->time_ns : exchange->first_ns;
	out->complete = exchange->complete;
	out->has_first_byte = exchange->has_response && exchange->has_request;
	out->joined_in_kernel = false;
	out->first_byte_us = out->last_byte_us = 0;
	if (out->has_first_byte && exchange->latency_ns) {
		out->joined_in_kernel = true;
		out->first_byte_us = exchange->latency_ns / 1000;
	} else if (out->has_first_byte) {
		out->first_byte_us = us_between(out->time_ns, exchange->first_ns);
	}
	if (!out->complete)
		return;
	out->last_byte_us = us_between(out->time_ns, exchange->last_ns);
	if (out->last_byte_us < out->first_byte_us)
		out->last_byte_us = out->first_byte_us;
}

/*
 * Near strings were written as whole words (http_text.h) and are copied so, with what stands behind
 * their end in the last word. Returns how many bytes are to be wiped.
 */
static size_t copy_near(char *out, const char *text)
{
	size_t len = 0;
	uint64_t word;

	do {
		word = byte_words_load(text + len);
		memcpy(out + len, &word, sizeof(word));
		len += sizeof(word);
	} while (!byte_words_with(word, '\0'));
	return len;
}

/* Returns how many bytes are to be wiped. */
static size_t fill_text(char *out, size_t size, const struct http_exchange *exchange,
			const char *text)
{
	size_t len;

	if (is_near(exchange, text))
		return copy_near(out, text);
	len = text ? strnlen(text, size - 1) : 0;
	if (len)
		memcpy(out, text, len);
	out[len] = '\0';
	return len;
}

/* gRPC is what says so (its protocol over HTTP/2: "application/grpc", "application/grpc+proto"). */
static bool is_grpc(const struct http_exchange *exchange)
{
	static const char grpc[] = "application/grpc";

	return exchange->type && strncmp(exchange->type, grpc, sizeof(grpc) - 1) == 0;
}

/* Not the strings. */
static void fill_numbers(struct observe_request *out, const struct http_exchange *exchange)
{
	out->version = exchange->version;
	out->path_cut = exchange->path_cut;
	out->status = exchange->status;
	out->grpc_status = -1;
	if (exchange->grpc_status != -1 && is_grpc(exchange))
		out->grpc_status = exchange->grpc_status;
	out->request_bytes = exchange->request_bytes;
	out->request_body = exchange->request_body;
	out->response_bytes = exchange->response_bytes;
	out->response_body = exchange->response_body;
}

/* A call costs more than a short string. */
static void wipe(char *text, size_t len)
{
	if (len > sizeof(((struct http_exchange *)NULL)->near) || len % 8) {
		explicit_bzero(text, len);
		return;
	}
	for (size_t i = 0; i < len; i += 8) {
		memset(text + i, 0, 8);
		/* The compiler must believe that somebody looks. */
		__asm__ volatile("" : : "r"(text) : "memory");
	}
}

void http_exchange_report(const struct http_exchange *exchange,
			  const struct http_decoder_callbacks *callbacks, void *ctx)
{
	/* Four kilobytes of strings: only what is used of them is written, and wiped. */
	struct observe_request request;
	size_t host, type, path;

	fill_numbers(&request, exchange);
	fill_times(&request, exchange);
	memcpy(request.method, exchange->method, sizeof(request.method));
	host = fill_text(request.host, sizeof(request.host), exchange, exchange->host);
	type = fill_text(request.content_type, sizeof(request.content_type), exchange,
			 exchange->type);
	path = fill_text(request.path, sizeof(request.path), exchange, exchange->path);
	callbacks->request(ctx, &request);
	wipe(request.host, host);
	wipe(request.content_type, type);
	wipe(request.path, path);
}
