// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http2_streams.h"

#include <string.h>

static struct http_exchange **get_bucket(struct http2_streams *streams, uint32_t id)
{
	return &streams->buckets[(id >> 1) % HTTP2_STREAM_BUCKETS];
}

struct http_exchange *http2_streams_find(const struct http2_streams *streams, uint32_t id)
{
	struct http_exchange *exchange = streams->buckets[(id >> 1) % HTTP2_STREAM_BUCKETS];

	while (exchange && exchange->stream != id)
		exchange = exchange->next;
	return exchange;
}

enum http_decoder_trouble http2_streams_open(struct http2_streams *streams, enum ksplit_stream side,
					     uint32_t id, struct http_exchange **exchange)
{
	bool known = id <= streams->last;

	*exchange = NULL;
	if (id % 2 == 0) /* begun by the server: RFC 9113 5.1.1 */
		return side == KSPLIT_REQUESTS ? HTTP_TROUBLE_MALFORMED : HTTP_TROUBLE_NONE;
	if (side == KSPLIT_REQUESTS && !known)
		streams->last = id;
	*exchange = http2_streams_find(streams, id);
	if (*exchange || known)
		return HTTP_TROUBLE_NONE;
	if (streams->count == HTTP_EXCHANGES_MAX)
		return HTTP_TROUBLE_TOO_MANY;
	*exchange = http_exchange_new();
	if (!*exchange)
		return HTTP_TROUBLE_TOO_MANY;
	streams->count++;
	(*exchange)->stream = id;
	(*exchange)->version = OBSERVE_HTTP_2;
	(*exchange)->next = *get_bucket(streams, id);
	*get_bucket(streams, id) = *exchange;
	return HTTP_TROUBLE_NONE;
}

static void move_text(char **to, char **from)
{
	*to = *from;
	*from = NULL;
}

static void take_request(struct http_exchange *exchange, struct http2_head *head, uint64_t time_ns)
{
	exchange->has_request = true;
	exchange->time_ns = time_ns;
	exchange->path_cut = head->path_cut;
	memcpy(exchange->method, head->method, sizeof(exchange->method));
	move_text(&exchange->path, &head->path);
	move_text(&exchange->host, head->authority ? &head->authority : &head->host);
}

static void take_response(struct http_exchange *exchange, struct http2_head *head, uint64_t time_ns)
{
	exchange->has_response = true;
	exchange->first_ns = time_ns;
	exchange->status = head->status;
	exchange->grpc_status = head->grpc_status; /* already here when nothing follows */
	move_text(&exchange->type, &head->type);
}

void http2_streams_head(struct http_exchange *exchange, enum ksplit_stream side,
			struct http2_head *head, uint64_t time_ns)
{
	if (side == KSPLIT_REQUESTS) {
		if (!exchange->has_request) /* else trailers */
			take_request(exchange, head, time_ns);
	} else if (exchange->has_response) {
		if (head->grpc_status >= 0) /* trailers */
			exchange->grpc_status = head->grpc_status;
	} else if (head->status >= 200) {
		/* Others are interim responses: the one that counts follows (RFC 9110 15.2). */
		take_response(exchange, head, time_ns);
	}
}

static void remove_exchange(struct http2_streams *streams, struct http_exchange *exchange)
{
	struct http_exchange **at = get_bucket(streams, exchange->stream);

	while (*at != exchange)
		at = &(*at)->next;
	*at = exchange->next;
	streams->count--;
	http_exchange_free(exchange);
}

void http2_streams_check(struct http2_streams *streams, struct http_exchange *exchange)
{
	if (!exchange->has_request || !exchange->request_ended || !exchange->response_ended)
		return;
	http_exchange_report(exchange, streams->callbacks, streams->ctx);
	remove_exchange(streams, exchange);
}

void http2_streams_end(struct http2_streams *streams, struct http_exchange *exchange,
		       enum ksplit_stream side, uint64_t time_ns)
{
	if (side == KSPLIT_REQUESTS) {
		exchange->request_ended = true;
	} else if (!exchange->response_ended) {
		exchange->response_ended = true;
		exchange->complete = true;
		exchange->last_ns = time_ns;
	}
	http2_streams_check(streams, exchange);
}

void http2_streams_reset(struct http2_streams *streams, struct http_exchange *exchange)
{
	exchange->request_ended = true;
	exchange->response_ended = true;
	http2_streams_check(streams, exchange);
}

void http2_streams_drop(struct http2_streams *streams, bool tell)
{
	for (unsigned int i = 0; i < HTTP2_STREAM_BUCKETS; i++) {
		while (streams->buckets[i]) {
			struct http_exchange *exchange = streams->buckets[i];

			if (tell && (exchange->has_request || exchange->has_response))
				http_exchange_report(exchange, streams->callbacks, streams->ctx);
			remove_exchange(streams, exchange);
		}
	}
}
