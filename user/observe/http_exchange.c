// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "observe/http_text.h"

struct http_exchange *http_exchange_new(void)
{
	struct http_exchange *exchange = malloc(sizeof(*exchange)); /* calloc uses no cache */

	if (exchange)
		*exchange = (struct http_exchange){.grpc_status = -1};
	return exchange;
}

void http_exchange_free(struct http_exchange *exchange)
{
	if (!exchange)
		return;
	http_text_free(exchange->host);
	http_text_free(exchange->path);
	http_text_free(exchange->type);
	explicit_bzero(exchange, sizeof(*exchange));
	free(exchange);
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

/* Returns how many bytes are to be wiped. */
static size_t fill_text(char *out, size_t size, const char *text)
{
	size_t len = text ? strnlen(text, size - 1) : 0;

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
	out->grpc_status = is_grpc(exchange) ? exchange->grpc_status : -1;
	out->request_bytes = exchange->request_bytes;
	out->request_body = exchange->request_body;
	out->response_bytes = exchange->response_bytes;
	out->response_body = exchange->response_body;
}

void http_exchange_report(const struct http_exchange *exchange,
			  const struct http_decoder_callbacks *callbacks, void *ctx)
{
	/* Four kilobytes of strings: only what is used of them is written, and wiped. */
	struct observe_request request;
	size_t host, type, path;

	fill_numbers(&request, exchange);
	fill_times(&request, exchange);
	fill_text(request.method, sizeof(request.method), exchange->method);
	host = fill_text(request.host, sizeof(request.host), exchange->host);
	type = fill_text(request.content_type, sizeof(request.content_type), exchange->type);
	path = fill_text(request.path, sizeof(request.path), exchange->path);
	callbacks->request(ctx, &request);
	explicit_bzero(request.host, host);
	explicit_bzero(request.content_type, type);
	explicit_bzero(request.path, path);
}
