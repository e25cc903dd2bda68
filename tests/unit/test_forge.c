// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "forge_rig.h"

static void every_field_of_a_usual_origin(void **state)
{
	static const int ours[] = {NID_basic_constraints,
				   NID_key_usage,
				   NID_ext_key_usage,
				   NID_subject_key_identifier,
				   NID_authority_key_identifier,
				   NID_certificate_policies,
				   NID_subject_alt_name};
	X509 *origin = make_origin("origin.test", usual_exts);
	X509 *leaf = forge(origin, "www.origin.test");

	(void)state;
	assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
	assert_int_equal(
		X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(made.cas[0].cert)),
		0);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(leaf), made.leaf_keys[0]), 1);
	assert_same_ext(leaf, origin, NID_basic_constraints);
	assert_same_ext(leaf, origin, NID_ext_key_usage);
	assert_same_ext(leaf, origin, NID_subject_alt_name);
	assert_same_ext(leaf, origin, NID_certificate_policies);
	/* nothing else: no AIA, CRL distribution points, must-staple, SCTs, comments */
	assert_int_equal(X509_get_ext_count(leaf), LEN(ours));
	for (size_t i = 0; i < LEN(ours); i++)
		assert_non_null(ext_of(leaf, ours[i]));
	assert_verifies(&made.cas[0], leaf, "www.origin.test");
	assert_int_equal(verify(&made.cas[0], leaf, "other.test"), X509_V_ERR_HOSTNAME_MISMATCH);
	X509_free(leaf);
	X509_free(origin);
}

static void verifies_for_every_kind_of_ca_origin_and_leaf_key(void **state)
{
	(void)state;
	for (size_t o = 0; o < LEN(origin_kinds); o++) {
		X509 *origin = make_test_cert(&(struct cert_spec){
			.cn = "origin.test", .key = made.origin_keys[o], .exts = usual_exts});

		for (size_t c = 0; c < LEN(ca_kinds); c++) {
			for (size_t k = 0; k < LEN(leaf_kinds); k++) {
				X509 *leaf = forge_with(&made.cas[c], origin, "sni.test",
							made.leaf_keys[k]);

				assert_verifies(&made.cas[c], leaf, "sni.test");
				assert_verifies(&made.cas[c], leaf, "x.origin.test");
				X509_free(leaf);
			}
		}
		X509_free(origin);
	}
}

static void digest_goes_with_the_ca_key(void **state)
{
	static const int expected[LEN(ca_kinds)] = {
		NID_ecdsa_with_SHA256,       NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512,
		NID_sha256WithRSAEncryption, NID_ED25519,           NID_ED448};
	X509 *origin = make_origin("origin.test", usual_exts);

	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++) {
		X509 *leaf = forge_with(&made.cas[i], origin, "", made.leaf_keys[0]);

		assert_int_equal(X509_get_signature_nid(leaf), expected[i]);
		X509_free(leaf);
	}
	X509_free(origin);
}

/* extendedKeyUsage, basicConstraints, keyUsage */

/* By the P-256 CA, without another name. NULL where that error is expected. */
static X509 *forge_request(X509 *origin, bool hide, int expected)
{
	const struct ca ca = {.cert = made.cas[0].cert, .chain = made.cas[0].chain};
	struct forge_request request = {
		.ca = &ca, .origin = origin, .leaf_key = made.leaf_keys[0], .hide = hide};
	struct signing_key *key = NULL;
	uint8_t *tbs = NULL, *der = NULL;
	const uint8_t *at;
	size_t len, der_len = 0;
	X509 *leaf = NULL;

	EVP_PKEY_up_ref(made.cas[0].key);
	assert_int_equal(signing_key_new(ca.cert, made.cas[0].key, &key), 0);
	request.algorithm = signing_key_algorithm(key);
	assert_int_equal(forge_leaf(&request, &tbs, &len), expected);
	assert_int_equal(ERR_peek_error(), 0);
	if (!expected) {
		assert_int_equal(signing_key_sign(key, tbs, len, &der, &der_len), SIGNER_SIGNED);
		at = der;
		leaf = d2i_X509(NULL, &at, (long)der_len);
		assert_non_null(leaf);
	}
	OPENSSL_free(der);
	OPENSSL_free(tbs);
	signing_key_free(key);
	return leaf;
}

