// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf_cache.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pki/forge.h"

#define NEVER INT64_MAX

/* What a struct leaf is inside: users see `leaf` alone. */
struct leaf_box {
	struct leaf leaf; /* first: leaf_get and leaf_put cast back */
	atomic_uint references;
};

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
	int64_t stale_at;            /* seconds since the epoch; NEVER: no use in forging it anew */
	struct waiter *waiters;      /* while being forged; owned */
	uint8_t origin_fp[FINGERPRINT_LEN];
	char sni[];
};

struct leaf_cache {
	const struct ca *ca;
	struct signer *signer;
	EVP_PKEY *leaf_key;
	size_t max_entries;
	size_t buckets_len;   /* a power of two */
	pthread_mutex_t lock; /* guards all that follows */
	struct entry **buckets;
	struct entry *newest, *oldest;
	size_t ready_len; /* entries in the LRU list */
	struct leaf_cache_stats stats;
};

int fingerprint_of(const X509 *cert, uint8_t out[FINGERPRINT_LEN])
{
	return X509_digest(cert, EVP_sha256(), out, NULL) == 1 ? 0 : -EIO;
}

struct leaf *leaf_get(struct leaf *leaf)
{
	struct leaf_box *box = (struct leaf_box *)leaf;

	atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed);
	return leaf;
}

void leaf_put(struct leaf *leaf)
{
	struct leaf_box *box = (struct leaf_box *)leaf;

	/* release: our last use happens before the free; acquire: the free sees everybody's last
	 * use */
	if (!leaf || atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) != 1)
		return;
	X509_free(leaf->cert);
	free(box);
}

/* A leaf with one reference, the caller's, from what the signing process has sent. */
static int leaf_make(const struct ca *ca, const uint8_t *der, size_t der_len, struct leaf **out)
{
	struct leaf_box *box = calloc(1, sizeof(*box));
	int err = -EIO;

	if (!box)
		return -ENOMEM;
	atomic_init(&box->references, 1);
	ERR_set_mark();
	box->leaf.cert = d2i_X509(NULL, &der, (long)der_len);
	if (box->leaf.cert) {
		/* fills the cached view of the extensions now, while one thread alone knows it */
		X509_check_purpose(box->leaf.cert, -1, 0);
		err = fingerprint_of(box->leaf.cert, box->leaf.fingerprint);
		box->leaf.outside =
			name_constraints_check(ca->constraints, box->leaf.cert) != X509_V_OK;
	}
	ERR_pop_to_mark();
	if (err) {
		leaf_put(&box->leaf);
		return err;
	}
	*out = &box->leaf;
	return 0;
}

/*
 * When to forge again. A leaf that is over from the start (expired origin) would come out the same:
 * it stays.
 */
static int64_t leaf_stale_at(const struct leaf *leaf, int64_t now)
{
	struct tm tm;
	int64_t end;

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(leaf->cert), &tm))
		return NEVER;
	end = timegm(&tm);
	return end >= now ? end : NEVER;
}

/* FNV-1a over the name, begun with the fingerprint, which is as good as random. */
static struct entry **bucket_of(struct leaf_cache *cache, const uint8_t *origin_fp, const char *sni)
{
	uint64_t hash;

	memcpy(&hash, origin_fp, sizeof(hash));
	for (; *sni; sni++)
		hash = (hash ^ (uint8_t)*sni) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	return &cache->buckets[hash & (cache->buckets_len - 1)];
}

static struct entry *find(struct leaf_cache *cache, const uint8_t *origin_fp, const char *sni)
{
	struct entry *entry = *bucket_of(cache, origin_fp, sni);

	while (entry && (memcmp(entry->origin_fp, origin_fp, FINGERPRINT_LEN) != 0 ||
			 strcmp(entry->sni, sni) != 0))
		entry = entry->bucket_next;
	return entry;
}

static struct entry *insert(struct leaf_cache *cache, const uint8_t *origin_fp, const char *sni)
{
	struct entry **bucket = bucket_of(cache, origin_fp, sni);
	size_t sni_size = strlen(sni) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + sni_size);

	if (!entry)
		return NULL;
	entry->cache = cache;
	memcpy(entry->origin_fp, origin_fp, FINGERPRINT_LEN);
	memcpy(entry->sni, sni, sni_size);
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
}

