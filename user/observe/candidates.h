/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_CANDIDATES_H
#define KSPLIT_OBSERVE_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

/*
 * How often keys that have no series of their own were seen lately, in memory of a fixed size: a
 * table of hashes in sets of eight. In a full set a new key takes one from the least count, and the
 * place when nothing is left (Misra and Gries's frequent items, for each set): a count is never
 * more than the truth, and a key that makes up more than a ninth of its set's traffic stays.
 */
struct candidates {
	struct candidate *entries; /* owned */
	uint32_t sets;             /* a power of two */
};

/* For a table of `kept` series. 0 or -ENOMEM. */
int candidates_init(struct candidates *candidates, uint32_t kept);
void candidates_free(struct candidates *candidates);

/* The key was seen: how often lately, at least? */
uint32_t candidates_add(struct candidates *candidates, uint64_t hash);

/* It has a series now. */
void candidates_remove(struct candidates *candidates, uint64_t hash);

/* Time has passed: all counts are halved so many times (31 at most). */
void candidates_age(struct candidates *candidates, unsigned int halvings);

size_t candidates_memory(const struct candidates *candidates);

#endif