static void assert_forged_usage(X509 *origin, bool hide, const char *usage)
{
	X509 *leaf = forge_request(origin, hide, usage ? 0 : -ENOTSUP), *like;

	if (!usage)
		return;
	like = make_origin("x", (const struct cert_ext[]){{NID_ext_key_usage, usage}, {0, NULL}});
	assert_same_ext(leaf, like, NID_ext_key_usage);
	X509_free(like);
	X509_free(leaf);
}

static void extended_key_usage_is_copied_or_server_auth(void **state)
{
	static const char *const usages[] = {"serverAuth", "critical,serverAuth,clientAuth",
					     "clientAuth,serverAuth,1.2.3.4", "msSGC,1.2.3.4"};
	X509 *origin, *leaf;

	(void)state;
	for (size_t i = 0; i < LEN(usages); i++) {
		origin = make_origin(
			"x", (const struct cert_ext[]){{NID_ext_key_usage, usages[i]}, {0, NULL}});
		leaf = forge(origin, "a.test");
		assert_same_ext(leaf, origin, NID_ext_key_usage);
		X509_free(leaf);
		X509_free(origin);
	}
	origin = make_origin("x", NULL);
	leaf = forge(origin, "a.test");
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
	assert_false(critical(leaf, NID_ext_key_usage));
	X509_free(leaf);
	X509_free(origin);
}

/* What a leaf may not be for is left out; what is for no server has no leaf, unless that is hidden.
 */
