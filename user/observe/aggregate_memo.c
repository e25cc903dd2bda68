// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/aggregate_memo.h"

#include <string.h>

uint64_t aggregate_memo_hash(const struct key_hash *secret, const struct observe_request *request)
{
	/* Three numbers of less than 16 bits, none of them negative here. */
	uint64_t value = (uint64_t)(request->status & 0xffff) |
			 (uint64_t)((request->grpc_status + 1) & 0xffff) << 16 |
			 (uint64_t)request->version << 32;

	value = key_hash_add(secret, value, request->method, strlen(request->method));
	value = key_hash_add(secret, value, request->host, strlen(request->host));
	value = key_hash_add(secret, value, request->path, strlen(request->path));
	return key_hash_end(secret, value);
}

static struct aggregate_memo_slot *slot_of(struct aggregate_memo *memo, uint64_t hash,
					   uint64_t evicted)
{
	/* Any of the series may be among those that have gone. */
	if (memo->series_evicted != evicted)
		memset(memo->slots, 0, sizeof(memo->slots));
	memo->series_evicted = evicted;
	return &memo->slots[hash % AGGREGATE_MEMO_SLOTS];
}

struct series_node *aggregate_memo_find(struct aggregate_memo *memo, uint64_t hash,
					uint64_t evicted)
{
	const struct aggregate_memo_slot *slot = slot_of(memo, hash, evicted);

	return slot->hash == hash ? slot->series : NULL;
}

void aggregate_memo_set(struct aggregate_memo *memo, uint64_t hash, struct series_node *series,
			uint64_t evicted)
{
	struct aggregate_memo_slot *slot = slot_of(memo, hash, evicted);

	slot->hash = hash;
	slot->series = series;
}
