// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf_cache.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pki/forge.h"
#include "pki/forge_names.h"
#include "pki/leaf_id.h"

/*
 * Bytes of certificates for each entry that there may be: a usual one has one or two KiB, and a
 * cache that is full of origins with a thousand names must not be what uses up the memory.
 */
#define ENTRY_BYTES 8192

/* Somebody who wants a leaf that is being forged. */
struct waiter {
	struct waiter *next;
	leaf_cache_ready_fn ready;
	void *arg;
};

struct entry {
	struct leaf_cache *cache;
	struct entry *bucket_next;
	struct entry *newer, *older; /* the LRU list; only entries that have their leaf are in it */
	struct leaf *leaf;           /* the cache's reference; NULL: being forged */
	int64_t stale_at;            /* seconds since the epoch; as leaf_stale_at */
	struct waiter *waiters;      /* while being forged; owned */
	X509 *origin;                /* while being forged; a reference */
	EVP_PKEY *leaf_key;          /* which it is forged with */
	struct revocation revocation; /* the id's */
	struct leaf_id id;            /* its name is what follows */
	char name[];
};

struct leaf_cache {
	struct leaf_cache_options options;
	size_t buckets_len;   /* a power of two */
	pthread_mutex_t lock; /* guards all that follows */
	struct entry **buckets;
	struct entry *newest, *oldest;
	size_t ready_len;   /* entries in the LRU list */
	size_t ready_bytes; /* of their certificates */
	struct leaf_cache_stats stats;
};

static struct entry **bucket_of(struct leaf_cache *cache, const struct leaf_id *id)
{
	return &cache->buckets[leaf_id_hash(id) & (cache->buckets_len - 1)];
}

static struct entry *find(struct leaf_cache *cache, const struct leaf_id *id)
{
	struct entry *entry = *bucket_of(cache, id);

	while (entry && !leaf_id_same(&entry->id, id))
		entry = entry->bucket_next;
	return entry;
}

static struct entry *insert(struct leaf_cache *cache, const struct leaf_id *id, X509 *origin)
{
	struct entry **bucket = bucket_of(cache, id);
	size_t name_size = strlen(id->name) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + name_size);

	if (!entry)
		return NULL;
	X509_up_ref(origin);
	entry->cache = cache;
	entry->origin = origin;
	entry->id = *id;
	if (id->revocation) {
		entry->revocation = *id->revocation;
		entry->id.revocation = &entry->revocation;
	}
	entry->id.name = memcpy(entry->name, id->name, name_size);
	entry->bucket_next = *bucket;
	*bucket = entry;
	cache->stats.entries++;
	return entry;
}

static void lru_unlink(struct leaf_cache *cache, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
	entry->newer = entry->older = NULL;
	cache->ready_len--;
	cache->ready_bytes -= entry->leaf->size;
}

static void lru_link(struct leaf_cache *cache, struct entry *entry)
{
	entry->older = cache->newest;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry;
	cache->newest = entry;
	cache->ready_len++;
	cache->ready_bytes += entry->leaf->size;
}

static void remove_entry(struct leaf_cache *cache, struct entry *entry)
{
	struct entry **at = bucket_of(cache, &entry->id);

	while (*at != entry)
		at = &(*at)->bucket_next;
	*at = entry->bucket_next;
	if (entry->leaf)
		lru_unlink(cache, entry);
	leaf_put(entry->leaf);
	X509_free(entry->origin);
	free(entry);
	cache->stats.entries--;
}

static void evict(struct leaf_cache *cache, struct entry *entry)
{
	remove_entry(cache, entry);
	cache->stats.evicted++;
}

static int add_waiter(struct entry *entry, leaf_cache_ready_fn ready, void *arg)
{
	struct waiter *waiter = malloc(sizeof(*waiter));

	if (!waiter)
		return -ENOMEM;
	*waiter = (struct waiter){.next = entry->waiters, .ready = ready, .arg = arg};
	entry->waiters = waiter;
	return -EINPROGRESS;
}

/* Each waiter gets a reference of its own (or NULL); without the lock, since a callback may call us
 * again. */