static void purposes_that_leaves_do_not_have_are_dropped(void **state)
{
	static const struct {
		const char *origin, *leaf, *hidden; /* NULL: there is none, or the same */
	} rows[] = {
		{"anyExtendedKeyUsage,serverAuth", "serverAuth", NULL},
		/* alone it is no server's to OpenSSL, the daemon's and many clients' */
		{"critical,anyExtendedKeyUsage", NULL, "critical,serverAuth"},
		{"codeSigning,serverAuth,1.2.3.4,emailProtection", "serverAuth,1.2.3.4", NULL},
		{"OCSPSigning,timeStamping,serverAuth", "serverAuth", NULL},
		{"codeSigning", NULL, "serverAuth"},
		{"clientAuth", NULL, "clientAuth,serverAuth"},
		{"1.2.3.4", NULL, "1.2.3.4,serverAuth"},
		{"DER:3000", NULL, "serverAuth"},
		{"DER:0401FF", NULL, "serverAuth"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		X509 *origin = make_origin(
			"x",
			(const struct cert_ext[]){{NID_ext_key_usage, rows[i].origin}, {0, NULL}});

		assert_forged_usage(origin, false, rows[i].leaf);
		assert_forged_usage(origin, true, rows[i].leaf ? rows[i].leaf : rows[i].hidden);
		X509_free(origin);
	}
}

/* OIDs stay; qualifiers and doubles do not; what nobody has to understand may be left out. */
static void policies_are_their_oids(void **state)
{
	static const struct {
		const char *origin, *leaf; /* DER; NULL: none */
		int err;
	} rows[] = {
		{"DER:300A3008060667810C010201", "DER:300A3008060667810C010201", 0},
		{"critical,DER:300A3008060667810C010201", "critical,DER:300A3008060667810C010201",
		 0},
		/* 2.23.140.1.2.1 with the address of a CPS ("http://a") */
		{"DER:3026302406"
		 "0667810C010201301A301806082B06010505070201160C"
		 "687474703A2F2F612E622F63",
		 "DER:300A3008060667810C010201", 0},
		/* the same twice, then anyPolicy */
		{"DER:301C3008060667810C0102013008060667810C01020130060604551D2000",
		 "DER:30123008060667810C01020130060604551D2000", 0},
		{"DER:3000", NULL, 0},
		{"DER:0401FF", NULL, 0},
		{"critical,DER:3000", NULL, -ENOTSUP},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		X509 *origin = make_origin(
			"x", (const struct cert_ext[]){{NID_certificate_policies, rows[i].origin},
						       {0, NULL}});
		X509 *leaf = forge_request(origin, false, rows[i].err);

		if (rows[i].leaf) {
			X509 *like = make_origin(
				"x", (const struct cert_ext[]){
					     {NID_certificate_policies, rows[i].leaf}, {0, NULL}});

			assert_same_ext(leaf, like, NID_certificate_policies);
			X509_free(like);
		} else if (leaf) {
			assert_null(ext_of(leaf, NID_certificate_policies));
		}
		X509_free(leaf);
		X509_free(origin);
	}
}

static void basic_constraints_never_make_a_ca(void **state)
{
	static const struct {
		const char *origin;
		bool critical;
	} rows[] = {
		{NULL, true},
		{"CA:FALSE", false},
		{"critical,CA:FALSE", true},
		{"CA:TRUE", false},
		{"critical,CA:TRUE,pathlen:3", true},
		{"DER:3003010100", false}, /* FALSE spelled out, which DER forbids */
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct cert_ext exts[] = {{NID_basic_constraints, rows[i].origin}, {0, NULL}};
		X509 *origin = make_origin("x", rows[i].origin ? exts : NULL);
		X509 *leaf = forge(origin, "a.test");
		const ASN1_OCTET_STRING *value =
			X509_EXTENSION_get_data(ext_of(leaf, NID_basic_constraints));

		assert_int_equal(X509_check_ca(leaf), 0);
		assert_int_equal(ASN1_STRING_length(value), 2);
		assert_memory_equal(ASN1_STRING_get0_data(value), "\x30\x00", 2);
		assert_int_equal(critical(leaf, NID_basic_constraints), rows[i].critical);
		assert_verifies(&made.cas[0], leaf, "a.test");
		X509_free(leaf);
		X509_free(origin);
	}
}

static void key_usage_goes_with_the_leaf_key(void **state)
{
	static const struct cert_ext exts[] = {{NID_key_usage, "keyCertSign,cRLSign,keyAgreement"},
					       {0, NULL}};

	(void)state;
	for (size_t o = 0; o < LEN(origin_kinds); o++) {
		X509 *origin = make_test_cert(
			&(struct cert_spec){.cn = "x", .key = made.origin_keys[o], .exts = exts});

		for (size_t k = 0; k < LEN(leaf_kinds); k++) {
			X509 *leaf = forge_with(&made.cas[0], origin, "", made.leaf_keys[k]);
			bool rsa = !strncmp(leaf_kinds[k], "RSA", 3);

			assert_int_equal(X509_get_key_usage(leaf),
					 KU_DIGITAL_SIGNATURE | (rsa ? KU_KEY_ENCIPHERMENT : 0));
			assert_true(critical(leaf, NID_key_usage));
			X509_free(leaf);
		}
		X509_free(origin);
	}
}

/* Key identifiers */

/* SHA-1 of the BIT STRING's content, by hand (RFC 5280 4.2.1.2). */
static void assert_is_key_id(const ASN1_OCTET_STRING *id, X509 *cert)
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cert);
	unsigned char digest[20];

	assert_int_equal(EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits),
				    digest, NULL, EVP_sha1(), NULL),
			 1);
	assert_non_null(id);
	assert_int_equal(ASN1_STRING_length(id), 20);
	assert_memory_equal(ASN1_STRING_get0_data(id), digest, 20);
}