static void lru_link(struct leaf_cache *cache, struct entry *entry)
{
	entry->older = cache->newest;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry;
	cache->newest = entry;
	cache->ready_len++;
}

static void remove_entry(struct leaf_cache *cache, struct entry *entry)
{
	struct entry **at = bucket_of(cache, entry->origin_fp, entry->sni);

	while (*at != entry)
		at = &(*at)->bucket_next;
	*at = entry->bucket_next;
	if (entry->leaf)
		lru_unlink(cache, entry);
	leaf_put(entry->leaf);
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
		entry->leaf = leaf_get(leaf);
		entry->stale_at = leaf_stale_at(leaf, now);
		lru_link(cache, entry);
		while (cache->ready_len > cache->max_entries)
			evict(cache, cache->oldest);
	}
	pthread_mutex_unlock(&cache->lock);

	notify(waiters, err, leaf);
	leaf_put(leaf);
}

/* The signer's answer, on its thread. */
static void entry_signed(void *arg, int err, const uint8_t *cert, size_t cert_len)
{
	struct entry *entry = arg;
	struct leaf *leaf = NULL;

	if (!err)
		err = leaf_make(entry->cache->ca, cert, cert_len, &leaf);
	finish(entry, err, leaf);
}

/* For an entry that this thread has just inserted; whoever asked waits for it already. */
static void forge_entry(struct leaf_cache *cache, struct entry *entry, X509 *origin)
{
	uint8_t *tbs = NULL;
	size_t tbs_len = 0;
	int err = forge_leaf(cache->ca, signer_algorithm(cache->signer), origin, entry->sni,
			     cache->leaf_key, &tbs, &tbs_len);

	if (!err)
		err = signer_request(cache->signer, tbs, tbs_len, entry_signed, entry);
	OPENSSL_free(tbs);
	if (err)
		finish(entry, err == -EMSGSIZE ? -EIO : err, NULL);
}

/* Under the lock: the first who wants it waits for it, too. */
static int begin(struct leaf_cache *cache, const uint8_t *origin_fp, const char *sni,
		 leaf_cache_ready_fn ready, void *waiter, struct entry **fresh)
{
	struct entry *entry = insert(cache, origin_fp, sni);
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
static int look_up(struct leaf_cache *cache, const uint8_t *origin_fp, const char *sni,
		   leaf_cache_ready_fn ready, void *waiter, struct leaf **out, struct entry **fresh)
{
	struct entry *entry = find(cache, origin_fp, sni);

	if (entry && !entry->leaf) {
		cache->stats.waited++;
		return add_waiter(entry, ready, waiter);
	}
	if (entry && entry->stale_at < time(NULL)) {
		evict(cache, entry);
		entry = NULL;
	}
	if (!entry)
		return begin(cache, origin_fp, sni, ready, waiter, fresh);
	cache->stats.hits++;
	lru_unlink(cache, entry);
	lru_link(cache, entry);
	*out = leaf_get(entry->leaf);
	return 0;
}

int leaf_cache_get(struct leaf_cache *cache, X509 *origin, const uint8_t origin_fp[FINGERPRINT_LEN],
		   const char *sni, leaf_cache_ready_fn ready, void *waiter, struct leaf **out)
{
	struct entry *fresh = NULL;
	int err;

	pthread_mutex_lock(&cache->lock);
	err = look_up(cache, origin_fp, sni, ready, waiter, out, &fresh);
	pthread_mutex_unlock(&cache->lock);
	if (fresh)
		forge_entry(cache, fresh, origin);
	return err;
}

int leaf_cache_new(const struct ca *ca, struct signer *signer, EVP_PKEY *leaf_key,
		   size_t max_entries, struct leaf_cache **out)
{
	struct leaf_cache *cache = calloc(1, sizeof(*cache));
	size_t buckets = 16;

	if (!cache)
		return -ENOMEM;
	while (buckets < max_entries && buckets < SIZE_MAX / 2 / sizeof(*cache->buckets))
		buckets *= 2;
	cache->buckets = calloc(buckets, sizeof(*cache->buckets));
	if (!cache->buckets || pthread_mutex_init(&cache->lock, NULL)) {
		free(cache->buckets);
		free(cache);
		return -ENOMEM;
	}
	cache->ca = ca;
	cache->signer = signer;
	cache->leaf_key = leaf_key;
	cache->max_entries = max_entries;
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
