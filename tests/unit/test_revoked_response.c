// SPDX-License-Identifier: GPL-2.0-or-later
/* What the CA's key signs about a leaf that is to be revoked, and what it does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/ocsp.h>

#include "forge_rig.h"
#include "pki/ocsp_staple.h"
#include "pki/revoked_response.h"

static struct signing_key *key_of(const struct test_ca *ca)
{
	struct signing_key *key = NULL;

	EVP_PKEY_up_ref(ca->key);
	assert_int_equal(signing_key_new(ca->cert, ca->key, &key), 0);
	return key;
}

static uint8_t *tbs_of(const struct test_ca *ca, size_t *len)
{
	X509 *origin = make_origin("origin.test", usual_exts);
	int err;
	uint8_t *tbs = forge_tbs(ca, origin, "a.test", made.leaf_keys[0], len, &err);

	assert_int_equal(err, 0);
	X509_free(origin);
	return tbs;
}

static void clear(struct signed_leaf *leaf)
{
	OPENSSL_free(leaf->cert);
	OPENSSL_free(leaf->staple);
	*leaf = (struct signed_leaf){0};
}

static OCSP_BASICRESP *read_basic(const struct signed_leaf *leaf)
{
	const uint8_t *at = leaf->staple;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)leaf->staple_len);
	OCSP_BASICRESP *basic;

	assert_non_null(response);
	assert_ptr_equal(at, leaf->staple + leaf->staple_len);
	assert_int_equal(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
	basic = OCSP_response_get1_basic(response);
	assert_non_null(basic);
	OCSP_RESPONSE_free(response);
	return basic;
}

static void assert_time(const ASN1_GENERALIZEDTIME *time, time_t expected)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(time, &tm), 1);
	assert_in_range(timegm(&tm), expected, expected + 60);
}

/* All that there is in it. */
static void assert_says(OCSP_BASICRESP *basic, X509 *ca, X509 *leaf, const struct revocation *since,
			time_t now)
{
	ASN1_GENERALIZEDTIME *at, *from, *until;
	const ASN1_OCTET_STRING *responder = NULL;
	const X509_NAME *name = NULL;
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, ca);
	OCSP_SINGLERESP *single = OCSP_resp_get0(basic, 0);
	int reason;

	assert_int_equal(OCSP_resp_count(basic), 1);
	assert_int_equal(OCSP_id_cmp(id, OCSP_SINGLERESP_get0_id(single)), 0);
	assert_int_equal(OCSP_single_get0_status(single, &reason, &at, &from, &until),
			 V_OCSP_CERTSTATUS_REVOKED);
	assert_int_equal(reason, since->reason);
	assert_time(at, (time_t)since->at);
	assert_time(from, now - REVOKED_RESPONSE_BEFORE_S);
	assert_time(until, now + REVOKED_RESPONSE_AFTER_S);
	assert_int_equal(OCSP_SINGLERESP_get_ext_count(single), 0);
	assert_int_equal(OCSP_BASICRESP_get_ext_count(basic), 0);
	assert_int_equal(sk_X509_num(OCSP_resp_get0_certs(basic)), -1);
	assert_int_equal(OCSP_resp_get0_id(basic, &responder, &name), 1);
	assert_null(responder);
	assert_int_equal(X509_NAME_cmp(name, X509_get_subject_name(ca)), 0);
	OCSP_CERTID_free(id);
}

/* Whatever the CA's key: as clients look at it. */
static void a_leaf_that_is_revoked(void **state)
{
	const struct revocation since = {.at = time(NULL) - 40 * DAY, .reason = 4};

	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++) {
		struct signing_key *key = key_of(&made.cas[i]);
		STACK_OF(X509) *chain = sk_X509_new_null();
		const time_t now = time(NULL);
		struct signed_leaf leaf = {0};
		struct revocation said;
		OCSP_BASICRESP *basic;
		const uint8_t *at;
		X509 *cert;
		size_t len;
		uint8_t *tbs = tbs_of(&made.cas[i], &len);

		assert_int_equal(signing_key_sign_revoked(key, tbs, len, &since, &leaf),
				 SIGNER_SIGNED);
		assert_int_equal(ERR_peek_error(), 0);
		at = leaf.cert;
		cert = d2i_X509(NULL, &at, (long)leaf.cert_len);
		assert_verifies(&made.cas[i], cert, "a.test");
		basic = read_basic(&leaf);
		assert_says(basic, made.cas[i].cert, cert, &since, now);
		sk_X509_push(chain, cert);
		sk_X509_push(chain, made.cas[i].cert);
		assert_true(ocsp_staple_revokes(leaf.staple, leaf.staple_len, cert, chain, &said));
		assert_int_equal(said.at, since.at);
		assert_int_equal(said.reason, since.reason);
		/* the CA signs, and no other of its name */
		sk_X509_set(chain, 1, made.cas[i ? 0 : 1].cert);
		assert_false(ocsp_staple_revokes(leaf.staple, leaf.staple_len, cert, chain, &said));
		OCSP_BASICRESP_free(basic);
		sk_X509_free(chain);
		X509_free(cert);
		clear(&leaf);
		OPENSSL_free(tbs);
		signing_key_free(key);
	}
}

