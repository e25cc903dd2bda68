/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_EVENT_QUEUE_H
#define KSPLIT_OBSERVE_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * From one worker to the observer: a ring of records in memory, one thread writing and one reading,
 * no locks. A full queue drops and counts; it never waits. What was read is wiped.
 */
struct event_queue;

enum event_queue_kind {
	EVENT_QUEUE_HEAD = 1, /* struct ksplit_head_event */
	EVENT_QUEUE_OPEN,     /* struct observer_open */
	EVENT_QUEUE_CLOSE,    /* struct observer_close */
};

/*
 * `bytes` is rounded up to a power of two. `wake_fd`: an eventfd (not owned) that is written when
 * the queue is a quarter full. Caller owns *out. 0 or -ENOMEM.
 */
int event_queue_new(size_t bytes, int wake_fd, struct event_queue **out);
void event_queue_free(struct event_queue *queue);

/*
 * Writer: add a record, copied. False: dropped. Heads leave a quarter of the room to the others, so
 * that a flood of them loses no open or close.
 */
bool event_queue_put(struct event_queue *queue, enum event_queue_kind kind, const void *data,
		     size_t len);

/* Reader: the oldest record (aligned to 8), NULL: none. Then give it back, wiped. */
const void *event_queue_peek(struct event_queue *queue, enum event_queue_kind *kind, size_t *len);
void event_queue_take(struct event_queue *queue);

/* Any thread. */
uint64_t event_queue_dropped(const struct event_queue *queue);

#endif
