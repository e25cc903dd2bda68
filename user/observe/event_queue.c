// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/event_queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIN_BYTES 65536
#define ALIGN	  8
#define KIND_FILL 0 /* up to the end of the memory: a record is never cut in two */

struct record {
	uint32_t len; /* of the data */
	uint32_t kind;
};

struct event_queue {
	size_t size; /* a power of two */
	int wake_fd;
	/* Bytes since the beginning; each is written by one side. */
	_Alignas(64) _Atomic uint64_t written;
	uint64_t woken; /* `written` when the reader was last woken */
	_Atomic uint64_t dropped;
	_Alignas(64) _Atomic uint64_t taken;
	_Alignas(64) uint8_t memory[];
};

static size_t padded(size_t len)
{
	return (sizeof(struct record) + len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

int event_queue_new(size_t bytes, int wake_fd, struct event_queue **out)
{
	size_t size = MIN_BYTES;

	while (size < bytes)
		size *= 2;
	*out = aligned_alloc(64, sizeof(**out) + size);
	if (!*out)
		return -ENOMEM;
	memset(*out, 0, sizeof(**out));
	(*out)->size = size;
	(*out)->wake_fd = wake_fd;
	return 0;
}

void event_queue_free(struct event_queue *queue)
{
	if (queue)
		explicit_bzero(queue->memory, queue->size);
	free(queue);
}

static struct record *record_at(struct event_queue *queue, uint64_t position)
{
	return (struct record *)(void *)&queue->memory[position & (queue->size - 1)];
}

static void wake(struct event_queue *queue, uint64_t written, uint64_t used)
{
	const uint64_t one = 1;
	ssize_t n;

	if (used < queue->size / 4 || written - queue->woken < queue->size / 4)
		return;
	queue->woken = written;
	n = write(queue->wake_fd, &one, sizeof(one));
	(void)n; /* full: a wake-up is on its way */
}

bool event_queue_put(struct event_queue *queue, enum event_queue_kind kind, const void *data,
		     size_t len)
{
	uint64_t written = atomic_load_explicit(&queue->written, memory_order_relaxed);
	uint64_t used = written - atomic_load_explicit(&queue->taken, memory_order_acquire);
	size_t to_end = queue->size - (written & (queue->size - 1));
	size_t need = padded(len), fill = need > to_end ? to_end : 0;
	size_t room = queue->size - used;
	struct record *record;

	if (kind == EVENT_QUEUE_HEAD)
		room = room > queue->size / 4 ? room - queue->size / 4 : 0;
	if (need + fill > room) {
		atomic_fetch_add_explicit(&queue->dropped, 1, memory_order_relaxed);
		return false;
	}
	if (fill) {
		record = record_at(queue, written);
		*record = (struct record){.len = (uint32_t)(fill - sizeof(*record)),
					  .kind = KIND_FILL};
		written += fill;
	}
	record = record_at(queue, written);
	*record = (struct record){.len = (uint32_t)len, .kind = kind};
	memcpy(record + 1, data, len);
	written += need;
	atomic_store_explicit(&queue->written, written, memory_order_release);
	wake(queue, written, used + need + fill);
	return true;
}

const void *event_queue_peek(struct event_queue *queue, enum event_queue_kind *kind, size_t *len)
{
	uint64_t written = atomic_load_explicit(&queue->written, memory_order_acquire);
	uint64_t taken = atomic_load_explicit(&queue->taken, memory_order_relaxed);
	const struct record *record;

	if (taken == written)
		return NULL;
	record = record_at(queue, taken);
	if (record->kind == KIND_FILL) {
		taken += padded(record->len);
		atomic_store_explicit(&queue->taken, taken, memory_order_release);
		if (taken == written)
			return NULL;
		record = record_at(queue, taken);
	}
	*kind = record->kind;
	*len = record->len;
	return record + 1;
}

void event_queue_take(struct event_queue *queue)
{
	uint64_t taken = atomic_load_explicit(&queue->taken, memory_order_relaxed);
	struct record *record = record_at(queue, taken);
	size_t len = padded(record->len);

	explicit_bzero(record, len);
	atomic_store_explicit(&queue->taken, taken + len, memory_order_release);
}

uint64_t event_queue_dropped(const struct event_queue *queue)
{
	return atomic_load_explicit(&queue->dropped, memory_order_relaxed);
}
