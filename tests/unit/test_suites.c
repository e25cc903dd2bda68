// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/context.h"
#include "tls/suites.h"

static struct tls_context *context;

static int setup(void **state)
{
	const struct tls_context_options options = {0};
	char error[256];

	(void)state;
	return tls_context_new(&options, &context, error, sizeof(error));
}

static int teardown(void **state)
{
	(void)state;
	tls_context_free(context);
	return 0;
}

static void put(struct client_hello_codes *to, const uint16_t *codes)
{
	to->there = codes != NULL;
	for (to->len = 0; codes && codes[to->len]; to->len++)
		to->at[to->len] = codes[to->len];
}

/* Lists end with 0; NULL: no such extension. */
struct row {
	const char *name;
	bool tls12, tls13;
	uint16_t suites[4];
	const uint16_t *groups, *signatures;
	bool rsa, p256, p384; /* can they be used? */
};

static const uint16_t both_groups[] = {29, 23, 24, 0}, x25519[] = {29, 0}, ffdhe[] = {256, 0},
		      p256_only[] = {23, 0};
static const uint16_t modern[] = {0x0403, 0x0503, 0x0804, 0x0401, 0},
		      rsa_only[] = {0x0804, 0x0401, 0}, pkcs1[] = {0x0401, 0},
		      ecdsa[] = {0x0403, 0}, sha1[] = {0x0201, 0x0203, 0};

static const struct row rows[] = {
	{"1.3, all", true, true, {0x1301}, both_groups, modern, true, true, true},
	{"1.3, RSA alone", false, true, {0x1301}, both_groups, rsa_only, true, false, false},
	{"1.3, PKCS#1 is no signature of it",
	 true,
	 true,
	 {0x1301},
	 both_groups,
	 pkcs1,
	 false,
	 false,
	 false},
	{"1.3, ECDSA with P-256 alone",
	 true,
	 true,
	 {0x1301},
	 both_groups,
	 ecdsa,
	 false,
	 true,
	 false},
	{"1.3, the curve of a key is no group",
	 true,
	 true,
	 {0x1301},
	 x25519,
	 modern,
	 true,
	 true,
	 true},
	{"1.3, no group of ours", true, true, {0x1301}, ffdhe, modern, false, false, false},
	{"1.3, without signatures", true, true, {0x1301}, both_groups, NULL, false, false, false},
	{"1.3, a suite of 1.2 alone",
	 true,
	 true,
	 {0xc02f},
	 both_groups,
	 modern,
	 false,
	 false,
	 false},
	{"1.2, ECDHE-RSA", true, false, {0xc02f}, both_groups, modern, true, false, false},
	{"1.2, ECDHE-ECDSA", true, false, {0xc02b}, both_groups, modern, false, true, true},
	{"1.2, ECDHE-ECDSA, P-256 alone",
	 true,
	 false,
	 {0xc02b},
	 p256_only,
	 modern,
	 false,
	 true,
	 false},
	{"1.2, both, ECDSA unknown",
	 true,
	 false,
	 {0xc02b, 0xc02f},
	 both_groups,
	 rsa_only,
	 true,
	 false,
	 false},
	{"1.2, the old RSA suites", true, false, {0x002f}, NULL, NULL, true, false, false},
	{"1.2, DHE-RSA needs no group", true, false, {0x009e}, ffdhe, modern, true, false, false},
	{"1.2, ECDHE-RSA needs one", true, false, {0xc02f}, ffdhe, modern, false, false, false},
	{"1.2, nothing but suites is said",
	 true,
	 false,
	 {0xc02b, 0xc02f},
	 NULL,
	 NULL,
	 true,
	 true,
	 true},
	{"1.2, SHA-1 alone", true, false, {0xc02b, 0xc02f}, both_groups, sha1, false, false, false},
	{"no version", false, false, {0x1301, 0xc02f}, both_groups, modern, false, false, false},
	{"a suite that nobody has",
	 true,
	 false,
	 {0x0001},
	 both_groups,
	 modern,
	 false,
	 false,
	 false},
};

static void keys_fit_what_the_client_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct client_hello hello = {.offers_tls12 = row->tls12,
					     .offers_tls13 = row->tls13};

		while (row->suites[hello.ciphers_len]) {
			hello.ciphers[hello.ciphers_len] = row->suites[hello.ciphers_len];
			hello.ciphers_len++;
		}
		put(&hello.groups, row->groups);
		put(&hello.signatures, row->signatures);
		if (tls_context_can_serve(context, &hello, TLS_KEY_RSA) != row->rsa ||
		    tls_context_can_serve(context, &hello, TLS_KEY_P256) != row->p256 ||
		    tls_context_can_serve(context, &hello, TLS_KEY_P384) != row->p384)
			fail_msg("%s", row->name);
		assert_int_equal(tls_context_can_serve(context, &hello, TLS_KEY_RSA | TLS_KEY_P256),
				 row->rsa || row->p256);
		assert_false(tls_context_can_serve(context, &hello, 0));
	}
}

static bool verifies(const uint16_t *signatures, const uint16_t *cert_signatures, int nid)
{
	struct client_hello hello = {0};
	X509_ALGOR *algorithm = X509_ALGOR_new();
	bool does;

	put(&hello.signatures, signatures);
	put(&hello.cert_signatures, cert_signatures);
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), V_ASN1_UNDEF, NULL);
	does = client_hello_verifies(&hello, algorithm);
	X509_ALGOR_free(algorithm);
	return does;
}

static void certificates_are_signed_as_the_client_says(void **state)
{
	static const uint16_t pss[] = {0x080a, 0}, ed[] = {0x0807, 0};

	(void)state;
	assert_true(verifies(NULL, NULL, NID_ecdsa_with_SHA256));
	assert_true(verifies(modern, NULL, NID_ecdsa_with_SHA256));
	assert_true(verifies(modern, NULL, NID_sha256WithRSAEncryption));
	assert_false(verifies(rsa_only, NULL, NID_ecdsa_with_SHA256));
	assert_false(verifies(modern, rsa_only, NID_ecdsa_with_SHA256));
	assert_true(verifies(rsa_only, modern, NID_ecdsa_with_SHA256));
	assert_false(verifies(modern, NULL, NID_ecdsa_with_SHA512));
	assert_false(verifies(modern, NULL, NID_ED25519));
	assert_true(verifies(ed, NULL, NID_ED25519));
	assert_false(verifies(ed, NULL, NID_ED448));
	assert_true(verifies(pss, NULL, NID_rsassaPss));
	/* one that is not known here: OpenSSL and the client have the last word */
	assert_true(verifies(modern, NULL, NID_dsa_with_SHA256));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_fit_what_the_client_says),
		cmocka_unit_test(certificates_are_signed_as_the_client_says),
	};

	return cmocka_run_group_tests_name("suites", tests, setup, teardown);
}
