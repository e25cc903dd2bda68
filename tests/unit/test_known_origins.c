// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cert_maker.h"
#include "core/known_origins.h"

#define LIFE 600

static struct {
	struct known_origins *known;
	struct ca ca; /* without anything but name constraints */
	EVP_PKEY *key;
	struct leaf *leaf;
	int64_t now;
} test;

static struct leaf *make_leaf(long until)
{
	const struct cert_spec spec = {.cn = "origin.test",
				       .key = test.key,
				       .issuer_key = test.key,
				       .from = -DAY,
				       .until = until};
	X509 *cert = make_test_cert(&spec);
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);
	struct leaf *leaf;

	assert_true(len > 0);
	assert_int_equal(leaf_make(&test.ca, test.key, false,
				   &(struct signed_leaf){.cert = der, .cert_len = (size_t)len},
				   &leaf),
			 0);
	OPENSSL_free(der);
	X509_free(cert);
	return leaf;
}

static int setup(void **state)
{
	(void)state;
	test.now = time(NULL);
	test.key = make_test_key("P-256");
	test.leaf = make_leaf(30 * DAY);
	return known_origins_new(&test.known);
}

static int teardown(void **state)
{
	(void)state;
	known_origins_free(test.known);
	leaf_put(test.leaf);
	EVP_PKEY_free(test.key);
	return 0;
}

static struct known_key key_of(uint8_t number)
{
	struct known_key key = {.leaf_key = LEAF_KEY_EC};

	key.scope[SESSION_KEY_LEN - 1] = number;
	return key;
}

static void note(const struct known_key *key, struct leaf *leaf, uint8_t fingerprint)
{
	const struct known_origin origin = {
		.leaf = leaf, .origin_fp = {fingerprint}, .alpn = "h2", .alpn_len = 2};

	known_origins_note(test.known, key, &origin, LIFE, test.now);
}

/* The first byte of what is known of it, -1: nothing. */
static int found(const struct known_key *key, int64_t later)
{
	struct known_origin origin;
	int first;

	if (!known_origins_find(test.known, key, test.now + later, &origin))
		return -1;
	assert_ptr_equal(origin.leaf->key, test.key);
	assert_int_equal(origin.alpn_len, 2);
	assert_memory_equal(origin.alpn, "h2", 2);
	first = origin.origin_fp[0];
	leaf_put(origin.leaf);
	return first;
}

static void test_what_was_noted_is_found(void **state)
{
	const struct known_key key = key_of(1), other = key_of(2);
	struct known_key rsa = key;

	(void)state;
	rsa.leaf_key = LEAF_KEY_RSA;
	assert_int_equal(found(&key, 0), -1);
	note(&key, test.leaf, 7);
	assert_int_equal(found(&key, 0), 7);
	assert_int_equal(found(&other, 0), -1);
	assert_int_equal(found(&rsa, 0), -1);
	note(&key, test.leaf, 8);
	assert_int_equal(found(&key, 0), 8);
}

static void test_it_ends(void **state)
{
	const struct known_key key = key_of(1);

	(void)state;
	note(&key, test.leaf, 7);
	assert_int_equal(found(&key, LIFE - 1), 7);
	assert_int_equal(found(&key, LIFE), -1);
	assert_int_equal(found(&key, 0), -1); /* it is gone */
	note(&key, test.leaf, 7);
	assert_int_equal(found(&key, -1), -1); /* the clock was set back */
}

static void test_it_ends_with_its_leaf(void **state)
{
	const struct known_key key = key_of(1);
	struct leaf *leaf = make_leaf(100);

	(void)state;
	note(&key, leaf, 7);
	leaf_put(leaf);
	assert_int_equal(found(&key, 90), 7);
	assert_int_equal(found(&key, 110), -1);
}

static void test_what_was_wrong_is_not_believed_for_a_while(void **state)
{
	const struct known_key key = key_of(1);

	(void)state;
	note(&key, test.leaf, 7);
	known_origins_wrong(test.known, &key, 100, test.now);
	assert_int_equal(found(&key, 0), -1);
	note(&key, test.leaf, 8);
	assert_int_equal(found(&key, 0), -1);
	test.now += 100;
	note(&key, test.leaf, 8);
	assert_int_equal(found(&key, 0), 8);
}

/* All of them are of one set: there are four places, and what ends first makes room. */
static void test_what_ends_first_makes_room(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 6; i++) {
		const struct known_key key = key_of(i);

		note(&key, test.leaf, i);
		test.now++;
	}
	for (uint8_t i = 0; i < 6; i++) {
		const struct known_key key = key_of(i);

		assert_int_equal(found(&key, 0), i < 2 ? -1 : i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_noted_is_found),
		TEST(test_it_ends),
		TEST(test_it_ends_with_its_leaf),
		TEST(test_what_was_wrong_is_not_believed_for_a_while),
		TEST(test_what_ends_first_makes_room),
	};

	return cmocka_run_group_tests_name("known_origins", tests, NULL, NULL);
}