static void notify(struct waiter *waiters, int err, struct leaf *leaf)
{
	while (waiters) {
		struct waiter *next = waiters->next;

		waiters->ready(waiters->arg, err, leaf ? leaf_get(leaf) : NULL);
		free(waiters);
		waiters = next;
	}
}

static bool is_over(const struct leaf_cache *cache)
{
	return cache->ready_len > cache->options.max_entries ||
	       cache->ready_bytes / ENTRY_BYTES > cache->options.max_entries;
}

/*
 * An entry has its leaf (a reference that is taken over), or goes. It cannot have gone before: it
 * is not in the LRU list, and nobody else removes an entry without a leaf.
 */
static void finish(struct entry *entry, int err, struct leaf *leaf)
{
	struct leaf_cache *cache = entry->cache;
	int64_t now = time(NULL);
	struct waiter *waiters;

	pthread_mutex_lock(&cache->lock);
	waiters = entry->waiters;
	entry->waiters = NULL;
	if (err) {
		cache->stats.failed++;
		remove_entry(cache, entry);
	} else {
		cache->stats.forged++;
		X509_free(entry->origin);
		entry->origin = NULL;
		entry->leaf = leaf_get(leaf);
		entry->stale_at = leaf_stale_at(leaf, now);
		lru_link(cache, entry);
		while (is_over(cache))
			evict(cache, cache->oldest);
	}
	pthread_mutex_unlock(&cache->lock);

	notify(waiters, err, leaf);
	leaf_put(leaf);
}

/* The signer's answer, on its thread; the twin's on that of whoever asks. */
static void entry_signed(void *arg, int err, const struct signed_leaf *made)
{
	struct entry *entry = arg;
	struct leaf *leaf = NULL;

	/* without its staple it would be a good one */
	if (!err && entry->id.revocation && !made->staple)
		err = -EIO;
	if (!err)
		err = leaf_make(entry->cache->options.ca, entry->leaf_key, entry->id.untrusted,
				made, &leaf);
	finish(entry, err, leaf);
}

static int ask_twin(struct entry *entry, const uint8_t *tbs, size_t tbs_len)
{
	struct signed_leaf made = {0};
	enum signer_verdict verdict =
		twin_sign(entry->cache->options.twin, tbs, tbs_len, &made.cert, &made.cert_len);

	if (verdict != SIGNER_SIGNED)
		return verdict == SIGNER_TOO_LARGE ? -EMSGSIZE : -EACCES;
	entry_signed(entry, 0, &made);
	OPENSSL_free(made.cert);
	return 0;
}

static int request_signature(struct entry *entry)
{
	const struct leaf_cache_options *options = &entry->cache->options;
	const bool untrusted = entry->id.untrusted;
	const struct forge_request request = {
		.ca = untrusted ? twin_ca(options->twin) : options->ca,
		.algorithm = untrusted ? twin_algorithm(options->twin)
				       : signer_algorithm(options->signer),
		.origin = entry->origin,
		.leaf_key = entry->leaf_key,
		.name = entry->name,
		.hide = entry->id.hide,
	};
	uint8_t *tbs = NULL;
	size_t tbs_len = 0;
	int err = forge_leaf(&request, &tbs, &tbs_len);

	if (!err)
		err = untrusted ? ask_twin(entry, tbs, tbs_len)
				: signer_request(options->signer, tbs, tbs_len,
						 entry->id.revocation, entry_signed, entry);
	OPENSSL_free(tbs);
	return err;
}

static void forge_with(void *arg, EVP_PKEY *leaf_key)
{
	struct entry *entry = arg;
	int err = -EIO;

	entry->leaf_key = leaf_key;
	if (leaf_key)
		err = request_signature(entry);
	if (err)
		finish(entry, err == -EMSGSIZE ? -ENOTSUP : err, NULL);
}

/* For an entry that this thread has just inserted; whoever asked waits for it already. */
static void forge_entry(struct entry *entry)
{
	EVP_PKEY *leaf_key = NULL;
	int err = leaf_keys_get(entry->cache->options.keys, entry->id.key, forge_with, entry,
				&leaf_key);

	if (err != -EINPROGRESS)
		forge_with(entry, leaf_key);
}

