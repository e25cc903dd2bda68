/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_RECORD_RING_H
#define KSPLIT_EXPORT_RECORD_RING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A queue of records of different lengths in a fixed piece of memory: first in, first out; what
 * does not fit is refused. No lock of its own.
 */
struct record_ring {
	unsigned char *bytes; /* owned */
	size_t size, first, used;
};

/* 0 or -ENOMEM; give the memory back with record_ring_free ({0} is allowed). */
int record_ring_init(struct record_ring *ring, size_t size);
void record_ring_free(struct record_ring *ring);

/* Copy a record in, at least one byte. false: no room. */
bool record_ring_put(struct record_ring *ring, const void *record, size_t len);

/* Length of the oldest record; 0: there is none. */
size_t record_ring_next(const struct record_ring *ring);

/* Move the oldest record to `out`, which has room for it. Returns its length; 0: there is none. */
size_t record_ring_take(struct record_ring *ring, void *out);

#endif
