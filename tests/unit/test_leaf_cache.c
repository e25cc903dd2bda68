// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache alone: this file has a forge_leaf and a signer of its own, which the linker takes
 * instead of those in the library. The signer answers on the thread that asks; it counts, fails and
 * waits on request, so that "while it is being forged" is a fact and no luck.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "cert_maker.h"
#include "pki/forge.h"
#include "pki/leaf_cache.h"

#define THREADS 20

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
	X509 *origin;
	uint8_t origin_fp[FINGERPRINT_LEN];
} test;

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* Reading the figures takes the cache's lock: a cache that forged under its lock would hang here.
 */
static void wait_for_waiters(void)
{
	struct leaf_cache_stats stats;

	do {
		leaf_cache_read_stats(test.cache, &stats);
		pause_ms(1);
	} while (stats.waited < test.wait_for);
}

/* What is to be signed is the name alone. */
int forge_leaf(const struct ca *ca, const X509_ALGOR *algorithm, X509 *origin, const char *sni,
	       EVP_PKEY *leaf_key, uint8_t **tbs, size_t *tbs_len)
{
	(void)ca;
	(void)algorithm;
	(void)origin;
	(void)leaf_key;
	if (test.cannot_forge)
		return -EIO;
	*tbs = (uint8_t *)OPENSSL_strdup(sni);
	*tbs_len = strlen(sni);
	return 0;
}

const X509_ALGOR *signer_algorithm(const struct signer *signer)
{
	(void)signer;
	return NULL;
}

static int make_der(const char *sni, uint8_t **der)
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

int signer_request(struct signer *signer, const uint8_t *tbs, size_t len, signer_done_fn done,
		   void *arg)
{
	uint8_t *der = NULL;
	char sni[64];
	int der_len;

	(void)signer;
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
		done(arg, -EBUSY, NULL, 0);
		return 0;
	}
	der_len = make_der(sni, &der);
	done(arg, 0, der, test.garbled ? 7 : (size_t)der_len);
	OPENSSL_free(der);
	return 0;
}

static bool leaf_is_for(const struct leaf *leaf, const char *sni)
{
	char cn[64] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(leaf->cert), NID_commonName, cn,
				  sizeof(cn));
	return !strcmp(cn, sni);
}

static int start_all(void **state)
{
	(void)state;
	test.key = make_test_key("P-256");
	test.origin = make_test_cert(&(struct cert_spec){.cn = "origin", .key = test.key});
	return fingerprint_of(test.origin, test.origin_fp);
}

static int end_all(void **state)
{
	(void)state;
	X509_free(test.origin);
	EVP_PKEY_free(test.key);
	return 0;
}

static void open_cache(size_t max_entries)
{
	test.forged = 0;
	test.wait_for = 0;
	test.held = test.fail = test.slow_begun = false;
	test.cannot_forge = test.gone = test.garbled = false;
	test.until = DAY;
	assert_int_equal(leaf_cache_new(&test.ca, NULL, NULL, max_entries, &test.cache), 0);
}

static int close_cache(void **state)
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

static void caller_ready(void *arg, int err, struct leaf *leaf)
{
	struct caller *caller = arg;

	caller->leaf = leaf;
	caller->err = err;
	caller->calls++;
}

static void ask(struct caller *caller, const uint8_t *origin_fp)
{
	caller->result = leaf_cache_get(test.cache, test.origin, origin_fp, caller->sni,
					caller_ready, caller, &caller->leaf);
}

static struct leaf *get_of(const uint8_t *origin_fp, const char *sni)
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
static struct leaf *get(const char *sni)
{
	return get_of(test.origin_fp, sni);
}

static void use(const char *sni)
{
	leaf_put(get(sni));
}

static struct leaf_cache_stats stats_now(void)
{
	struct leaf_cache_stats stats;

	leaf_cache_read_stats(test.cache, &stats);
	return stats;
}