static void key_identifiers_are_ours(void **state)
{
	X509 *origin = make_origin("x", usual_exts);

	(void)state;
	for (size_t k = 0; k < LEN(leaf_kinds); k++) {
		X509 *leaf = forge_with(&made.cas[0], origin, "", made.leaf_keys[k]);

		assert_is_key_id(X509_get0_subject_key_id(leaf), leaf);
		assert_same_octets(X509_get0_authority_key_id(leaf),
				   X509_get0_subject_key_id(made.cas[0].cert));
		assert_null(X509_get0_authority_issuer(leaf));
		assert_null(X509_get0_authority_serial(leaf));
		assert_false(critical(leaf, NID_subject_key_identifier));
		assert_false(critical(leaf, NID_authority_key_identifier));
		X509_free(leaf);
	}
	X509_free(origin);
}

static void authority_key_id_is_the_one_in_the_ca(void **state)
{
	static const struct cert_ext own[] = {{NID_basic_constraints, "CA:TRUE"},
					      {NID_subject_key_identifier, "0102030405"},
					      {0, NULL}};
	static const struct cert_ext none[] = {{NID_basic_constraints, "CA:TRUE"}, {0, NULL}};
	struct test_ca with = make_ca("P-256", own, 0, 0),
		       without = make_ca("RSA-2048", none, 0, 0);
	X509 *origin = make_origin("x", usual_exts);
	X509 *a = forge_with(&with, origin, "", made.leaf_keys[0]);
	X509 *b = forge_with(&without, origin, "", made.leaf_keys[0]);

	(void)state;
	assert_same_octets(X509_get0_authority_key_id(a), X509_get0_subject_key_id(with.cert));
	assert_is_key_id(X509_get0_authority_key_id(b), without.cert);
	X509_free(a);
	X509_free(b);
	X509_free(origin);
	clear_ca(&with);
	clear_ca(&without);
}

/* Serial, validity */

static void serials_are_random_positive_and_short(void **state)
{
	enum { COUNT = 100 };
	X509 *origin = make_origin("x", NULL);
	BIGNUM *serials[COUNT];
	int longest = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		X509 *leaf = forge(origin, "");
		ASN1_INTEGER *serial = X509_get_serialNumber(leaf);
		int encoded = i2d_ASN1_INTEGER(serial, NULL);

		assert_true(encoded > 2 && encoded <= 2 + 20);
		serials[i] = ASN1_INTEGER_to_BN(serial, NULL);
		assert_false(BN_is_negative(serials[i]));
		assert_false(BN_is_zero(serials[i]));
		if (BN_num_bits(serials[i]) > longest)
			longest = BN_num_bits(serials[i]);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(BN_cmp(serials[i], serials[j]), 0);
		X509_free(leaf);
	}
	assert_true(longest > 120 && longest <= 128);
	for (int i = 0; i < COUNT; i++)
		BN_free(serials[i]);
	X509_free(origin);
}

static void assert_time_in(const ASN1_TIME *time, long seconds)
{
	int days, rest;

	assert_int_equal(ASN1_TIME_diff(&days, &rest, NULL, time), 1);
	if (labs(days * DAY + rest - seconds) > 300)
		fail_msg("%ld seconds from now instead of %ld", days * DAY + rest, seconds);
}

