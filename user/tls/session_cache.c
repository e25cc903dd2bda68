// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/session_cache.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define SHARDS 16
/* Fewer sessions than this for each shard, and there is one shard: the bound stays exact. */
#define SHARD_MIN 16
#define DAY_S     86400

struct entry {
	TAILQ_ENTRY(entry) age; /* the newest at the head */
	LIST_ENTRY(entry) same; /* of a bucket, the newest at the head */
	uint8_t key[SESSION_KEY_LEN];
	struct session_grant grant;
	int64_t kept, ends; /* seconds, wall clock */
	size_t weight;
	bool once; /* TLS 1.3: given out once */
};

TAILQ_HEAD(entry_ages, entry);
LIST_HEAD(entry_bucket, entry);

struct shard {
	pthread_mutex_t lock;
	struct entry_ages ages;
	struct entry_bucket *buckets;
	size_t weight, count;
	uint64_t evicted;
};

struct session_cache {
	size_t shards_len, buckets_len; /* powers of two; buckets for each shard */
	size_t max_weight;              /* of a shard */
	struct shard shards[SHARDS];
};

int session_cache_new(size_t max_weight, struct session_cache **out)
{
	struct session_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->shards_len = max_weight >= (size_t)SHARDS * SHARD_MIN ? SHARDS : 1;
	cache->max_weight = max_weight / cache->shards_len;
	for (cache->buckets_len = 1; cache->buckets_len < cache->max_weight;)
		cache->buckets_len *= 2;
	for (size_t i = 0; i < cache->shards_len; i++) {
		struct shard *shard = &cache->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		TAILQ_INIT(&shard->ages);
		shard->buckets = calloc(cache->buckets_len, sizeof(*shard->buckets));
		if (!shard->buckets) {
			cache->shards_len = i + 1;
			session_cache_free(cache);
			return -ENOMEM;
		}
	}
	*out = cache;
	return 0;
}

static void entry_free(struct shard *shard, struct entry *entry)
{
	TAILQ_REMOVE(&shard->ages, entry, age);
	LIST_REMOVE(entry, same);
	shard->weight -= entry->weight;
	shard->count--;
	SSL_SESSION_free(entry->grant.session); /* wipes its secrets */
	free(entry);
}

void session_cache_free(struct session_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->shards_len; i++) {
		struct shard *shard = &cache->shards[i];
		struct entry *entry;

		while ((entry = TAILQ_FIRST(&shard->ages)))
			entry_free(shard, entry);
		free(shard->buckets);
		pthread_mutex_destroy(&shard->lock);
	}
	free(cache);
}

/* --- keys --- */

static int add(EVP_MD_CTX *md, const void *bytes, size_t len)
{
	const uint32_t prefix = (uint32_t)len; /* so that no two scopes run into each other */

	return EVP_DigestUpdate(md, &prefix, sizeof(prefix)) && EVP_DigestUpdate(md, bytes, len);
}

int session_cache_key(const struct session_scope *scope, uint8_t key[SESSION_KEY_LEN])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const char *name = scope->verify_name ? scope->verify_name : "";
	const uint8_t any = !scope->verify_name;
	int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
		 add(md, scope->address, scope->address_len) &&
		 add(md, &scope->port, sizeof(scope->port)) &&
		 add(md, scope->sni, strlen(scope->sni)) && add(md, &any, sizeof(any)) &&
		 add(md, name, strlen(name)) && add(md, scope->alpn, scope->alpn_len) &&
		 add(md, &scope->profile, sizeof(scope->profile)) &&
		 add(md, &scope->generation, sizeof(scope->generation)) &&
		 EVP_DigestFinal_ex(md, key, NULL);

	EVP_MD_CTX_free(md);
	return ok ? 0 : -EIO;
}

static struct shard *shard_lock(struct session_cache *cache, const uint8_t *key)
{
	struct shard *shard = &cache->shards[key[0] & (cache->shards_len - 1)];

	pthread_mutex_lock(&shard->lock);
	return shard;
}

static struct entry_bucket *bucket_of(const struct session_cache *cache, struct shard *shard,
				      const uint8_t *key)
{
	uint32_t number;

	memcpy(&number, key + 1, sizeof(number));
	return &shard->buckets[number & (cache->buckets_len - 1)];
}

/* The next of this key, `entry` itself included. */
static struct entry *same_key(struct entry *entry, const uint8_t *key)
{
	while (entry && memcmp(entry->key, key, SESSION_KEY_LEN) != 0)
		entry = LIST_NEXT(entry, same);
	return entry;
}

/* --- lives --- */

/* Seconds until the certificate's end; 0: it is over, or cannot be read. */
static int64_t certificate_left(X509 *cert, int64_t now_s)
{
	const ASN1_TIME *end = cert ? X509_get0_notAfter(cert) : NULL;
	ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)now_s);
	int days = 0, seconds = 0;
	int64_t left = 0;

	if (end && now && ASN1_TIME_diff(&days, &seconds, now, end))
		left = (int64_t)days * DAY_S + seconds;
	ASN1_TIME_free(now);
	return left > 0 ? left : 0;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When a session must not be used any more; no later than now: it is that already. */
static int64_t end_of_life(const struct session_grant *grant, uint32_t lifetime_s, int64_t now_s)
{
	X509 *cert = SSL_SESSION_get0_peer(grant->session);
	int64_t end = grant->born + (int64_t)lifetime_s;

	if (SSL_SESSION_has_ticket(grant->session)) {
		unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(grant->session);

		/* TLS 1.2: 0 says nothing (RFC 5077 3.3); TLS 1.3: use it never. */
		if (hint || SSL_SESSION_get_protocol_version(grant->session) == TLS1_3_VERSION)
			end = least(end, now_s + (int64_t)hint);
	}
	/*
	 * One that is over already (verification lets it pass, and the client is told) ends no
	 * sooner for it: nothing about it changes any more.
	 */
	if (cert && certificate_left(cert, grant->born) > 0)
		end = least(end, now_s + certificate_left(cert, now_s));
	return end;
}