static void fingerprint_is_sha256_of_der(void **state)
{
	unsigned char *der = NULL;
	uint8_t expected[FINGERPRINT_LEN];
	int len = i2d_X509(test.origin, &der);

	(void)state;
	assert_int_equal(EVP_Digest(der, (size_t)len, expected, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(test.origin_fp, expected, FINGERPRINT_LEN);
	OPENSSL_free(der);
}

static void second_call_is_answered_from_the_cache(void **state)
{
	struct leaf *a, *b;
	struct leaf_cache_stats stats;
	uint8_t fp[FINGERPRINT_LEN];

	(void)state;
	open_cache(8);
	a = get("a.test");
	b = get("a.test");
	assert_ptr_equal(a, b);
	assert_true(leaf_is_for(a, "a.test"));
	assert_int_equal(fingerprint_of(a->cert, fp), 0);
	assert_memory_equal(a->fingerprint, fp, FINGERPRINT_LEN);
	stats = stats_now();
	assert_int_equal(stats.hits, 1);
	assert_int_equal(stats.misses, 1);
	assert_int_equal(stats.forged, 1);
	assert_int_equal(stats.entries, 1);
	assert_int_equal(test.forged, 1);
	leaf_put(a);
	leaf_put(b);
}

static void name_and_origin_are_the_key(void **state)
{
	struct leaf *a, *b, *c, *d;
	uint8_t renewed[FINGERPRINT_LEN];

	(void)state;
	open_cache(8);
	memcpy(renewed, test.origin_fp, sizeof(renewed));
	renewed[FINGERPRINT_LEN - 1] ^= 1;
	a = get("a.test");
	b = get("b.test");
	c = get("");
	d = get_of(renewed, "a.test");
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_ptr_not_equal(a, d);
	assert_true(leaf_is_for(b, "b.test"));
	assert_true(leaf_is_for(c, "none"));
	assert_int_equal(test.forged, 4);
	leaf_put(a);
	leaf_put(b);
	leaf_put(c);
	leaf_put(d);
}

/* Forged and kept, but marked: for the life of its entry nobody checks again. */
static void leaf_outside_of_constraints_is_marked(void **state)
{
	static const struct cert_ext exts[] = {{NID_name_constraints, "permitted;DNS:example"},
					       {0}};
	X509 *ca = make_test_cert(
		&(struct cert_spec){.cn = "CA", .key = test.key, .exts = exts});
	struct leaf *inside, *outside;

	(void)state;
	assert_int_equal(name_constraints_read(ca, NULL, &test.ca.constraints), 0);
	open_cache(8);
	inside = get("shop.example");
	outside = get("shop.test");
	assert_false(inside->outside);
	assert_true(outside->outside);
	name_constraints_free(test.ca.constraints);
	test.ca.constraints = NULL;
	assert_ptr_equal(get("shop.test"), outside);
	leaf_put(inside);
	leaf_put(outside);
	leaf_put(outside);
	X509_free(ca);
}

static pthread_barrier_t barrier;

static void *caller_main(void *arg)
{
	struct caller *caller = arg;

	pthread_barrier_wait(&barrier);
	ask(caller, test.origin_fp);
	return NULL;
}

static void run_callers(struct caller callers[THREADS])
{
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.sni = "first.test"};
		pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static void twenty_first_calls_forge_once(void **state)
{
	struct caller callers[THREADS];
	struct leaf_cache_stats stats;

	(void)state;
	open_cache(8);
	test.wait_for = THREADS - 1;
	run_callers(callers);
	for (int i = 0; i < THREADS; i++) {
		assert_non_null(callers[i].leaf);
		assert_ptr_equal(callers[i].leaf, callers[0].leaf);
		assert_int_equal(callers[i].result, -EINPROGRESS);
		assert_int_equal(callers[i].calls, 1);
		assert_int_equal(callers[i].err, 0);
	}
	stats = stats_now();
	assert_int_equal(test.forged, 1);
	assert_int_equal(stats.forged, 1);
	assert_int_equal(stats.misses, 1);
	assert_int_equal(stats.waited, THREADS - 1);
	assert_int_equal(stats.entries, 1);
	/* each has a reference of its own: the last one frees, no earlier (the sanitizer would
	 * tell) */
	for (int i = 0; i < THREADS; i++) {
		assert_true(leaf_is_for(callers[i].leaf, "first.test"));
		leaf_put(callers[i].leaf);
	}
}

static void failure_is_told_to_all_and_not_kept(void **state)
{
	struct caller callers[THREADS];
	struct leaf_cache_stats stats;

	(void)state;
	open_cache(8);
	test.wait_for = THREADS - 1;
	test.fail = true;
	run_callers(callers);
	for (int i = 0; i < THREADS; i++) {
		assert_null(callers[i].leaf);
		assert_int_equal(callers[i].result, -EINPROGRESS);
		assert_int_equal(callers[i].calls, 1);
		assert_int_equal(callers[i].err, -EBUSY);
	}
	stats = stats_now();
	assert_int_equal(stats.failed, 1);
	assert_int_equal(stats.forged, 0);
	assert_int_equal(stats.entries, 0);
	test.fail = false;
	test.wait_for = 0;
	use("first.test");
	assert_int_equal(test.forged, 2);
}

static void size_is_bounded_and_the_oldest_goes(void **state)
{
	struct leaf_cache_stats stats;

	(void)state;
	open_cache(3);
	use("a");
	use("b");
	use("c");
	use("a"); /* b is the oldest now */
	use("d");
	stats = stats_now();
	assert_int_equal(stats.entries, 3);
	assert_int_equal(stats.evicted, 1);
	assert_int_equal(test.forged, 4);
	use("a");
	use("c");
	use("d");
	assert_int_equal(test.forged, 4);
	use("b"); /* gone; takes the place of a */
	assert_int_equal(test.forged, 5);
	use("c");
	use("d");
	assert_int_equal(test.forged, 5);
	use("a");
	assert_int_equal(test.forged, 6);
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		use(name);
		assert_int_equal(stats_now().entries, 3);
	}
}

static void one_entry_is_enough(void **state)
{
	(void)state;
	open_cache(1);
	use("a");
	use("a");
	use("b");
	use("a");
	assert_int_equal(test.forged, 3);
	assert_int_equal(stats_now().entries, 1);
}

static void references_survive_eviction_and_cache(void **state)
{
	struct leaf *a, *again;

	(void)state;
	open_cache(1);
	a = get("a");
	use("b");
	assert_true(leaf_is_for(a, "a"));
	again = leaf_get(a);
	assert_ptr_equal(again, a);
	leaf_put(a);
	leaf_cache_free(test.cache);
	test.cache = NULL;
	assert_true(leaf_is_for(again, "a"));
	leaf_put(again);
	leaf_put(NULL);
}

static void *slow_main(void *arg)
{
	ask(arg, test.origin_fp);
	return NULL;
}

static void start_slow(struct caller *caller)
{
	*caller = (struct caller){.sni = "slow"};
	test.held = true;
	pthread_create(&caller->thread, NULL, slow_main, caller);
	while (!test.slow_begun)
		pause_ms(1);
}

static void an_entry_being_forged_is_never_evicted(void **state)
{
	struct caller slow, second = {.sni = "slow"};

	(void)state;
	open_cache(1);
	start_slow(&slow);
	use("a");
	use("b");
	assert_int_equal(stats_now().entries, 2); /* b, and the one on its way */
	assert_int_equal(stats_now().evicted, 1);
	assert_int_equal(leaf_cache_get(test.cache, test.origin, test.origin_fp, "slow",
					caller_ready, &second, &second.leaf),
			 -EINPROGRESS);
	test.held = false;
	pthread_join(slow.thread, NULL);
	assert_int_equal(slow.result, -EINPROGRESS);
	assert_int_equal(slow.calls, 1);
	assert_int_equal(second.calls, 1);
	assert_ptr_equal(second.leaf, slow.leaf);
	assert_int_equal(stats_now().entries, 1);
	leaf_put(slow.leaf);
	leaf_put(second.leaf);
	assert_int_equal(test.forged, 3);
	use("slow");
	assert_int_equal(test.forged, 3);
}

static void ready_may_call_the_cache(void *waiter, int err, struct leaf *leaf)
{
	struct caller *caller = waiter;

	assert_int_equal(err, 0);
	leaf_put(leaf);
	caller->leaf = get("other");
}

static void callback_runs_without_the_lock(void **state)
{
	struct caller slow, second = {0};
	struct leaf *leaf;

	(void)state;
	open_cache(4);
	start_slow(&slow);
	assert_int_equal(leaf_cache_get(test.cache, test.origin, test.origin_fp, "slow",
					ready_may_call_the_cache, &second, &leaf),
			 -EINPROGRESS);
	test.held = false;
	pthread_join(slow.thread, NULL);
	assert_true(leaf_is_for(second.leaf, "other"));
	leaf_put(second.leaf);
	leaf_put(slow.leaf);
}

static void a_leaf_is_forged_anew_when_its_time_is_over(void **state)
{
	(void)state;
	open_cache(4);
	test.until = 1;
	use("a");
	use("a");
	assert_int_equal(test.forged, 1);
	pause_ms(2100);
	test.until = DAY;
	use("a");
	assert_int_equal(test.forged, 2);
	assert_int_equal(stats_now().evicted, 1);
	assert_int_equal(stats_now().entries, 1);
	use("a");
	assert_int_equal(test.forged, 2);
}

/* A leaf of an expired origin is expired whenever it is made: forging it for each call would be a
 * gift to attackers. */
static void a_leaf_expired_from_the_start_is_kept(void **state)
{
	(void)state;
	open_cache(4);
	test.until = -DAY / 2;
	use("a");
	use("a");
	assert_int_equal(test.forged, 1);
}

static void assert_fails(int err)
{
	struct caller caller = {.sni = "a"};
	struct leaf_cache_stats before = stats_now();

	ask(&caller, test.origin_fp);
	assert_int_equal(caller.result, -EINPROGRESS);
	assert_int_equal(caller.err, err);
	assert_null(caller.leaf);
	assert_int_equal(stats_now().failed, before.failed + 1);
	assert_int_equal(stats_now().entries, 0);
}

static void whatever_fails_is_told_by_the_callback(void **state)
{
	(void)state;
	open_cache(4);
	test.cannot_forge = true;
	assert_fails(-EIO);
	test.cannot_forge = false;
	test.gone = true;
	assert_fails(-EPIPE);
	test.gone = false;
	test.garbled = true; /* what comes back is no certificate */
	assert_fails(-EIO);
	test.garbled = false;
	use("a");
}

struct stresser {
	pthread_t thread;
	unsigned int seed;
	int calls, wrong;
	atomic_int pending;
};

struct wanted {
	struct stresser *by;
	char sni[16];
};

static void stress_check(struct wanted *wanted, struct leaf *leaf)
{
	if (!leaf || !leaf_is_for(leaf, wanted->sni))
		wanted->by->wrong++;
	leaf_put(leaf);
	free(wanted);
}

static void stress_ready(void *arg, int err, struct leaf *leaf)
{
	(void)err;
	struct wanted *wanted = arg;
	struct stresser *by = wanted->by;

	stress_check(wanted, leaf);
	by->pending--;
}

static void *stress_main(void *arg)
{
	struct stresser *s = arg;

	for (s->calls = 0; s->calls < 500; s->calls++) {
		struct wanted *wanted = malloc(sizeof(*wanted));
		struct leaf *leaf = NULL;

		wanted->by = s;
		snprintf(wanted->sni, sizeof(wanted->sni), "n%d", rand_r(&s->seed) % 24);
		s->pending++;
		if (leaf_cache_get(test.cache, test.origin, test.origin_fp, wanted->sni,
				   stress_ready, wanted, &leaf) == 0) {
			stress_check(wanted, leaf);
			s->pending--;
		}
		while (s->pending) /* one at a time: `wrong` has one writer */
			pause_ms(1);
	}
	return NULL;
}

static void many_threads_and_a_small_cache(void **state)
{
	struct stresser threads[8];
	struct leaf_cache_stats stats;
	uint64_t calls = 0;

	(void)state;
	open_cache(16);
	for (int i = 0; i < 8; i++) {
		threads[i] = (struct stresser){.seed = (unsigned int)i + 1};
		pthread_create(&threads[i].thread, NULL, stress_main, &threads[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i].thread, NULL);
		assert_int_equal(threads[i].wrong, 0);
		calls += (uint64_t)threads[i].calls;
	}
	stats = stats_now();
	assert_int_equal(stats.hits + stats.misses + stats.waited, calls);
	assert_int_equal(stats.forged, stats.misses);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.forged - stats.evicted, stats.entries);
	assert_int_equal(stats.entries, 16);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_cache)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fingerprint_is_sha256_of_der),
		T(leaf_outside_of_constraints_is_marked),
		T(second_call_is_answered_from_the_cache),
		T(name_and_origin_are_the_key),
		T(twenty_first_calls_forge_once),
		T(failure_is_told_to_all_and_not_kept),
		T(whatever_fails_is_told_by_the_callback),
		T(size_is_bounded_and_the_oldest_goes),
		T(one_entry_is_enough),
		T(references_survive_eviction_and_cache),
		T(an_entry_being_forged_is_never_evicted),
		T(callback_runs_without_the_lock),
		T(a_leaf_is_forged_anew_when_its_time_is_over),
		T(a_leaf_expired_from_the_start_is_kept),
		T(many_threads_and_a_small_cache),
	};
#undef T

	return cmocka_run_group_tests_name("leaf_cache", tests, start_all, end_all);
}
