// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/endpoint_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/series_key.h"

#define KEY_LEN (ADDRESS_KEY_LEN + 1) /* and the direction */

struct endpoint_node {
	struct endpoint_node *next;          /* in its bucket */
	struct endpoint_node *older, *newer; /* in the list of idle ones */
	bool idle;                           /* is in it */
	uint64_t hash;
	uint8_t key[KEY_LEN];
	struct endpoint_figures figures;
};

int endpoint_table_init(struct endpoint_table *table, uint32_t max)
{
	*table = (struct endpoint_table){.max = max, .buckets_len = 1};
	while (table->buckets_len < max && table->buckets_len < 1U << 31)
		table->buckets_len *= 2;
	key_hash_init(&table->hash);
	table->other.endpoint.other = true;
	table->buckets = calloc(table->buckets_len, sizeof(*table->buckets));
	if (table->buckets && endpoint_figures_reserve(&table->other) == 0)
		return 0;
	endpoint_table_free(table);
	return -ENOMEM;
}

void endpoint_table_free(struct endpoint_table *table)
{
	for (uint32_t i = 0; table->buckets && i < table->buckets_len; i++) {
		for (struct endpoint_node *node = table->buckets[i], *next; node; node = next) {
			next = node->next;
			endpoint_figures_free(&node->figures);
			free(node);
		}
	}
	free(table->buckets);
	endpoint_figures_free(&table->other);
	*table = (struct endpoint_table){0};
}

static void idle_remove(struct endpoint_table *table, struct endpoint_node *node)
{
	if (!node->idle)
		return;
	*(node->older ? &node->older->newer : &table->idle_first) = node->newer;
	*(node->newer ? &node->newer->older : &table->idle_last) = node->older;
	node->older = node->newer = NULL;
	node->idle = false;
}

/* Its connections or its time of last use changed. */
static void idle_update(struct endpoint_table *table, struct endpoint_node *node)
{
	idle_remove(table, node);
	if (node->figures.endpoint.open > 0)
		return;
	node->idle = true;
	node->older = table->idle_last;
	*(table->idle_last ? &table->idle_last->newer : &table->idle_first) = node;
	table->idle_last = node;
}

static struct endpoint_node **bucket_of(const struct endpoint_table *table, uint64_t hash)
{
	return &table->buckets[hash >> 32 & (table->buckets_len - 1)];
}

static void evict(struct endpoint_table *table, struct endpoint_node *node,
		  const struct aggregate_time *now)
{
	struct endpoint_node **link = bucket_of(table, node->hash);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	idle_remove(table, node);
	endpoint_figures_merge(&table->other, &node->figures, now);
	endpoint_figures_free(&node->figures);
	free(node);
	table->len--;
	table->evicted++;
}

static struct endpoint_node *create(struct endpoint_table *table, const struct observe_conn *conn,
				    const uint8_t key[KEY_LEN], uint64_t hash,
				    const struct aggregate_time *now)
{
	struct endpoint_node **bucket = bucket_of(table, hash);
	struct endpoint_node *node;

	if (table->len == table->max && !table->idle_first)
		return NULL;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	if (table->len == table->max)
		evict(table, table->idle_first, now);
	node->hash = hash;
	memcpy(node->key, key, KEY_LEN);
	node->figures.endpoint.address = conn->endpoint;
	node->figures.endpoint.direction = conn->direction;
	node->next = *bucket;
	*bucket = node;
	table->len++;
	return node;
}

/* The endpoint of a connection, made if wanted and possible; NULL: it belongs to "other". */
static struct endpoint_node *find(struct endpoint_table *table, const struct observe_conn *conn,
				  bool make, const struct aggregate_time *now)
{
	struct endpoint_node *node;
	uint8_t key[KEY_LEN];
	uint64_t hash;

	address_key_pack(&conn->endpoint, key);
	key[ADDRESS_KEY_LEN] = (uint8_t)conn->direction;
	hash = key_hash_of(&table->hash, key, KEY_LEN);
	node = *bucket_of(table, hash);
	while (node && (node->hash != hash || memcmp(node->key, key, KEY_LEN) != 0))
		node = node->next;
	if (!node && make)
		node = create(table, conn, key, hash, now);
	return node;
}

