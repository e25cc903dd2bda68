// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "forge_rig.h"
#include "pki/twin.h"

static struct twin *twin_of(const struct test_ca *of)
{
	const struct ca ca = {.cert = of->cert, .chain = of->chain};
	struct twin *twin = NULL;

	ERR_clear_error();
	assert_int_equal(twin_new(&ca, &twin), 0);
	assert_int_equal(ERR_peek_error(), 0);
	return twin;
}

static X509 *forge_by(const struct twin *twin, X509 *origin)
{
	const struct forge_request request = {.ca = twin_ca(twin),
					      .algorithm = twin_algorithm(twin),
					      .origin = origin,
					      .leaf_key = made.leaf_keys[0]};
	uint8_t *tbs = NULL, *der = NULL;
	size_t len, der_len;
	const uint8_t *at;
	X509 *leaf;

	assert_int_equal(forge_leaf(&request, &tbs, &len), 0);
	assert_int_equal(twin_sign(twin, tbs, len, &der, &der_len), SIGNER_SIGNED);
	at = der;
	leaf = d2i_X509(NULL, &at, (long)der_len);
	assert_non_null(leaf);
	OPENSSL_free(tbs);
	OPENSSL_free(der);
	return leaf;
}

static void it_looks_like_the_ca_and_has_another_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++) {
		struct twin *twin = twin_of(&made.cas[i]), *other = twin_of(&made.cas[i]);
		X509 *cert = twin_ca(twin)->cert;

		assert_same_subject(cert, made.cas[i].cert);
		assert_int_equal(X509_check_ca(cert), 1);
		assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(cert),
						   X509_get0_notAfter(made.cas[i].cert)),
				 0);
		assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), made.cas[i].key), 1);
		assert_int_not_equal(
			EVP_PKEY_eq(X509_get0_pubkey(cert), X509_get0_pubkey(twin_ca(other)->cert)),
			1);
		assert_int_not_equal(
			ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(cert),
					      X509_get0_subject_key_id(made.cas[i].cert)),
			0);
		twin_free(twin);
		twin_free(other);
	}
}

/* The very error that a client has for an origin of a CA that it does not know. */
static void its_leaves_have_no_issuer_that_a_client_knows(void **state)
{
	X509 *origin = make_origin("origin.test", usual_exts);

	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++) {
		struct twin *twin = twin_of(&made.cas[i]);
		const struct test_ca as_ca = {.cert = twin_ca(twin)->cert};
		X509 *leaf = forge_by(twin, origin);

		assert_verifies(&as_ca, leaf, "www.origin.test");
		assert_int_equal(verify(&made.cas[i], leaf, "www.origin.test"),
				 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
		X509_free(leaf);
		twin_free(twin);
	}
	X509_free(origin);
}

static void it_signs_leaves_only(void **state)
{
	struct twin *twin = twin_of(&made.cas[0]);
	uint8_t *der = NULL;
	size_t der_len;

	(void)state;
	assert_int_equal(twin_sign(twin, (const uint8_t *)"0", 1, &der, &der_len),
			 SIGNER_MALFORMED);
	assert_null(der);
	twin_free(twin);
	twin_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_looks_like_the_ca_and_has_another_key),
		cmocka_unit_test(its_leaves_have_no_issuer_that_a_client_knows),
		cmocka_unit_test(it_signs_leaves_only),
	};

	return cmocka_run_group_tests_name("twin", tests, make_all, free_all);
}
