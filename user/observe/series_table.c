// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/series_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HALF_LIFE_MS (300 * 1000)

struct series_node {
	struct series_node *next; /* in its bucket */
	uint64_t hash;
	uint32_t recent; /* requests, halved every half-life */
	uint32_t key_len;
	struct series_figures figures;
	uint8_t key[]; /* packed */
};

int series_table_init(struct series_table *table, uint32_t max)
{
	int ret;

	*table = (struct series_table){.max = max, .buckets_len = 1};
	while (table->buckets_len < max && table->buckets_len < 1U << 31)
		table->buckets_len *= 2;
	key_hash_init(&table->hash);
	table->buckets = calloc(table->buckets_len, sizeof(*table->buckets));
	table->nodes = calloc((size_t)max + 1, sizeof(*table->nodes));
	table->lightest = calloc((size_t)max + 1, sizeof(*table->lightest));
	ret = candidates_init(&table->candidates, max);
	if (!table->buckets || !table->nodes || !table->lightest)
		ret = -ENOMEM;
	if (!ret)
		ret = histogram_reserve(&table->other.first_byte_us);
	if (!ret)
		ret = histogram_reserve(&table->other.last_byte_us);
	if (ret)
		series_table_free(table);
	return ret;
}

static void node_free(struct series_node *node)
{
	series_figures_free(&node->figures);
	free(node);
}

void series_table_free(struct series_table *table)
{
	for (uint32_t i = 0; i < table->len; i++)
		node_free(table->nodes[i]);
	free(table->buckets);
	free(table->nodes);
	free(table->lightest);
	candidates_free(&table->candidates);
	series_figures_free(&table->other);
	*table = (struct series_table){0};
}

static struct series_node **bucket_of(const struct series_table *table, uint64_t hash)
{
	return &table->buckets[hash >> 32 & (table->buckets_len - 1)];
}

static struct series_node *find(const struct series_table *table, uint64_t hash, const uint8_t *key,
				size_t len)
{
	struct series_node *node = *bucket_of(table, hash);

	while (node && (node->hash != hash || node->key_len != len || memcmp(node->key, key, len)))
		node = node->next;
	return node;
}

static struct series_node *node_new(uint64_t hash, const uint8_t *key, size_t len, uint32_t pid)
{
	struct series_node *node = calloc(1, sizeof(*node) + len);

	if (!node)
		return NULL;
	node->hash = hash;
	node->key_len = (uint32_t)len;
	node->figures.pid = pid;
	memcpy(node->key, key, len);
	return node;
}

static void insert(struct series_table *table, struct series_node *node, uint32_t place)
{
	struct series_node **bucket = bucket_of(table, node->hash);

	node->next = *bucket;
	*bucket = node;
	table->nodes[place] = node;
}

static void evict(struct series_table *table, uint32_t place, const struct aggregate_time *now)
{
	struct series_node *node = table->nodes[place];
	struct series_node **link = bucket_of(table, node->hash);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	series_figures_merge(&table->other, &node->figures, now);
	table->evicted++;
	node_free(node);
}

static void age(struct series_table *table, uint64_t now_ms)
{
	uint64_t lives = (now_ms - table->aged_ms) / HALF_LIFE_MS;
	unsigned int halvings;

	if (now_ms < table->aged_ms || lives == 0)
		return;
	table->aged_ms += lives * HALF_LIFE_MS;
	halvings = lives < 31 ? (unsigned int)lives : 31;
	for (uint32_t i = 0; i < table->len; i++)
		table->nodes[i]->recent >>= halvings;
	candidates_age(&table->candidates, halvings);
	table->lightest_len = 0;
	table->least = 0;
}

/*
 * The place of the lightest series of a full table. `lightest` holds all that had the least count
 * when it was filled; some have had requests since and are passed over. Counts only grow between
 * two ageings and newcomers begin above the least, so that it is filled once for each value that
 * the least takes: for N requests at most N / max times. That is O(1) for each of them.
 */
