/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SCAN_RIG_H
#define KSPLIT_TESTS_SCAN_RIG_H

/*
 * Head events of a connection, and what they mean: heads put together, whatever the pieces were
 * that a sampler saw. Include after cmocka.h.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include <ksplit/head_event.h>

#define SCAN_SECRET "SECRET" /* in every row's values: no event may hold it */

struct scan_meaning {
	char text[1 << 17]; /* messages with "~" for a line's end, "[flags message/body]" behind */
	size_t len;
	unsigned int flags;     /* of the message at hand */
	uint32_t sequence;      /* of the next event */
	uint64_t message_bytes; /* of all messages */
};

struct scan_events {
	struct ksplit_head_event **list;
	size_t count;
	bool any_bytes; /* not rows but anything: secrets may stand anywhere */
	struct scan_meaning meaning[KSPLIT_STREAMS];
};

static inline void scan_meaning_add(struct scan_meaning *meaning, const char *text, size_t len)
{
	assert_true(len < sizeof(meaning->text) - meaning->len);
	memcpy(meaning->text + meaning->len, text, len);
	meaning->len += len;
	meaning->text[meaning->len] = '\0';
}

static inline void scan_meaning_head(struct scan_meaning *meaning, const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (head[i] == '\r' && i + 1 < len && head[i + 1] == '\n') {
			scan_meaning_add(meaning, "~", 1);
			i++;
		} else {
			scan_meaning_add(meaning, (const char *)&head[i], 1);
		}
	}
}

static inline void scan_meaning_hex(struct scan_meaning *meaning, const uint8_t *head, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	assert_true(2 * len < sizeof(meaning->text) - meaning->len);
	for (size_t i = 0; i < len; i++) {
		meaning->text[meaning->len++] = digits[head[i] >> 4];
		meaning->text[meaning->len++] = digits[head[i] & 15];
	}
	meaning->text[meaning->len] = '\0';
}

/* F)irst, W)hole, E)nd, A)borted, C)ut, B)odyless, U)pgraded: the bits in their order. */
static inline void scan_meaning_end(struct scan_meaning *meaning,
				    const struct ksplit_head_event *event)
{
	static const char names[] = "FWEACBU";
	char text[64], flags[8];
	size_t n = 0;

	for (int i = 0; i < 7; i++)
		if (meaning->flags & 1u << i)
			flags[n++] = names[i];
	flags[n] = '\0';
	snprintf(text, sizeof(text), "[%s %llu/%llu]", flags,
		 (unsigned long long)event->message_bytes, (unsigned long long)event->body_bytes);
	scan_meaning_add(meaning, text, strlen(text));
	meaning->message_bytes += event->message_bytes;
	meaning->flags = 0;
}

/* Every line of an HTTP/1 event is whole, and one of those that the contract names. */
static inline void scan_event_check_lines(const struct ksplit_head_event *event)
{
	static const char *const fields[] = {"host", "content-type", "content-length",
					     "transfer-encoding"};
	const char *at = (const char *)event->head, *end = at + event->len;
	bool first = event->flags & KSPLIT_HEAD_FIRST;

	for (; at < end; first = false) {
		const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
		bool known = first;

		assert_non_null(line_end);
		for (size_t i = 0; !first && i < sizeof(fields) / sizeof(*fields); i++)
			known |= strncasecmp(at, fields[i], strlen(fields[i])) == 0;
		assert_true(known || (line_end == at && line_end + 2 == end));
		at = line_end + 2;
	}
}

static inline void scan_events_add(struct scan_events *events,
				   const struct ksplit_head_event *event)
{
	struct scan_meaning *meaning = &events->meaning[event->stream];
	size_t size = sizeof(*event) + event->len;
	struct ksplit_head_event *copy = malloc(size);

	events->list = realloc(events->list, (events->count + 1) * sizeof(*events->list));
	assert_true(copy && events->list);
	memcpy(copy, event, size);
	events->list[events->count++] = copy;
	assert_int_equal(event->sequence, meaning->sequence++);
	if (!events->any_bytes)
		assert_null(memmem(event->head, event->len, SCAN_SECRET, strlen(SCAN_SECRET)));
	if (event->kind == KSPLIT_EVENT_HTTP1) {
		scan_event_check_lines(event);
		assert_true(event->first_ns && event->first_ns <= event->time_ns);
		meaning->flags |= event->flags;
		scan_meaning_head(meaning, event->head, event->len);
		if (event->flags & KSPLIT_HEAD_END)
			scan_meaning_end(meaning, event);
	} else if (event->kind == KSPLIT_EVENT_HTTP2) {
		scan_meaning_hex(meaning, event->head, event->len);
	} else {
		assert_int_equal(event->len, 0);
		scan_meaning_add(meaning, event->kind == KSPLIT_EVENT_LOST ? "LOST" : "OTHER",
				 event->kind == KSPLIT_EVENT_LOST ? 4 : 5);
	}
}

static inline void scan_events_drop(struct scan_events *events)
{
	for (size_t i = 0; i < events->count; i++)
		free(events->list[i]);
	free(events->list);
	events->list = NULL;
	events->count = 0;
	memset(events->meaning, 0, sizeof(events->meaning));
}

#endif