/* The CA: from 300 days ago to in 3000 days. */
static void validity_is_the_origins_inside_the_cas(void **state)
{
	static const struct {
		long from, until, leaf_from, leaf_until; /* days */
	} rows[] = {
		{-10, 80, -10, 80},         {-400, 80, -300, 80}, {-10, 4000, -10, 3000},
		{-5000, 10000, -300, 3000}, {-20, -10, -20, -10}, /* expired stays expired */
		{-800, -700, -300, -300},                         /* before the CA was made */
		{10, 20, 10, 20},                                 /* not yet valid stays so */
		{4000, 5000, 3000, 3000},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		X509 *origin = make_test_cert(&(struct cert_spec){.cn = "x",
								  .key = made.origin_keys[0],
								  .from = rows[i].from * DAY,
								  .until = rows[i].until * DAY});
		X509 *leaf = forge(origin, "a.test");
		int expected = rows[i].until < 0  ? X509_V_ERR_CERT_HAS_EXPIRED
			       : rows[i].from > 0 ? X509_V_ERR_CERT_NOT_YET_VALID
						  : X509_V_OK;

		assert_time_in(X509_get0_notBefore(leaf), rows[i].leaf_from * DAY);
		assert_time_in(X509_get0_notAfter(leaf), rows[i].leaf_until * DAY);
		assert_true(ASN1_TIME_compare(X509_get0_notBefore(leaf),
					      X509_get0_notBefore(made.cas[0].cert)) >= 0);
		assert_true(ASN1_TIME_compare(X509_get0_notAfter(leaf),
					      X509_get0_notAfter(made.cas[0].cert)) <= 0);
		assert_int_equal(verify(&made.cas[0], leaf, "a.test"), expected);
		X509_free(leaf);
		X509_free(origin);
	}
}

/* RFC 5280 4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050. */
static void times_have_the_form_of_the_standard(void **state)
{
	struct test_ca ca = make_ca("P-256", ca_exts, -300 * DAY, 30000 * DAY);
	X509 *origin = make_origin("x", NULL), *leaf;

	(void)state;
	ASN1_TIME_set_string(X509_getm_notBefore(origin), "20260701000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(origin), "20700101000000Z");
	sign_test_cert(origin, made.origin_keys[0]);
	assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(origin)), V_ASN1_GENERALIZEDTIME);
	leaf = forge_with(&ca, origin, "", made.leaf_keys[0]);
	assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(leaf)), V_ASN1_UTCTIME);
	assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(leaf)), V_ASN1_GENERALIZEDTIME);
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(origin)),
			 0);
	X509_free(leaf);
	X509_free(origin);
	clear_ca(&ca);
}

/* Origins out of the ordinary */

static void a_version_1_origin_gives_a_version_3_leaf(void **state)
{
	X509 *origin = make_test_cert(
		&(struct cert_spec){.cn = "old.test", .key = made.origin_keys[1], .v1 = true});
	X509 *leaf = forge(origin, "old.test");

	(void)state;
	assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
	assert_same_subject(leaf, origin);
	assert_verifies(&made.cas[0], leaf, "old.test");
	X509_free(leaf);
	X509_free(origin);
}

static const struct cert_ext box_exts[] = {
	{NID_basic_constraints, "critical,CA:TRUE"},
	{NID_key_usage, "critical,keyCertSign,digitalSignature"},
	{NID_subject_key_identifier, "hash"},
	{0, NULL},
};

static void a_self_signed_ca_as_origin_gives_an_ordinary_leaf(void **state)
{
	X509 *origin = make_origin("box.test", box_exts);
	X509 *leaf = forge(origin, "box.test");

	(void)state;
	assert_int_equal(X509_check_ca(leaf), 0);
	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_verifies(&made.cas[0], leaf, "box.test");
	X509_free(leaf);
	X509_free(origin);
}

/* Clients have to refuse these: a leaf that they accept would be another thing. */
static void what_no_leaf_can_say_is_not_said(void **state)
{
	static const struct cert_ext origins[][2] = {
		{{NID_key_usage, "critical,keyCertSign,cRLSign"}, {0, NULL}},
		{{NID_key_usage, "nonRepudiation"}, {0, NULL}},
		{{NID_netscape_cert_type, "client"}, {0, NULL}},
		{{NID_name_constraints, "critical,permitted;DNS:.test"}, {0, NULL}},
		{{NID_netscape_comment, "critical,hello"}, {0, NULL}},
	};

	(void)state;
	for (size_t i = 0; i < LEN(origins); i++) {
		X509 *origin = make_origin("box.test", origins[i]);
		X509 *leaf;

		assert_null(forge_request(origin, false, -ENOTSUP));
		leaf = forge_request(origin, true, 0);
		assert_verifies(&made.cas[0], leaf, NULL);
		X509_free(leaf);
		X509_free(origin);
	}
}

