// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leaves that are shown as revoked, and the cache of them. The signer is this file's: the CA's key
 * itself, without a process.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "forge_rig.h"
#include "pki/leaf_cache.h"
#include "pki/ocsp_staple.h"
#include "pki/revoked_response.h"

static struct {
	struct signing_key *key;
	struct leaf_keys *keys;
	struct twin *twin;
	struct ca ca;
	struct leaf_cache *cache;
	X509 *origin;
	uint8_t origin_fp[FINGERPRINT_LEN];
	int requests;
	bool forgets; /* the response */
} test;

const X509_ALGOR *signer_algorithm(const struct signer *signer)
{
	(void)signer;
	return signing_key_algorithm(test.key);
}

int signer_request(struct signer *signer, const uint8_t *tbs, size_t len,
		   const struct revocation *revocation, signer_done_fn done, void *arg)
{
	struct signed_leaf leaf = {0};
	enum signer_verdict verdict;

	(void)signer;
	test.requests++;
	if (revocation && !test.forgets)
		verdict = signing_key_sign_revoked(test.key, tbs, len, revocation, &leaf);
	else
		verdict = signing_key_sign(test.key, tbs, len, &leaf.cert, &leaf.cert_len);
	assert_int_equal(verdict, SIGNER_SIGNED);
	done(arg, 0, &leaf);
	OPENSSL_free(leaf.cert);
	OPENSSL_free(leaf.staple);
	return 0;
}

static int start_all(void **state)
{
	make_all(state);
	EVP_PKEY_up_ref(made.cas[0].key);
	test.ca = (struct ca){.cert = made.cas[0].cert, .chain = made.cas[0].chain};
	assert_int_equal(signing_key_new(made.cas[0].cert, made.cas[0].key, &test.key), 0);
	assert_int_equal(leaf_keys_new("P-256", &test.keys), 0);
	assert_int_equal(twin_new(&test.ca, &test.twin), 0);
	test.origin = make_origin("origin.test", usual_exts);
	return fingerprint_of(test.origin, test.origin_fp);
}

static int end_all(void **state)
{
	X509_free(test.origin);
	leaf_keys_free(test.keys);
	twin_free(test.twin);
	signing_key_free(test.key);
	return free_all(state);
}

static int open_cache(void **state)
{
	const struct leaf_cache_options options = {
		.ca = &test.ca, .keys = test.keys, .twin = test.twin, .max_entries = 8};

	(void)state;
	test.requests = 0;
	test.forgets = false;
	return leaf_cache_new(&options, &test.cache);
}

static int close_cache(void **state)
{
	(void)state;
	leaf_cache_free(test.cache);
	return 0;
}

struct told {
	int err;
	struct leaf *leaf;
};

static void ready(void *waiter, int err, struct leaf *leaf)
{
	struct told *told = waiter;

	told->err = err;
	told->leaf = leaf;
}

/* A reference; NULL: an error, which *err has. */
static struct leaf *get(const struct revocation *revocation, bool untrusted, int *err)
{
	const struct leaf_wish wish = {.origin = test.origin,
				       .origin_fp = test.origin_fp,
				       .sni = "origin.test",
				       .untrusted = untrusted,
				       .revocation = revocation};
	struct told told = {.err = -EINPROGRESS};

	*err = leaf_cache_get(test.cache, &wish, ready, &told, &told.leaf);
	if (*err == -EINPROGRESS)
		*err = told.err;
	return told.leaf;
}

static bool is_revoked(const struct leaf *leaf, struct revocation *said)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	bool revoked;

	sk_X509_push(chain, leaf->cert);
	sk_X509_push(chain, made.cas[0].cert);
	revoked = leaf->staple &&
		  ocsp_staple_revokes(leaf->staple, leaf->staple_len, leaf->cert, chain, said);
	sk_X509_free(chain);
	return revoked;
}

static void a_revoked_leaf_has_its_staple(void **state)
{
	const struct revocation since = {.at = 1000000, .reason = 5};
	const struct revocation later = {.at = 2000000, .reason = 3};
	struct revocation said;
	struct leaf *leaf, *again;
	int err;

	(void)state;
	leaf = get(&since, false, &err);
	assert_int_equal(err, 0);
	assert_false(leaf->untrusted);
	assert_verifies(&made.cas[0], leaf->cert, "origin.test");
	assert_true(is_revoked(leaf, &said));
	assert_int_equal(said.at, since.at);
	assert_int_equal(said.reason, since.reason);
	assert_int_equal(leaf->size, (size_t)i2d_X509(leaf->cert, NULL) + leaf->staple_len);
	again = get(&later, false, &err);
	assert_ptr_equal(again, leaf);
	assert_int_equal(test.requests, 1);
	leaf_put(again);
	leaf_put(leaf);
}

/* What is revoked, what is not, and what the twin signs, are never one leaf. */
static void it_is_another_than_a_good_one(void **state)
{
	const struct revocation since = {.at = 1000000, .reason = 5};
	struct leaf *leaves[4];
	struct revocation said;
	int err;

	(void)state;
	leaves[0] = get(NULL, false, &err);
	leaves[1] = get(&since, false, &err);
	leaves[2] = get(NULL, true, &err);
	leaves[3] = get(&since, true, &err); /* the twin's need no staple */
	assert_null(leaves[0]->staple);
	assert_true(is_revoked(leaves[1], &said));
	assert_null(leaves[2]->staple);
	assert_ptr_equal(leaves[2], leaves[3]);
	assert_ptr_not_equal(leaves[0], leaves[1]);
	assert_ptr_not_equal(leaves[0], leaves[2]);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(leaves[0]->cert),
					      X509_get0_serialNumber(leaves[1]->cert)),
			     0);
	assert_int_equal(test.requests, 2);
	for (size_t i = 0; i < LEN(leaves); i++)
		leaf_put(leaves[i]);
}

static void without_its_staple_there_is_none(void **state)
{
	const struct revocation since = {.at = 1000000, .reason = 5};
	struct leaf *leaf;
	int err;

	(void)state;
	test.forgets = true;
	leaf = get(&since, false, &err);
	assert_int_equal(err, -EIO);
	assert_null(leaf);
	test.forgets = false;
	leaf = get(&since, false, &err);
	assert_int_equal(err, 0);
	assert_non_null(leaf->staple);
	leaf_put(leaf);
}

static void it_is_made_anew_before_its_staple_is_old(void **state)
{
	const struct revocation since = {.at = 1000000, .reason = 5};
	const int64_t now = time(NULL);
	struct leaf *good, *revoked;
	int err;

	(void)state;
	good = get(NULL, false, &err);
	revoked = get(&since, false, &err);
	assert_in_range(leaf_stale_at(good, now), now + 20 * DAY, now + 40 * DAY);
	assert_int_equal(leaf_stale_at(revoked, now), now + REVOKED_RESPONSE_AFTER_S / 2);
	/* the leaf itself ends first */
	assert_in_range(leaf_stale_at(revoked, now + 30 * DAY - 3600), now + 29 * DAY,
			now + 30 * DAY + 60);
	leaf_put(good);
	leaf_put(revoked);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_cache, close_cache)
	const struct CMUnitTest tests[] = {
		T(a_revoked_leaf_has_its_staple),
		T(it_is_another_than_a_good_one),
		T(without_its_staple_there_is_none),
		T(it_is_made_anew_before_its_staple_is_old),
	};
#undef T

	return cmocka_run_group_tests_name("leaf", tests, start_all, end_all);
}
