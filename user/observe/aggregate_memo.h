/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_AGGREGATE_MEMO_H
#define KSPLIT_OBSERVE_AGGREGATE_MEMO_H

#include "observe/aggregate.h"
#include "observe/key_hash.h"

/* Private to the aggregate: what it remembers of a connection's last requests. */

/*
 * By what the request is known: all that a series depends on and a connection's requests differ in.
 * Not for one whose path was cut.
 */
uint64_t aggregate_memo_hash(const struct key_hash *secret, const struct observe_request *request);

/* The request's series, or NULL: it is not remembered. `evicted`: as many have gone by now. */
struct series_node *aggregate_memo_find(struct aggregate_memo *memo, uint64_t hash,
					uint64_t evicted);

/* Remember it, in place of another. */
void aggregate_memo_set(struct aggregate_memo *memo, uint64_t hash, struct series_node *series,
			uint64_t evicted);

#endif
