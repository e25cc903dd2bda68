// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http1_decoder.h"

#include <stdlib.h>
#include <string.h>

#include "observe/http1_head.h"
#include "observe/http_exchange.h"
#include "observe/http_text.h"

/* Of one head that comes in several events; a sampler looks at KSPLIT_HEAD_MAX bytes at most. */
#define HEAD_LIMIT (4 * KSPLIT_HEAD_MAX)

enum side_state {
	SIDE_IDLE,    /* between messages */
	SIDE_HEAD,    /* within one's head */
	SIDE_BODY,    /* its head is read, its end not told yet */
	SIDE_SKIP,    /* after a gap: until a message begins */
	SIDE_IGNORED, /* no HTTP follows */
};

struct side {
	enum side_state state;
	struct http_exchange *exchange; /* of the message at hand; NULL: of none that counts */
	char *head;                     /* so far, when it comes in several events */
	size_t len;
	bool cut;
	uint64_t first_ns, latency_ns; /* of the message at hand */
};

struct http1_decoder {
	const struct http_decoder_callbacks *callbacks;
	void *ctx;
	struct side sides[KSPLIT_STREAMS];
	struct http_exchange *exchanges; /* that are not over, in order */
	struct http_exchange *spare;     /* an empty one: most connections have one at a time */
	unsigned int count;
	bool upgraded;
	bool unsure; /* since a gap no response was proven to answer a request */
};

struct http1_decoder *http1_decoder_new(const struct http_decoder_callbacks *callbacks, void *ctx)
{
	struct http1_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder) {
		decoder->callbacks = callbacks;
		decoder->ctx = ctx;
	}
	return decoder;
}

static void side_drop_head(struct side *side)
{
	if (side->head)
		explicit_bzero(side->head, side->len);
	free(side->head);
	side->head = NULL;
	side->len = 0;
}

/* Takes the list's first one off, told of when a head of it was read. */
static void drop_first(struct http1_decoder *decoder, bool tell)
{
	struct http_exchange *first = decoder->exchanges;

	decoder->exchanges = first->next;
	decoder->count--;
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		if (decoder->sides[i].exchange == first)
			decoder->sides[i].exchange = NULL;
	}
	if (tell && (first->has_request || first->has_response))
		http_exchange_report(first, decoder->callbacks, decoder->ctx);
	if (decoder->spare) {
		http_exchange_free(first);
		return;
	}
	http_exchange_clear(first);
	decoder->spare = first;
}

/* Tells of what is over; an exchange is never over before the one ahead of it. */
static void drop_finished(struct http1_decoder *decoder)
{
	while (decoder->exchanges && decoder->exchanges->request_ended &&
	       decoder->exchanges->response_ended)
		drop_first(decoder, true);
}

/* Appended to the list; NULL: too many, or out of memory. */
static struct http_exchange *add_exchange(struct http1_decoder *decoder)
{
	struct http_exchange **end = &decoder->exchanges;
	struct http_exchange *exchange;

	if (decoder->count == HTTP_EXCHANGES_MAX)
		return NULL;
	exchange = decoder->spare ? decoder->spare : http_exchange_new();
	decoder->spare = NULL;
	if (!exchange)
		return NULL;
	while (*end)
		end = &(*end)->next;
	*end = exchange;
	decoder->count++;
	return exchange;
}

/* The first exchange that lacks this stream's message, or a new one. */
static struct http_exchange *next_exchange(struct http1_decoder *decoder, enum ksplit_stream stream)
{
	struct http_exchange *exchange = decoder->exchanges;

	while (exchange &&
	       (stream == KSPLIT_REQUESTS ? exchange->request_begun : exchange->response_begun))
		exchange = exchange->next;
	return exchange ? exchange : add_exchange(decoder);
}

static bool is_proven(const struct http_exchange *exchange, const struct side *response)
{
	return exchange->request_begun && !exchange->response_begun && response->latency_ns &&
	       exchange->time_ns == response->first_ns - response->latency_ns;
}

/*
 * After a gap nobody knows how many messages were lost, but the kernel measures a latency from the
 * first byte of the very request. When one waiting request and no other has that time, it is the
 * one, those before it have lost their responses, and from here both streams are whole again.
 */
static enum http_decoder_trouble prove_exchange(struct http1_decoder *decoder, struct side *side)
{
	unsigned int matches = 0;

