// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pass_list.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "observe/key_hash.h"

struct node {
	LIST_ENTRY(node) link;	/* of its bucket */
	TAILQ_ENTRY(node) order; /* the last used first */
	struct pass_entry entry;
};

LIST_HEAD(bucket, node);
TAILQ_HEAD(order, node);

struct pass_list {
	size_t max;
	struct key_hash hash;
	atomic_size_t len; /* read without the lock */
	pthread_mutex_t lock; /* guards all that follows, and who writes `len` */
	struct bucket *buckets;
	size_t mask; /* buckets, a power of two, less one */
	struct order order;
	uint64_t evicted;
};

static void set_client(uint8_t client[16], const union conn_address *address)
{
	if (address->sa.sa_family == AF_INET6) {
		memcpy(client, &address->in6.sin6_addr, 16);
	} else if (address->sa.sa_family == AF_INET) {
		client[10] = client[11] = 0xff;
		memcpy(client + 12, &address->in.sin_addr, 4);
	}
}

void pass_key_set(struct pass_key *key, enum ksplit_reason reason, uint32_t rule,
		  const union conn_address *client, const char *name,
		  const union conn_address *origin)
{
	memset(key, 0, sizeof(*key));
	key->reason = reason;
	key->rule = rule;
	if (client)
		set_client(key->client, client);
	if (*name)
		memcpy(key->name, name, strnlen(name, sizeof(key->name) - 1));
	else if (origin)
		conn_address_print(origin, key->name, sizeof(key->name));
}

int pass_list_new(size_t max, struct pass_list **out)
{
	struct pass_list *list = calloc(1, sizeof(*list));
	size_t buckets = 16;

	if (!list)
		return -ENOMEM;
	while (buckets < max)
		buckets *= 2;
	list->buckets = calloc(buckets, sizeof(*list->buckets));
	if (!list->buckets) {
		free(list);
		return -ENOMEM;
	}
	list->mask = buckets - 1;
	list->max = max;
	key_hash_init(&list->hash);
	pthread_mutex_init(&list->lock, NULL);
	TAILQ_INIT(&list->order);
	*out = list;
	return 0;
}

static void drop(struct pass_list *list, struct node *node)
{
	LIST_REMOVE(node, link);
	TAILQ_REMOVE(&list->order, node, order);
	free(node);
	atomic_fetch_sub(&list->len, 1);
}

void pass_list_free(struct pass_list *list)
{
	if (!list)
		return;
	while (!TAILQ_EMPTY(&list->order))
		drop(list, TAILQ_FIRST(&list->order));
	pthread_mutex_destroy(&list->lock);
	free(list->buckets);
	free(list);
}

void pass_list_forget_rules(struct pass_list *list)
{
	struct node *node, *next;

	pthread_mutex_lock(&list->lock);
	for (node = TAILQ_FIRST(&list->order); node; node = next) {
		next = TAILQ_NEXT(node, order);
		if (node->entry.key.rule != PASS_NO_RULE)
			drop(list, node);
	}
	pthread_mutex_unlock(&list->lock);
}

static struct bucket *bucket_of(struct pass_list *list, const struct pass_key *key)
{
	uint64_t hash = key_hash_add(&list->hash, 0, key, offsetof(struct pass_key, name));

	hash = key_hash_add(&list->hash, hash, key->name, strlen(key->name));
	return &list->buckets[key_hash_end(&list->hash, hash) & list->mask];
}

static struct node *find(struct pass_list *list, const struct pass_key *key)
{
	struct node *node;

	LIST_FOREACH(node, bucket_of(list, key), link)
		if (!memcmp(&node->entry.key, key, sizeof(*key)))
			return node;
	return NULL;
}

static bool is_over(const struct node *node, uint64_t now_ms)
{
	return node->entry.expires_ms && node->entry.expires_ms <= now_ms;
}

static struct node *add(struct pass_list *list, const struct pass_key *key)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	if (atomic_load(&list->len) == list->max) {
		drop(list, TAILQ_LAST(&list->order, order));
		list->evicted++;
	}
	node->entry.key = *key;
	LIST_INSERT_HEAD(bucket_of(list, key), node, link);
	TAILQ_INSERT_HEAD(&list->order, node, order);
	atomic_fetch_add(&list->len, 1);
	return node;
}

/* The entry, first in order from now on; made where it is not there. NULL: out of memory. */
static struct node *touch(struct pass_list *list, const struct pass_key *key, uint64_t now_ms)
{
	struct node *node = find(list, key);

	if (!node)
		node = add(list, key);
	if (!node)
		return NULL;
	node->entry.last_ms = now_ms;
	TAILQ_REMOVE(&list->order, node, order);
	TAILQ_INSERT_HEAD(&list->order, node, order);
	return node;
}

int pass_list_put(struct pass_list *list, const struct pass_key *key, uint64_t now_ms,
		  uint64_t expires_ms)
{
	struct node *node;

	pthread_mutex_lock(&list->lock);
	node = touch(list, key, now_ms);
	if (node)
		node->entry.expires_ms = expires_ms;
	pthread_mutex_unlock(&list->lock);
	return node ? 0 : -ENOMEM;
}

int pass_list_count(struct pass_list *list, const struct pass_key *key, uint64_t now_ms)
{
	struct node *node;

	pthread_mutex_lock(&list->lock);
	node = touch(list, key, now_ms);
	if (node)
		node->entry.count++;
	pthread_mutex_unlock(&list->lock);
	return node ? 0 : -ENOMEM;
}

bool pass_list_use(struct pass_list *list, const struct pass_key *key, uint64_t now_ms)
{
	struct node *node;
	bool found = false;

	pthread_mutex_lock(&list->lock);
	node = find(list, key);
	if (node && is_over(node, now_ms)) {
		drop(list, node);
	} else if (node) {
		touch(list, key, now_ms);
		node->entry.count++;
		found = true;
	}
	pthread_mutex_unlock(&list->lock);
	return found;
}

bool pass_list_empty(const struct pass_list *list)
{
	return atomic_load_explicit(&list->len, memory_order_relaxed) == 0;
}

int pass_list_read(struct pass_list *list, uint64_t now_ms, struct pass_entry **out, size_t *len)
{
	struct node *node, *next;

	*len = 0;
	pthread_mutex_lock(&list->lock);
	for (node = TAILQ_FIRST(&list->order); node; node = next) {
		next = TAILQ_NEXT(node, order);
		if (is_over(node, now_ms))
			drop(list, node);
	}
	*out = calloc(atomic_load(&list->len) + 1, sizeof(**out));
	if (*out)
		TAILQ_FOREACH(node, &list->order, order)
			(*out)[(*len)++] = node->entry;
	pthread_mutex_unlock(&list->lock);
	return *out ? 0 : -ENOMEM;
}

uint64_t pass_list_evicted(struct pass_list *list)
{
	uint64_t evicted;

	pthread_mutex_lock(&list->lock);
	evicted = list->evicted;
	pthread_mutex_unlock(&list->lock);
	return evicted;
}
