// SPDX-License-Identifier: GPL-2.0-or-later
/* The leaf cache: what is kept, for how long, and what comes of a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaf_cache_rig.h"

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

static void leaves_are_listed_the_last_used_first(void **state)
{
	struct leaf *listed[3], *a;

	(void)state;
	open_cache(8);
	assert_int_equal(leaf_cache_read(test.cache, listed, 3), 0);
	use("a.test");
	use("b.test");
	a = get("a.test");
	assert_int_equal(leaf_cache_read(test.cache, listed, 3), 2);
	assert_ptr_equal(listed[0], a);
	assert_true(leaf_is_for(listed[1], "b.test"));
	leaf_put(a);
	leaf_put(listed[0]);
	leaf_put(listed[1]);
	assert_int_equal(leaf_cache_read(test.cache, listed, 1), 1);
	leaf_put(listed[0]);
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

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_cache)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fingerprint_is_sha256_of_der),
		T(leaf_outside_of_constraints_is_marked),
		T(second_call_is_answered_from_the_cache),
		T(leaves_are_listed_the_last_used_first),
		T(name_and_origin_are_the_key),
		T(whatever_fails_is_told_by_the_callback),
		T(size_is_bounded_and_the_oldest_goes),
		T(one_entry_is_enough),
		T(references_survive_eviction_and_cache),
		T(a_leaf_is_forged_anew_when_its_time_is_over),
		T(a_leaf_expired_from_the_start_is_kept),
	};
#undef T

	return cmocka_run_group_tests_name("leaf_cache", tests, start_all, end_all);
}