static enum signer_verdict verdict_on(const uint8_t *tbs, size_t len,
				      const struct revocation *revocation)
{
	struct signing_key *key = key_of(&made.cas[0]);
	struct signed_leaf leaf = {0};
	enum signer_verdict verdict = signing_key_sign_revoked(key, tbs, len, revocation, &leaf);

	assert_int_equal(leaf.cert != NULL, verdict == SIGNER_SIGNED);
	assert_int_equal(leaf.staple != NULL, verdict == SIGNER_SIGNED);
	assert_int_equal(ERR_peek_error(), 0);
	clear(&leaf);
	signing_key_free(key);
	return verdict;
}

static void times_and_reasons(void **state)
{
	const int64_t now = time(NULL);
	const struct {
		struct revocation revocation;
		enum signer_verdict verdict;
	} cases[] = {
		{{now, 0}, SIGNER_SIGNED},
		{{0, REVOCATION_NO_REASON}, SIGNER_SIGNED},
		{{now, 10}, SIGNER_SIGNED},
		{{now + 3600, 0}, SIGNER_REVOCATION},
		{{INT64_MAX, 0}, SIGNER_REVOCATION},
		{{-1, 0}, SIGNER_REVOCATION},
		{{INT64_MIN, 0}, SIGNER_REVOCATION},
		{{now, 7}, SIGNER_REVOCATION},
		{{now, 11}, SIGNER_REVOCATION},
		{{now, -2}, SIGNER_REVOCATION},
		{{now, INT32_MIN}, SIGNER_REVOCATION},
		{{now, INT32_MAX}, SIGNER_REVOCATION},
	};
	size_t len;
	uint8_t *tbs = tbs_of(&made.cas[0], &len);

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		if (verdict_on(tbs, len, &cases[i].revocation) != cases[i].verdict)
			fail_msg("case %zu", i);
	OPENSSL_free(tbs);
}

/* All that is no leaf: a CA's fields, bytes, another CA's leaf. */
static void of_leaves_alone(void **state)
{
	const struct revocation since = {.at = 1000, .reason = 1};
	uint8_t *tbs = NULL;
	size_t len = (size_t)i2d_re_X509_tbs(made.cas[0].cert, &tbs);

	(void)state;
	assert_int_equal(verdict_on(tbs, len, &since), SIGNER_SUBJECT);
	assert_int_equal(verdict_on(tbs, len / 2, &since), SIGNER_MALFORMED);
	assert_int_equal(verdict_on(tbs, 0, &since), SIGNER_MALFORMED);
	OPENSSL_free(tbs);
	tbs = tbs_of(&made.cas[3], &len);
	assert_int_equal(verdict_on(tbs, len, &since), SIGNER_ALGORITHM);
	OPENSSL_free(tbs);
}

/* A root is its own issuer: a response about a leaf of its number would be about itself. */
static void never_of_the_ca_itself(void **state)
{
	const struct revocation since = {.at = 1000, .reason = 1};
	struct signing_key *key = key_of(&made.cas[0]);
	size_t len;
	uint8_t *tbs = tbs_of(&made.cas[0], &len), *own = NULL;
	X509 *leaf = signer_tbs_read(tbs, len, signing_key_algorithm(key));

	(void)state;
	assert_int_equal(verdict_on(tbs, len, &since), SIGNER_SIGNED);
	X509_set_serialNumber(leaf, X509_get_serialNumber(made.cas[0].cert));
	len = (size_t)i2d_re_X509_tbs(leaf, &own);
	assert_int_equal(verdict_on(own, len, &since), SIGNER_REVOCATION);
	OPENSSL_free(own);
	OPENSSL_free(tbs);
	X509_free(leaf);
	signing_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_that_is_revoked),
		cmocka_unit_test(times_and_reasons),
		cmocka_unit_test(of_leaves_alone),
		cmocka_unit_test(never_of_the_ca_itself),
	};

	return cmocka_run_group_tests_name("revoked_response", tests, make_all, free_all);
}
