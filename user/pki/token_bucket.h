/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_TOKEN_BUCKET_H
#define KSPLIT_PKI_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* So many a second, and as many at once after a second of rest. */
struct token_bucket {
	uint64_t per_second;
	uint64_t level;	  /* millionths of a token */
	uint64_t last_us; /* any monotonic clock */
};

/* Begins full. per_second >= 1. */
static inline void token_bucket_init(struct token_bucket *bucket, uint32_t per_second,
				     uint64_t now_us)
{
	*bucket = (struct token_bucket){.per_second = per_second,
					.level = per_second * UINT64_C(1000000),
					.last_us = now_us};
}

/* Take one; false: none is left. */
static inline bool token_bucket_take(struct token_bucket *bucket, uint64_t now_us)
{
	const uint64_t full = bucket->per_second * UINT64_C(1000000);
	uint64_t passed = now_us - bucket->last_us;

	bucket->last_us = now_us;
	/* a token a second is a millionth of it a microsecond */
	if (passed >= 1000000)
		bucket->level = full;
	else
		bucket->level += passed * bucket->per_second;
	if (bucket->level > full)
		bucket->level = full;
	if (bucket->level < 1000000)
		return false;
	bucket->level -= 1000000;
	return true;
}

#endif
