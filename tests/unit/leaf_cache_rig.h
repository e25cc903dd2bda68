/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_LEAF_CACHE_RIG_H
#define KSPLIT_TESTS_LEAF_CACHE_RIG_H

/*
 * The leaf cache alone: here are a forge_leaf and a signer, which the linker takes instead of those
 * in the library. The signer answers on the thread that asks; it counts, fails and waits on
 * request, so that "while it is being forged" is a fact and no luck. Include after cmocka.h, once a
 * program.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cert_maker.h"
#include "pki/forge.h"
#include "pki/leaf_cache.h"

static struct {
	struct leaf_cache *cache;
	struct ca ca;           /* without anything but name constraints */
	atomic_int forged;      /* requests to the signer */
	atomic_ullong wait_for; /* a forging call returns when that many others wait */
	atomic_bool held, fail; /* names with "slow" in them wait while held */
	atomic_bool slow_begun;
	bool cannot_forge, gone, garbled;
	atomic_long until; /* notAfter of the leaves made, seconds from now */
	EVP_PKEY *key;
	struct leaf_keys *keys;
	X509 *origin;
	uint8_t origin_fp[FINGERPRINT_LEN];
} test;

static inline void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* Reading the figures takes the cache's lock: a cache that forged under its lock would hang here.
 */
static inline void wait_for_waiters(void)
{
	struct leaf_cache_stats stats;

	do {
		leaf_cache_read_stats(test.cache, &stats);
		pause_ms(1);
	} while (stats.waited < test.wait_for);
}

/* What is to be signed is the name alone. */
int forge_leaf(const struct forge_request *request, uint8_t **tbs, size_t *tbs_len)
{
	if (test.cannot_forge)
		return -EIO;
	*tbs = (uint8_t *)OPENSSL_strdup(request->name);
	*tbs_len = strlen(request->name);
	return 0;
}

const X509_ALGOR *signer_algorithm(const struct signer *signer)
{
	(void)signer;
	return NULL;
}

static inline int make_der(const char *sni, uint8_t **der)
{
	X509 *leaf = X509_new();
	int len;

	X509_gmtime_adj(X509_getm_notBefore(leaf), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(leaf), test.until);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(leaf), "CN", MBSTRING_UTF8,
				   (const unsigned char *)(*sni ? sni : "none"), -1, -1, 0);
	X509_set_pubkey(leaf, test.key);
	if (strstr(sni, ".example"))
		add_test_ext(leaf, leaf, NID_subject_alt_name, "DNS:shop.example");
	X509_sign(leaf, test.key, EVP_sha256());
	len = i2d_X509(leaf, der);
	X509_free(leaf);
	return len;
}

int signer_request(struct signer *signer, const uint8_t *tbs, size_t len,
		   const struct revocation *revocation, signer_done_fn done, void *arg)
{
	struct signed_leaf made = {0};
	char sni[64];

	(void)signer;
	assert_null(revocation);
	snprintf(sni, sizeof(sni), "%.*s", (int)len, (const char *)tbs);
	test.forged++;
	if (test.gone)
		return -EPIPE;
	if (strstr(sni, "slow")) {
		test.slow_begun = true;
		while (test.held)
			pause_ms(1);
	}
	wait_for_waiters();
	if (test.fail) {
		done(arg, -EBUSY, NULL);
		return 0;
	}
	made.cert_len = (size_t)make_der(sni, &made.cert);
	if (test.garbled)
		made.cert_len = 7;
	done(arg, 0, &made);
	OPENSSL_free(made.cert);
	return 0;
}

static inline bool leaf_is_for(const struct leaf *leaf, const char *sni)
{
	char cn[64] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(leaf->cert), NID_commonName, cn,
				  sizeof(cn));
	return !strcmp(cn, sni);
}

static inline int start_all(void **state)
{
	(void)state;
	test.key = make_test_key("P-256");
	assert_int_equal(leaf_keys_new("P-256", &test.keys), 0);
	test.origin = make_test_cert(&(struct cert_spec){.cn = "origin", .key = test.key});
	return fingerprint_of(test.origin, test.origin_fp);
}

static inline int end_all(void **state)
{
	(void)state;
	X509_free(test.origin);
	leaf_keys_free(test.keys);
	EVP_PKEY_free(test.key);
	return 0;
}

static inline void open_cache(size_t max_entries)
{
	test.forged = 0;
	test.wait_for = 0;
	test.held = test.fail = test.slow_begun = false;
	test.cannot_forge = test.gone = test.garbled = false;
	test.until = DAY;
	assert_int_equal(leaf_cache_new(&(struct leaf_cache_options){.ca = &test.ca,
								     .keys = test.keys,
								     .max_entries = max_entries},
					&test.cache),
			 0);
}

static inline int close_cache(void **state)
{
	(void)state;
	leaf_cache_free(test.cache);
	test.cache = NULL;
	return 0;
}

/* What somebody was given, at once or through the callback. */
struct caller {
	pthread_t thread;
	const char *sni;
	int result;	  /* of leaf_cache_get */
	int err;	  /* told by ready */
	atomic_int calls; /* of ready */
	struct leaf *leaf;
};

static inline void caller_ready(void *arg, int err, struct leaf *leaf)
{
	struct caller *caller = arg;

	caller->leaf = leaf;
	caller->err = err;
	caller->calls++;
}

static inline struct leaf_wish wish_for(const char *sni)
{
	return (struct leaf_wish){.origin = test.origin,
				  .origin_fp = test.origin_fp,
				  .sni = sni,
				  .add_sni = true};
}

static inline void ask(struct caller *caller, const uint8_t *origin_fp)
{
	struct leaf_wish wish = wish_for(caller->sni);

	wish.origin_fp = origin_fp;
	caller->result =
		leaf_cache_get(test.cache, &wish, caller_ready, caller, &caller->leaf);
}

static inline struct leaf *get_of(const uint8_t *origin_fp, const char *sni)
{
	struct caller caller = {.sni = sni};

	ask(&caller, origin_fp);
	/* a callback or a result, never both */
	assert_int_equal(caller.calls, caller.result == -EINPROGRESS ? 1 : 0);
	assert_int_equal(caller.err, 0);
	assert_non_null(caller.leaf);
	return caller.leaf;
}

/* A leaf that must come; the caller's reference. */
static inline struct leaf *get(const char *sni)
{
	return get_of(test.origin_fp, sni);
}

static inline void use(const char *sni)
{
	leaf_put(get(sni));
}

static inline struct leaf_cache_stats stats_now(void)
{
	struct leaf_cache_stats stats;

	leaf_cache_read_stats(test.cache, &stats);
	return stats;
}

#endif