static void an_intermediate_ca_verifies_up_to_its_root(void **state)
{
	struct test_ca middle = {.key = make_test_key("P-384"), .chain = sk_X509_new_null()};
	static const struct cert_ext exts[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid"},
		{0, NULL},
	};
	X509 *origin = make_origin("origin.test", usual_exts), *leaf;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	(void)state;
	middle.cert = make_test_cert(&(struct cert_spec){.cn = "Middle",
							 .key = middle.key,
							 .issuer = made.cas[3].cert,
							 .issuer_key = made.cas[3].key,
							 .exts = exts});
	leaf = forge_with(&middle, origin, "", made.leaf_keys[0]);
	sk_X509_push(middle.chain, middle.cert);
	X509_STORE_add_cert(store, made.cas[3].cert);
	X509_STORE_CTX_init(ctx, store, leaf, middle.chain);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	assert_int_equal(X509_verify_cert(ctx), 1);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(leaf);
	X509_free(origin);
	clear_ca(&middle);
}

static void the_callers_errors_stay(void **state)
{
	X509 *origin = make_origin("x", usual_exts);
	uint8_t *tbs;
	size_t len;
	int err;

	(void)state;
	ERR_raise(ERR_LIB_USER, 42);
	tbs = forge_tbs(&made.cas[0], origin, "a.test", made.leaf_keys[0], &len, &err);
	assert_int_equal(err, 0);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 42);
	assert_int_equal(ERR_peek_error(), 0);
	OPENSSL_free(tbs);
	X509_free(origin);
}

static void leaf_keys_are_made_by_name(void **state)
{
	static const int bits[LEN(leaf_kinds)] = {256, 384, 2048, 3072};
	static const char *const unknown[] = {"", "P-512", "p-256", "RSA", "RSA-512", "P-256 "};
	EVP_PKEY *key = NULL;

	(void)state;
	for (size_t i = 0; i < LEN(leaf_kinds); i++)
		assert_int_equal(EVP_PKEY_get_bits(made.leaf_keys[i]), bits[i]);
	for (size_t i = 0; i < LEN(unknown); i++)
		assert_int_equal(leaf_key_make(unknown[i], &key), -EINVAL);
	assert_null(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_usual_origin),
		cmocka_unit_test(verifies_for_every_kind_of_ca_origin_and_leaf_key),
		cmocka_unit_test(digest_goes_with_the_ca_key),
		cmocka_unit_test(extended_key_usage_is_copied_or_server_auth),
		cmocka_unit_test(purposes_that_leaves_do_not_have_are_dropped),
		cmocka_unit_test(policies_are_their_oids),
		cmocka_unit_test(basic_constraints_never_make_a_ca),
		cmocka_unit_test(key_usage_goes_with_the_leaf_key),
		cmocka_unit_test(key_identifiers_are_ours),
		cmocka_unit_test(authority_key_id_is_the_one_in_the_ca),
		cmocka_unit_test(serials_are_random_positive_and_short),
		cmocka_unit_test(validity_is_the_origins_inside_the_cas),
		cmocka_unit_test(times_have_the_form_of_the_standard),
		cmocka_unit_test(a_version_1_origin_gives_a_version_3_leaf),
		cmocka_unit_test(a_self_signed_ca_as_origin_gives_an_ordinary_leaf),
		cmocka_unit_test(what_no_leaf_can_say_is_not_said),
		cmocka_unit_test(an_intermediate_ca_verifies_up_to_its_root),
		cmocka_unit_test(the_callers_errors_stay),
		cmocka_unit_test(leaf_keys_are_made_by_name),
	};

	return cmocka_run_group_tests_name("forge", tests, make_all, free_all);
}
