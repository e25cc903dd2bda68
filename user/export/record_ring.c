// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/record_ring.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In front of each record. */
typedef uint32_t record_len;

int record_ring_init(struct record_ring *ring, size_t size)
{
	*ring = (struct record_ring){.bytes = malloc(size), .size = size};
	return ring->bytes ? 0 : -ENOMEM;
}

void record_ring_free(struct record_ring *ring)
{
	free(ring->bytes);
	*ring = (struct record_ring){0};
}

/* Behind what is used; there is room. */
static void append(struct record_ring *ring, const void *from, size_t len)
{
	const size_t at = (ring->first + ring->used) % ring->size;
	const size_t head = len < ring->size - at ? len : ring->size - at;

	memcpy(ring->bytes + at, from, head);
	memcpy(ring->bytes, (const char *)from + head, len - head);
	ring->used += len;
}

static void peek(const struct record_ring *ring, void *to, size_t len)
{
	const size_t head = len < ring->size - ring->first ? len : ring->size - ring->first;

	memcpy(to, ring->bytes + ring->first, head);
	memcpy((char *)to + head, ring->bytes, len - head);
}

static void drop(struct record_ring *ring, size_t len)
{
	ring->first = (ring->first + len) % ring->size;
	ring->used -= len;
}

bool record_ring_put(struct record_ring *ring, const void *record, size_t len)
{
	const record_len prefix = (record_len)len;

	if (len == 0 || len > UINT32_MAX - sizeof(prefix) ||
	    sizeof(prefix) + len > ring->size - ring->used)
		return false;
	append(ring, &prefix, sizeof(prefix));
	append(ring, record, len);
	return true;
}

size_t record_ring_next(const struct record_ring *ring)
{
	record_len prefix;

	if (!ring->used)
		return 0;
	peek(ring, &prefix, sizeof(prefix));
	return prefix;
}

size_t record_ring_take(struct record_ring *ring, void *out)
{
	const size_t len = record_ring_next(ring);

	if (!len)
		return 0;
	drop(ring, sizeof(record_len));
	peek(ring, out, len);
	drop(ring, len);
	return len;
}