/* Under the lock: the first who wants it waits for it, too. */
static int begin(struct leaf_cache *cache, const struct leaf_id *id, X509 *origin,
		 leaf_cache_ready_fn ready, void *waiter, struct entry **fresh)
{
	struct entry *entry = insert(cache, id, origin);
	int err = entry ? add_waiter(entry, ready, waiter) : -ENOMEM;

	cache->stats.misses++;
	if (err == -EINPROGRESS) {
		*fresh = entry;
		return err;
	}
	cache->stats.failed++;
	if (entry)
		remove_entry(cache, entry);
	return err;
}

/*
 * Under the lock: 0 *out is a reference to a cached leaf; -EINPROGRESS we wait, and when *fresh is
 * set the caller must forge for it; -ENOMEM.
 */
static int look_up(struct leaf_cache *cache, const struct leaf_id *id, X509 *origin,
		   leaf_cache_ready_fn ready, void *waiter, struct leaf **out, struct entry **fresh)
{
	struct entry *entry = find(cache, id);

	if (entry && !entry->leaf) {
		cache->stats.waited++;
		return add_waiter(entry, ready, waiter);
	}
	if (entry && entry->stale_at < time(NULL)) {
		evict(cache, entry);
		entry = NULL;
	}
	if (!entry)
		return begin(cache, id, origin, ready, waiter, fresh);
	cache->stats.hits++;
	lru_unlink(cache, entry);
	lru_link(cache, entry);
	*out = leaf_get(entry->leaf);
	return 0;
}

int leaf_cache_get(struct leaf_cache *cache, const struct leaf_wish *wish,
		   leaf_cache_ready_fn ready, void *waiter, struct leaf **out)
{
	char name[FORGE_NAME_MAX + 1] = "";
	struct leaf_id id = {
		.key = wish->key,
		.untrusted = wish->untrusted,
		.revocation = wish->untrusted ? NULL : wish->revocation,
		.hide = wish->hide,
		.name = name,
	};
	struct entry *fresh = NULL;
	int err;

	memcpy(id.origin_fp, wish->origin_fp, FINGERPRINT_LEN);
	if (wish->add_sni || wish->hide)
		forge_name_missing(wish->origin, wish->sni, !wish->hide, name);
	pthread_mutex_lock(&cache->lock);
	err = look_up(cache, &id, wish->origin, ready, waiter, out, &fresh);
	pthread_mutex_unlock(&cache->lock);
	if (fresh)
		forge_entry(fresh);
	return err;
}

int leaf_cache_new(const struct leaf_cache_options *options, struct leaf_cache **out)
{
	struct leaf_cache *cache = calloc(1, sizeof(*cache));
	size_t buckets = 16;

	if (!cache)
		return -ENOMEM;
	while (buckets < options->max_entries && buckets < SIZE_MAX / 2 / sizeof(*cache->buckets))
		buckets *= 2;
	cache->buckets = calloc(buckets, sizeof(*cache->buckets));
	if (!cache->buckets || pthread_mutex_init(&cache->lock, NULL)) {
		free(cache->buckets);
		free(cache);
		return -ENOMEM;
	}
	cache->options = *options;
	cache->buckets_len = buckets;
	*out = cache;
	return 0;
}

void leaf_cache_free(struct leaf_cache *cache)
{
	if (!cache)
		return;
	while (cache->oldest)
		remove_entry(cache, cache->oldest);
	pthread_mutex_destroy(&cache->lock);
	free(cache->buckets);
	free(cache);
}

void leaf_cache_read_stats(struct leaf_cache *cache, struct leaf_cache_stats *out)
{
	pthread_mutex_lock(&cache->lock);
	*out = cache->stats;
	pthread_mutex_unlock(&cache->lock);
}

size_t leaf_cache_read(struct leaf_cache *cache, struct leaf **out, size_t max)
{
	size_t len = 0;

	pthread_mutex_lock(&cache->lock);
	for (const struct entry *entry = cache->newest; entry && len < max; entry = entry->older)
		out[len++] = leaf_get(entry->leaf);
	pthread_mutex_unlock(&cache->lock);
	return len;
}
