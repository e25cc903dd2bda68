/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SERIES_TABLE_H
#define KSPLIT_OBSERVE_SERIES_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "observe/candidates.h"
#include "observe/key_hash.h"
#include "observe/series_figures.h"
#include "observe/series_key.h"

/*
 * The series of an aggregate: a hash table of at most `max` of them, and "other".
 *
 * Whoever is in the table counts exactly. A key that finds the table full is counted in "other" and
 * becomes a candidate; once it was seen clearly more often lately than the lightest series, that
 * one is added to "other" and the candidate takes its place, from nought. "Lately" fades with a
 * half-life of five minutes. Each request costs O(1), amortised: see series_table.c. No locks.
 */
struct series_table {
	struct series_node **buckets; /* all owned */
	struct series_node **nodes;   /* those in use, in no order */
	uint32_t buckets_len;         /* a power of two */
	uint32_t len, max;
	struct key_hash hash;
	struct candidates candidates;
	struct series_figures other;
	uint64_t evicted;
	uint64_t aged_ms;
	uint32_t *lightest; /* places in nodes[] whose `recent` was `least` when it was filled */
	uint32_t lightest_len;
	uint32_t least; /* no series is below it */
};

/* 0 or -ENOMEM. */
int series_table_init(struct series_table *table, uint32_t max);
void series_table_free(struct series_table *table);

/* Returns the request's series, valid as long as `evicted` stays the same; NULL: "other". */
struct series_node *series_table_add(struct series_table *table, const struct series_key *key,
				     uint32_t pid, const struct observe_request *request,
				     const struct aggregate_time *now);

/* The same for a request of a series that is known, and still valid. */
void series_table_add_known(struct series_table *table, struct series_node *node,
			    const struct observe_request *request,
			    const struct aggregate_time *now);

/* A deep copy of all series, "other" last when it has anything. 0 or -ENOMEM (nothing is owned). */
int series_table_copy(const struct series_table *table, const struct aggregate_time *now,
		      struct series **out, size_t *out_len);

/* Bytes of the heap. */
size_t series_table_memory(const struct series_table *table);

#endif
