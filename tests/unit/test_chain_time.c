// SPDX-License-Identifier: GPL-2.0-or-later
/* A certificate cut to the time of those above it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cert_maker.h"
#include "pki/chain_time.h"
#include "pki/leaf.h"

static const struct cert_ext names[] = {{NID_subject_alt_name, "DNS:origin.test"}, {0}};

static int make_key(void **state)
{
	*state = make_test_key("P-256");
	return 0;
}

static int free_key(void **state)
{
	EVP_PKEY_free(*state);
	return 0;
}

static X509 *make_one(EVP_PKEY *key, const char *from, const char *until)
{
	X509 *cert = make_test_cert(&(struct cert_spec){.cn = "origin", .key = key, .exts = names});

	assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), from), 1);
	assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), until), 1);
	sign_test_cert(cert, key);
	return cert;
}

/* As whoever reads its DER sees it: what is only set, and not written, is lost. */
static X509 *read_back(X509 *cert)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);
	const uint8_t *at = der;
	X509 *read;

	assert_true(len > 0);
	read = d2i_X509(NULL, &at, len);
	assert_non_null(read);
	OPENSSL_free(der);
	return read;
}

static void assert_time(const ASN1_TIME *time, const char *expected)
{
	ASN1_TIME *as = ASN1_TIME_new();

	assert_int_equal(ASN1_TIME_set_string_X509(as, expected), 1);
	if (ASN1_TIME_compare(time, as))
		fail_msg("%.*s, expected %s", ASN1_STRING_length(time),
			 (const char *)ASN1_STRING_get0_data(time), expected);
	ASN1_TIME_free(as);
}

static void assert_valid(X509 *cert, const char *from, const char *until)
{
	X509 *read = read_back(cert);

	assert_time(X509_get0_notBefore(cert), from);
	assert_time(X509_get0_notAfter(cert), until);
	assert_time(X509_get0_notBefore(read), from);
	assert_time(X509_get0_notAfter(read), until);
	X509_free(read);
}

#define FROM  "20250101000000Z"
#define UNTIL "20270101000000Z"

struct span {
	const char *from, *until;
};

/* A certificate of FROM to UNTIL below these. */
static X509 *narrow_below(EVP_PKEY *key, const struct span *above, size_t len)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *cert = make_one(key, FROM, UNTIL), *narrowed;

	for (size_t i = 0; i < len; i++)
		sk_X509_push(chain, make_one(key, above[i].from, above[i].until));
	narrowed = chain_time_narrow(cert, chain);
	assert_non_null(narrowed);
	assert_ptr_not_equal(narrowed, cert);
	assert_valid(cert, FROM, UNTIL);
	sk_X509_pop_free(chain, X509_free);
	X509_free(cert);
	return narrowed;
}

static void the_narrowest_of_all(void **state)
{
	static const struct {
		struct span above[3];
		size_t len;
		struct span expected;
	} cases[] = {
		{{{"20200101000000Z", "20300101000000Z"}}, 1, {FROM, UNTIL}},
		{{{FROM, UNTIL}}, 1, {FROM, UNTIL}},
		{{{"20200101000000Z", "20260101000000Z"}}, 1, {FROM, "20260101000000Z"}},
		{{{"20260101000000Z", "20300101000000Z"}}, 1, {"20260101000000Z", UNTIL}},
		{{{FROM, "20260101000000Z"},
		  {"20250101000001Z", "20300101000000Z"},
		  {"20200101000000Z", "20251231235959Z"}},
		 3,
		 {"20250101000001Z", "20251231235959Z"}},
		{{{"20200101000000Z", "20250601000000Z"}, {"20200101000000Z", "20260101000000Z"}},
		 2,
		 {FROM, "20250601000000Z"}},
		/* both ways to write a time (RFC 5280 4.1.2.5) */
		{{{"19500101000000Z", "20500101000000Z"}}, 1, {FROM, UNTIL}},
		{{{"19700101000000Z", "99991231235959Z"}}, 1, {FROM, UNTIL}},
		{{{"20510101000000Z", "99991231235959Z"}}, 1, {"20510101000000Z", UNTIL}},
		/* over before it begins */
		{{{"20000101000000Z", "20010101000000Z"}}, 1, {FROM, "20010101000000Z"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		X509 *narrowed = narrow_below(*state, cases[i].above, cases[i].len);

		assert_valid(narrowed, cases[i].expected.from, cases[i].expected.until);
		X509_free(narrowed);
	}
}

static void alone_it_is_what_it_was(void **state)
{
	X509 *cert = make_one(*state, FROM, UNTIL), *narrowed;

	narrowed = narrow_below(*state, NULL, 0);
	assert_valid(narrowed, FROM, UNTIL);
	X509_free(narrowed);
	narrowed = chain_time_narrow(cert, NULL);
	assert_non_null(narrowed);
	assert_ptr_not_equal(narrowed, cert);
	assert_valid(narrowed, FROM, UNTIL);
	X509_free(narrowed);
	X509_free(cert);
}

/* A verified chain begins with the certificate itself. */
static void itself_among_them(void **state)
{
	X509 *cert = make_one(*state, FROM, UNTIL);
	X509 *above = make_one(*state, "20200101000000Z", "20260101000000Z");
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *narrowed;

	sk_X509_push(chain, cert);
	sk_X509_push(chain, above);
	narrowed = chain_time_narrow(cert, chain);
	assert_non_null(narrowed);
	assert_valid(narrowed, FROM, "20260101000000Z");
	assert_valid(cert, FROM, UNTIL);
	X509_free(narrowed);
	sk_X509_pop_free(chain, X509_free);
}

/* Its leaf is kept under a fingerprint of its own: it is not the leaf of the whole time. */
static void all_else_stays_and_it_is_another(void **state)
{
	X509 *cert = make_one(*state, FROM, UNTIL);
	X509 *above = make_one(*state, "20200101000000Z", "20260101000000Z");
	STACK_OF(X509) *chain = sk_X509_new_null();
	uint8_t fp[FINGERPRINT_LEN], narrowed_fp[FINGERPRINT_LEN];
	X509 *narrowed;

	sk_X509_push(chain, above);
	narrowed = chain_time_narrow(cert, chain);
	assert_non_null(narrowed);
	assert_int_equal(
		X509_NAME_cmp(X509_get_subject_name(narrowed), X509_get_subject_name(cert)), 0);
	assert_int_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(narrowed), X509_get0_serialNumber(cert)),
		0);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(narrowed), *state), 1);
	assert_int_equal(X509_check_host(narrowed, "origin.test", 0, 0, NULL), 1);
	assert_int_equal(fingerprint_of(cert, fp), 0);
	assert_int_equal(fingerprint_of(narrowed, narrowed_fp), 0);
	assert_memory_not_equal(fp, narrowed_fp, FINGERPRINT_LEN);
	sk_X509_pop_free(chain, X509_free);
	X509_free(narrowed);
	X509_free(cert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_narrowest_of_all),
		cmocka_unit_test(alone_it_is_what_it_was),
		cmocka_unit_test(itself_among_them),
		cmocka_unit_test(all_else_stays_and_it_is_another),
	};

	return cmocka_run_group_tests_name("chain_time", tests, make_key, free_key);
}