static void name(struct endpoint *endpoint, const struct observe_conn *conn)
{
	if (!endpoint->other && !endpoint->server_name[0])
		series_key_copy_text(endpoint->server_name, sizeof(endpoint->server_name),
				     conn->server_name, sizeof(conn->server_name), true);
}

void endpoint_table_open(struct endpoint_table *table, const struct observe_conn *conn,
			 const struct aggregate_time *now)
{
	struct endpoint_node *node = find(table, conn, true, now);
	struct endpoint_figures *figures = node ? &node->figures : &table->other;

	endpoint_figures_touch(figures, now);
	endpoint_figures_connect(figures, conn->passed, now);
	name(&figures->endpoint, conn);
	figures->endpoint.open++;
	if (node)
		idle_update(table, node);
}

/*
 * Where an opened connection is counted as open: with its endpoint, or with "other" if that had no
 * room when it opened. Should both be possible it does not matter which: the sum is right.
 */
static void count_closed(struct endpoint_table *table, struct endpoint_figures *figures)
{
	if (figures->endpoint.open > 0)
		figures->endpoint.open--;
	else if (table->other.endpoint.open > 0)
		table->other.endpoint.open--;
}

void endpoint_table_close(struct endpoint_table *table, const struct observe_conn *conn,
			  const struct conn_info *info, const struct aggregate_tcp *tcp,
			  bool opened, const struct aggregate_time *now)
{
	struct endpoint_node *node = find(table, conn, !opened, now);
	struct endpoint_figures *figures = node ? &node->figures : &table->other;

	endpoint_figures_touch(figures, now);
	if (opened) {
		count_closed(table, figures);
	} else {
		endpoint_figures_connect(figures, conn->passed, now);
		name(&figures->endpoint, conn);
		figures->endpoint.failed++;
	}
	endpoint_figures_end(figures, info, tcp, opened);
	if (node)
		idle_update(table, node);
}

struct endpoint_node *endpoint_table_add_request(struct endpoint_table *table,
						 struct endpoint_node *known,
						 const struct observe_conn *conn, bool failed,
						 const struct aggregate_time *now)
{
	struct endpoint_node *node = known ? known : find(table, conn, true, now);
	struct endpoint_figures *figures = node ? &node->figures : &table->other;

	endpoint_figures_touch(figures, now);
	name(&figures->endpoint, conn);
	figures->endpoint.requests++;
	figures->endpoint.failures += failed;
	if (node)
		idle_update(table, node);
	return node;
}

static void free_copies(struct endpoint *endpoints, size_t len)
{
	for (size_t i = 0; i < len; i++)
		endpoint_figures_free_copy(&endpoints[i]);
	free(endpoints);
}

int endpoint_table_copy(const struct endpoint_table *table, const struct aggregate_time *now,
			struct endpoint **out, size_t *out_len)
{
	struct endpoint *endpoints = calloc((size_t)table->len + 1, sizeof(*endpoints));
	size_t len = 0;
	int ret = 0;

	if (!endpoints)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->buckets_len; i++) {
		for (struct endpoint_node *node = table->buckets[i]; node && !ret;
		     node = node->next) {
			ret = endpoint_figures_copy(&endpoints[len], &node->figures, now);
			len += ret == 0;
		}
	}
	if (!ret && table->other.endpoint.first_seen_ms != 0) {
		ret = endpoint_figures_copy(&endpoints[len], &table->other, now);
		len += ret == 0;
	}
	if (ret) {
		free_copies(endpoints, len);
		return ret;
	}
	*out = endpoints;
	*out_len = len;
	return 0;
}

size_t endpoint_table_memory(const struct endpoint_table *table)
{
	size_t sum = table->buckets_len * sizeof(*table->buckets) +
		     table->len * sizeof(struct endpoint_node) +
		     endpoint_figures_memory(&table->other);

	for (uint32_t i = 0; i < table->buckets_len; i++)
		for (struct endpoint_node *node = table->buckets[i]; node; node = node->next)
			sum += endpoint_figures_memory(&node->figures);
	return sum;
}
