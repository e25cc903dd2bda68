// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/observed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096 /* more connections make longer chains: numbers are spread evenly */

int observed_table_init(struct observed_table *table)
{
	table->len = 0;
	table->buckets_len = BUCKETS;
	table->buckets = calloc(BUCKETS, sizeof(*table->buckets));
	return table->buckets ? 0 : -ENOMEM;
}

static struct observed_bucket *bucket_of(const struct observed_table *table, uint64_t id)
{
	return &table->buckets[id & (table->buckets_len - 1)];
}

struct observed *observed_find(const struct observed_table *table, uint64_t id)
{
	struct observed *observed;

	LIST_FOREACH(observed, bucket_of(table, id), link)
		if (observed->conn.id == id)
			return observed;
	return NULL;
}

struct observed *observed_add(struct observed_table *table, uint64_t id)
{
	struct observed *observed = calloc(1, sizeof(*observed));

	if (!observed)
		return NULL;
	observed->conn.id = id;
	LIST_INSERT_HEAD(bucket_of(table, id), observed, link);
	table->len++;
	return observed;
}

void observed_remove(struct observed_table *table, struct observed *observed)
{
	LIST_REMOVE(observed, link);
	table->len--;
	http_decoder_free(observed->decoder);
	free(observed->close);
	free(observed);
}

void observed_table_free(struct observed_table *table)
{
	for (size_t i = 0; table->buckets && i < table->buckets_len; i++)
		while (!LIST_EMPTY(&table->buckets[i]))
			observed_remove(table, LIST_FIRST(&table->buckets[i]));
	free(table->buckets);
	table->buckets = NULL;
}