	for (struct http_exchange *e = decoder->exchanges; e; e = e->next)
		matches += is_proven(e, side);
	if (!side->latency_ns || matches > 1)
		return HTTP_TROUBLE_GAP;
	if (!matches) {
		side->state = SIDE_SKIP;
		return HTTP_TROUBLE_NONE;
	}
	while (!is_proven(decoder->exchanges, side))
		drop_first(decoder, true);
	decoder->unsure = false;
	return HTTP_TROUBLE_NONE;
}

static void read_request(struct side *side, const struct http1_head *head)
{
	struct http_exchange *exchange = side->exchange;

	exchange->has_request = true;
	exchange->version = head->version;
	exchange->path_cut = head->target_cut;
	http_text_method(exchange->method, head->method.at, head->method.len);
	http_exchange_set_path(exchange, head->target.at, head->target.len);
	if (head->host.len)
		http_exchange_set_host(exchange, head->host.at, head->host.len);
	else if (strcmp(exchange->method, "CONNECT") == 0) /* RFC 9112 3.2.3 */
		http_exchange_set_host(exchange, head->target.at, head->target.len);
}

static enum http_decoder_trouble read_response(struct http1_decoder *decoder, struct side *side,
					       const struct http1_head *head)
{
	struct http_exchange *exchange;

	/* An interim response is followed by the one that counts (RFC 9110 15.2). */
	if (head->status / 100 == 1 && head->status != 101)
		return HTTP_TROUBLE_NONE;
	if (decoder->unsure) {
		enum http_decoder_trouble trouble = prove_exchange(decoder, side);

		if (trouble || side->state == SIDE_SKIP)
			return trouble;
	}
	exchange = next_exchange(decoder, KSPLIT_RESPONSES);
	if (!exchange)
		return HTTP_TROUBLE_TOO_MANY;
	side->exchange = exchange;
	exchange->response_begun = true;
	exchange->has_response = true;
	if (!exchange->has_request)
		exchange->version = head->version;
	exchange->status = head->status;
	exchange->first_ns = side->first_ns;
	exchange->latency_ns = side->latency_ns;
	if (head->content_type.len)
		http_exchange_set_type(exchange, head->content_type.at, head->content_type.len);
	return HTTP_TROUBLE_NONE;
}

static enum http_decoder_trouble read_head(struct http1_decoder *decoder,
					   const struct ksplit_head_event *event, const char *text,
					   size_t len, int *version)
{
	struct side *side = &decoder->sides[event->stream];
	bool request = event->stream == KSPLIT_REQUESTS;
	struct http1_head head;

	side->state = SIDE_BODY;
	if (http1_head_parse(&head, request, text, len, side->cut) < 0) {
		/* Cut off before anything could be read of it. */
		return event->flags & KSPLIT_HEAD_ABORTED ? HTTP_TROUBLE_NONE
							  : HTTP_TROUBLE_MALFORMED;
	}
	*version = head.version;
	if (!request)
		return read_response(decoder, side, &head);
	if (side->exchange)
		read_request(side, &head);
	return HTTP_TROUBLE_NONE;
}

static bool keep_bytes(struct side *side, const void *bytes, size_t len)
{
	char *larger;

	if (len > HEAD_LIMIT - side->len)
		return false;
	larger = malloc(side->len + len);
	if (!larger)
		return false;
	if (side->len)
		memcpy(larger, side->head, side->len);
	memcpy(larger + side->len, bytes, len);
	len += side->len;
	side_drop_head(side);
	side->head = larger;
	side->len = len;
	return true;
}

/* A first line that was cut ends with its event. */
static bool keep_head(struct side *side, const struct ksplit_head_event *event)
{
	bool open =
		event->flags & KSPLIT_HEAD_CUT && event->len && event->head[event->len - 1] != '\n';

	return (!event->len || keep_bytes(side, event->head, event->len)) &&
	       (!open || keep_bytes(side, "\r\n", 2));
}

static enum http_decoder_trouble feed_head(struct http1_decoder *decoder,
					   const struct ksplit_head_event *event, int *version)
{
	struct side *side = &decoder->sides[event->stream];
	enum http_decoder_trouble trouble;

	if (event->flags & KSPLIT_HEAD_CUT)
		side->cut = true;
	if (event->flags & KSPLIT_HEAD_WHOLE && !side->head)
		return read_head(decoder, event, (const char *)event->head, event->len, version);
	if (!keep_head(side, event))
		return HTTP_TROUBLE_MALFORMED;
	if (!(event->flags & (KSPLIT_HEAD_WHOLE | KSPLIT_HEAD_END)))
		return HTTP_TROUBLE_NONE;
	trouble = read_head(decoder, event, side->head ? side->head : "", side->len, version);
	side_drop_head(side);
	return trouble;
}