/* A clock that was set back makes nothing live longer. */
static bool is_over(const struct entry *entry, int64_t now_s)
{
	return now_s >= entry->ends || now_s < entry->kept;
}

/* --- keeping --- */

/* Room for one more of this key: of TLS 1.2 there is one, and never beside tickets of TLS 1.3. */
static void make_way(struct shard *shard, struct entry_bucket *bucket, const struct entry *fresh)
{
	struct entry *entry = same_key(LIST_FIRST(bucket), fresh->key);
	size_t kept = 0;

	while (entry) {
		struct entry *next = same_key(LIST_NEXT(entry, same), fresh->key);

		if (!fresh->once || !entry->once || ++kept >= SESSIONS_PER_KEY)
			entry_free(shard, entry);
		entry = next;
	}
}

static void insert(struct session_cache *cache, struct shard *shard, struct entry *entry)
{
	struct entry_bucket *bucket = bucket_of(cache, shard, entry->key);

	make_way(shard, bucket, entry);
	while (shard->weight + entry->weight > cache->max_weight) {
		entry_free(shard, TAILQ_LAST(&shard->ages, entry_ages));
		shard->evicted++;
	}
	TAILQ_INSERT_HEAD(&shard->ages, entry, age);
	LIST_INSERT_HEAD(bucket, entry, same);
	shard->weight += entry->weight;
	shard->count++;
}

static size_t weight_of(const SSL_SESSION *session)
{
	const unsigned char *ticket = NULL;
	size_t len = 0;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	return 1 + len / SESSION_WEIGHT_UNIT;
}

int session_cache_put(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN],
		      const struct session_grant *grant, uint32_t lifetime_s, int64_t now_s)
{
	int64_t ends = end_of_life(grant, lifetime_s, now_s);
	size_t weight = weight_of(grant->session);
	struct shard *shard;
	struct entry *entry;

	if (!SSL_SESSION_is_resumable(grant->session))
		return -EINVAL;
	if (weight > cache->max_weight)
		return -EFBIG;
	if (ends <= now_s || now_s < grant->born)
		return -ESTALE;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(entry->key, key, SESSION_KEY_LEN);
	entry->grant = *grant;
	SSL_SESSION_up_ref(grant->session);
	entry->kept = now_s;
	entry->ends = ends;
	entry->weight = weight;
	entry->once = SSL_SESSION_get_protocol_version(grant->session) == TLS1_3_VERSION;
	shard = shard_lock(cache, key);
	insert(cache, shard, entry);
	pthread_mutex_unlock(&shard->lock);
	return 0;
}

/* --- giving out --- */

/* A copy where it stays: OpenSSL writes to a session that is in use. */
static void give(struct shard *shard, struct entry *entry, struct session_grant *out)
{
	*out = entry->grant;
	if (!entry->once) {
		out->session = SSL_SESSION_dup(entry->grant.session);
		return;
	}
	SSL_SESSION_up_ref(out->session);
	entry_free(shard, entry);
}

size_t session_cache_take(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN],
			  int64_t now_s, struct session_grant *out)
{
	struct shard *shard = shard_lock(cache, key);
	struct entry *entry = same_key(LIST_FIRST(bucket_of(cache, shard, key)), key);
	size_t over = 0;

	*out = (struct session_grant){0};
	while (entry && !out->session) {
		struct entry *next = same_key(LIST_NEXT(entry, same), key);

		if (is_over(entry, now_s)) {
			entry_free(shard, entry);
			over++;
		} else if (!SSL_SESSION_is_resumable(entry->grant.session)) {
			entry_free(shard, entry);
		} else {
			give(shard, entry, out);
		}
		entry = next;
	}
	pthread_mutex_unlock(&shard->lock);
	return over;
}

void session_cache_drop(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN])
{
	struct shard *shard = shard_lock(cache, key);
	struct entry *entry = same_key(LIST_FIRST(bucket_of(cache, shard, key)), key);

	while (entry) {
		struct entry *next = same_key(LIST_NEXT(entry, same), key);

		entry_free(shard, entry);
		entry = next;
	}
	pthread_mutex_unlock(&shard->lock);
}

static size_t purge_shard(struct shard *shard, int64_t now_s)
{
	struct entry *entry, *next;
	size_t over = 0;

	for (entry = TAILQ_FIRST(&shard->ages); entry; entry = next) {
		next = TAILQ_NEXT(entry, age);
		if (!is_over(entry, now_s))
			continue;
		entry_free(shard, entry);
		over++;
	}
	return over;
}

size_t session_cache_purge(struct session_cache *cache, int64_t now_s)
{
	size_t over = 0;

	for (size_t i = 0; i < cache->shards_len; i++) {
		pthread_mutex_lock(&cache->shards[i].lock);
		over += purge_shard(&cache->shards[i], now_s);
		pthread_mutex_unlock(&cache->shards[i].lock);
	}
	return over;
}

void session_cache_read_stats(struct session_cache *cache, struct session_cache_stats *out)
{
	*out = (struct session_cache_stats){0};
	for (size_t i = 0; i < cache->shards_len; i++) {
		pthread_mutex_lock(&cache->shards[i].lock);
		out->entries += cache->shards[i].count;
		out->evicted += cache->shards[i].evicted;
		pthread_mutex_unlock(&cache->shards[i].lock);
	}
}