static uint32_t find_lightest(struct series_table *table)
{
	while (table->lightest_len > 0) {
		uint32_t place = table->lightest[table->lightest_len - 1];

		if (table->nodes[place]->recent == table->least)
			return place;
		table->lightest_len--;
	}
	table->least = table->nodes[0]->recent;
	for (uint32_t i = 0; i < table->len; i++) {
		uint32_t recent = table->nodes[i]->recent;

		if (recent > table->least)
			continue;
		if (recent < table->least)
			table->lightest_len = 0;
		table->least = recent;
		table->lightest[table->lightest_len++] = i;
	}
	return table->lightest[table->lightest_len - 1];
}

/* More by a quarter and two: series of about the same weight shall not change places all the time.
 */
static bool outweighs(uint32_t seen, uint32_t recent)
{
	return seen > (uint64_t)recent + recent / 4 + 2;
}

/* The series of a key that has none; NULL: it belongs to "other". */
static struct series_node *admit(struct series_table *table, uint64_t hash, const uint8_t *key,
				 size_t len, uint32_t pid, const struct aggregate_time *now)
{
	uint32_t place = table->len, seen = 0;
	struct series_node *node;

	if (table->len == table->max) {
		seen = candidates_add(&table->candidates, hash);
		/* `least` may be out of date, but never too great: most keys end here. */
		if (table->max == 0 || !outweighs(seen, table->least))
			return NULL;
		place = find_lightest(table);
		if (!outweighs(seen, table->nodes[place]->recent))
			return NULL;
	}
	node = node_new(hash, key, len, pid);
	if (!node)
		return NULL;
	if (place == table->len) {
		table->len++;
	} else {
		evict(table, place, now);
		candidates_remove(&table->candidates, hash);
		node->recent = seen - 1; /* this request is counted by the caller */
	}
	insert(table, node, place);
	return node;
}

static void count(struct series_table *table, struct series_node *node,
		  const struct observe_request *request, const struct aggregate_time *now)
{
	if (node)
		node->recent += node->recent < UINT32_MAX;
	series_figures_add(node ? &node->figures : &table->other, request, now);
}

struct series_node *series_table_add(struct series_table *table, const struct series_key *key,
				     uint32_t pid, const struct observe_request *request,
				     const struct aggregate_time *now)
{
	uint8_t packed[SERIES_KEY_PACKED_MAX];
	size_t len = series_key_pack(key, packed);
	uint64_t hash = key_hash_of(&table->hash, packed, len);
	struct series_node *node;

	age(table, now->monotonic_ms);
	node = find(table, hash, packed, len);
	if (!node)
		node = admit(table, hash, packed, len, pid, now);
	count(table, node, request, now);
	return node;
}

void series_table_add_known(struct series_table *table, struct series_node *node,
			    const struct observe_request *request, const struct aggregate_time *now)
{
	age(table, now->monotonic_ms);
	count(table, node, request, now);
}

static void free_copies(struct series *series, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		histogram_free(&series[i].first_byte_us);
		histogram_free(&series[i].last_byte_us);
	}
	free(series);
}

int series_table_copy(const struct series_table *table, const struct aggregate_time *now,
		      struct series **out, size_t *out_len)
{
	size_t len = (size_t)table->len + (table->other.count > 0);
	struct series *series = calloc(len + 1, sizeof(*series));

	if (!series)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		bool other = i == table->len;
		const struct series_figures *figures =
			other ? &table->other : &table->nodes[i]->figures;

		if (!other)
			series_key_unpack(table->nodes[i]->key, &series[i].key);
		series[i].other = other;
		if (series_figures_copy(&series[i], figures, now)) {
			free_copies(series, i);
			return -ENOMEM;
		}
	}
	*out = series;
	*out_len = len;
	return 0;
}

size_t series_table_memory(const struct series_table *table)
{
	size_t sum = table->buckets_len * sizeof(*table->buckets) +
		     ((size_t)table->max + 1) * (sizeof(*table->nodes) + sizeof(*table->lightest)) +
		     candidates_memory(&table->candidates) + series_figures_memory(&table->other);

	for (uint32_t i = 0; i < table->len; i++)
		sum += sizeof(*table->nodes[i]) + table->nodes[i]->key_len +
		       series_figures_memory(&table->nodes[i]->figures);
	return sum;
}
