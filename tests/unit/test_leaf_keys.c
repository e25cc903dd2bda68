// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "pki/leaf_keys.h"

struct waiting {
	atomic_int calls;
	EVP_PKEY *_Atomic key;
};

static void ready(void *waiter, EVP_PKEY *key)
{
	struct waiting *waiting = waiter;

	waiting->key = key;
	waiting->calls++;
}

static void wait_for(struct waiting *waiting)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	while (!waiting->calls)
		nanosleep(&pause, NULL);
}

/* Now or later: it has to come. */
static EVP_PKEY *get(struct leaf_keys *keys, enum leaf_key_kind kind)
{
	struct waiting waiting = {0};
	EVP_PKEY *key = NULL;
	int err = leaf_keys_get(keys, kind, ready, &waiting, &key);

	if (!err)
		return key;
	assert_int_equal(err, -EINPROGRESS);
	wait_for(&waiting);
	return waiting.key;
}

static void assert_key(EVP_PKEY *key, int type, int bits)
{
	assert_non_null(key);
	assert_int_equal(EVP_PKEY_get_base_id(key), type);
	assert_int_equal(EVP_PKEY_get_bits(key), bits);
}

static void the_first_is_there_at_once(void **state)
{
	static const struct {
		const char *type;
		enum leaf_key_kind kind;
		int id, bits;
	} rows[] = {
		{"P-256", LEAF_KEY_EC, EVP_PKEY_EC, 256},
		{"P-384", LEAF_KEY_EC, EVP_PKEY_EC, 384},
		{"RSA-2048", LEAF_KEY_RSA, EVP_PKEY_RSA, 2048},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leaf_keys *keys = NULL;
		EVP_PKEY *key = NULL;

		assert_int_equal(leaf_keys_new(rows[i].type, &keys), 0);
		assert_int_equal(leaf_keys_first(keys), rows[i].kind);
		assert_int_equal(leaf_keys_get(keys, rows[i].kind, NULL, NULL, &key), 0);
		assert_key(key, rows[i].id, rows[i].bits);
		leaf_keys_free(keys);
	}
}

static void the_others_come_when_they_are_wanted_and_stay(void **state)
{
	struct leaf_keys *keys = NULL;
	EVP_PKEY *rsa, *weak, *again = NULL;

	(void)state;
	assert_int_equal(leaf_keys_new("P-256", &keys), 0);
	rsa = get(keys, LEAF_KEY_RSA);
	assert_key(rsa, EVP_PKEY_RSA, 2048);
	weak = get(keys, LEAF_KEY_WEAK_RSA);
	assert_key(weak, EVP_PKEY_RSA, 1024);
	assert_int_equal(leaf_keys_get(keys, LEAF_KEY_RSA, NULL, NULL, &again), 0);
	assert_ptr_equal(again, rsa);
	assert_int_equal(leaf_keys_get(keys, LEAF_KEY_WEAK_RSA, NULL, NULL, &again), 0);
	assert_ptr_equal(again, weak);
	leaf_keys_free(keys);

	assert_int_equal(leaf_keys_new("RSA-2048", &keys), 0);
	assert_key(get(keys, LEAF_KEY_EC), EVP_PKEY_EC, 256);
	leaf_keys_free(keys);
}

/* Whoever waits for a key that is being made gets the same; freeing waits for it, too. */
static void many_who_wait_get_one_key(void **state)
{
	struct waiting waiting[8] = {0};
	struct leaf_keys *keys = NULL;
	EVP_PKEY *key = NULL;
	int pending = 0;

	(void)state;
	assert_int_equal(leaf_keys_new("P-256", &keys), 0);
	for (int i = 0; i < 8; i++)
		if (leaf_keys_get(keys, LEAF_KEY_RSA, ready, &waiting[i], &key))
			pending++;
		else
			ready(&waiting[i], key);
	leaf_keys_free(keys);
	assert_true(pending > 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(waiting[i].calls, 1);
		assert_non_null(waiting[i].key);
		assert_ptr_equal(waiting[i].key, waiting[0].key);
	}
}

static void what_is_no_type_is_refused(void **state)
{
	struct leaf_keys *keys = NULL;

	(void)state;
	assert_int_equal(leaf_keys_new("P-512", &keys), -EINVAL);
	assert_int_equal(leaf_keys_new("RSA-", &keys), -EINVAL);
	assert_null(keys);
	leaf_keys_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_there_at_once),
		cmocka_unit_test(the_others_come_when_they_are_wanted_and_stay),
		cmocka_unit_test(many_who_wait_get_one_key),
		cmocka_unit_test(what_is_no_type_is_refused),
	};

	return cmocka_run_group_tests_name("leaf_keys", tests, NULL, NULL);
}