static enum http_decoder_trouble begin_message(struct http1_decoder *decoder,
					       const struct ksplit_head_event *event)
{
	struct side *side = &decoder->sides[event->stream];

	if (side->state == SIDE_HEAD || side->state == SIDE_BODY)
		return HTTP_TROUBLE_MALFORMED;
	side->state = SIDE_HEAD;
	side->exchange = NULL;
	side->cut = false;
	side->first_ns = event->first_ns ? event->first_ns : event->time_ns;
	side->latency_ns = event->latency_ns;
	if (event->stream == KSPLIT_RESPONSES)
		return HTTP_TROUBLE_NONE;
	side->exchange = next_exchange(decoder, KSPLIT_REQUESTS);
	if (!side->exchange)
		return HTTP_TROUBLE_TOO_MANY;
	side->exchange->request_begun = true;
	side->exchange->time_ns = side->first_ns;
	return HTTP_TROUBLE_NONE;
}

static void end_exchange(struct http_exchange *exchange, const struct ksplit_head_event *event)
{
	if (event->stream == KSPLIT_REQUESTS) {
		exchange->request_ended = true;
		exchange->request_bytes = event->message_bytes;
		exchange->request_body = event->body_bytes;
		return;
	}
	exchange->response_ended = true;
	exchange->complete = !(event->flags & KSPLIT_HEAD_ABORTED);
	exchange->last_ns = event->time_ns;
	exchange->response_bytes = event->message_bytes;
	exchange->response_body = event->body_bytes;
}

static void end_message(struct http1_decoder *decoder, const struct ksplit_head_event *event)
{
	struct side *side = &decoder->sides[event->stream];

	if (side->exchange)
		end_exchange(side->exchange, event);
	side->exchange = NULL;
	side->state = SIDE_IDLE;
	if (event->flags & KSPLIT_HEAD_UPGRADED) {
		decoder->upgraded = true;
		side->state = SIDE_IGNORED;
	}
	drop_finished(decoder);
}

/* What comes after the last message before an upgrade; the other stream may still be behind. */
static bool is_past_upgrade(const struct http1_decoder *decoder, enum ksplit_stream stream)
{
	const struct http_exchange *exchange = decoder->exchanges;

	if (!decoder->upgraded)
		return false;
	while (exchange &&
	       (stream == KSPLIT_REQUESTS ? exchange->request_begun : exchange->response_begun))
		exchange = exchange->next;
	return !exchange;
}

enum http_decoder_trouble http1_decoder_feed(struct http1_decoder *decoder,
					     const struct ksplit_head_event *event, int *version)
{
	struct side *side = &decoder->sides[event->stream];
	bool first = event->flags & KSPLIT_HEAD_FIRST;
	enum http_decoder_trouble trouble = HTTP_TROUBLE_NONE;

	if (first && is_past_upgrade(decoder, event->stream))
		side->state = SIDE_IGNORED;
	if (side->state == SIDE_IGNORED || (side->state == SIDE_SKIP && !first))
		return HTTP_TROUBLE_NONE;
	if (first)
		trouble = begin_message(decoder, event);
	else if (side->state == SIDE_IDLE || (side->state == SIDE_BODY && event->len))
		trouble = HTTP_TROUBLE_MALFORMED;
	if (!trouble && side->state == SIDE_HEAD)
		trouble = feed_head(decoder, event, version);
	if (!trouble && event->flags & KSPLIT_HEAD_END)
		end_message(decoder, event);
	return trouble;
}

void http1_decoder_gap(struct http1_decoder *decoder)
{
	http1_decoder_finish(decoder);
	decoder->unsure = true;
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		struct side *side = &decoder->sides[i];

		side_drop_head(side);
		if (side->state != SIDE_IGNORED)
			side->state = SIDE_SKIP;
	}
}

bool http1_decoder_is_upgraded(const struct http1_decoder *decoder)
{
	return decoder->upgraded;
}

void http1_decoder_finish(struct http1_decoder *decoder)
{
	while (decoder->exchanges)
		drop_first(decoder, true);
}

void http1_decoder_free(struct http1_decoder *decoder)
{
	if (!decoder)
		return;
	while (decoder->exchanges)
		drop_first(decoder, false);
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		side_drop_head(&decoder->sides[i]);
	http_exchange_free(decoder->spare);
	free(decoder);
}
