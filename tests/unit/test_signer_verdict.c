// SPDX-License-Identifier: GPL-2.0-or-later
/* Every reason that the signing process has not to sign something. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "forge_rig.h"

static struct signing_key *key;

static int start_all(void **state)
{
	make_all(state);
	EVP_PKEY_up_ref(made.cas[0].key);
	return signing_key_new(made.cas[0].cert, made.cas[0].key, &key);
}

static int end_all(void **state)
{
	signing_key_free(key);
	return free_all(state);
}

/* What a worker of ours would send, as something that can be changed. */
static X509 *good_leaf(void)
{
	X509 *origin = make_origin("origin.test", usual_exts), *leaf;
	size_t len = 0;
	int err;
	uint8_t *tbs = forge_tbs(&made.cas[0], origin, "a.test", made.leaf_keys[0], &len, &err);

	assert_int_equal(err, 0);
	leaf = signer_tbs_read(tbs, len, signing_key_algorithm(key));
	assert_non_null(leaf);
	OPENSSL_free(tbs);
	X509_free(origin);
	return leaf;
}

static enum signer_verdict verdict_on(const uint8_t *tbs, size_t len)
{
	uint8_t *cert = NULL;
	size_t cert_len = 0;
	enum signer_verdict verdict = signing_key_sign(key, tbs, len, &cert, &cert_len);

	assert_int_equal(cert != NULL, verdict == SIGNER_SIGNED);
	assert_int_equal(ERR_peek_error(), 0);
	OPENSSL_free(cert);
	return verdict;
}

static void assert_verdict(X509 *leaf, enum signer_verdict expected)
{
	uint8_t *tbs = NULL;
	int len = i2d_re_X509_tbs(leaf, &tbs);
	enum signer_verdict verdict;

	assert_true(len > 0);
	verdict = verdict_on(tbs, (size_t)len);
	if (verdict != expected)
		fail_msg("\"%s\", expected \"%s\"", signer_verdict_text(verdict),
			 signer_verdict_text(expected));
	OPENSSL_free(tbs);
	X509_free(leaf);
}

static void a_leaf_is_signed_and_verifies(void **state)
{
	X509 *leaf = good_leaf(), *cert;
	uint8_t *tbs = NULL, *der = NULL;
	int len = i2d_re_X509_tbs(leaf, &tbs);
	const uint8_t *at;
	size_t der_len;

	(void)state;
	assert_int_equal(signing_key_sign(key, tbs, (size_t)len, &der, &der_len), SIGNER_SIGNED);
	at = der;
	cert = d2i_X509(NULL, &at, (long)der_len);
	assert_ptr_equal(at, der + der_len);
	assert_verifies(&made.cas[0], cert, "a.test");
	X509_free(cert);
	OPENSSL_free(der);
	OPENSSL_free(tbs);
	X509_free(leaf);
}

/* Whatever CA and leaf key: nothing that forge.c makes of a server's certificate is refused. */
static void all_that_we_forge_is_signed(void **state)
{
	X509 *origin = make_origin("origin.test", usual_exts);

	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++) {
		for (size_t k = 0; k < LEN(leaf_kinds); k++) {
			struct signing_key *by = NULL;
			uint8_t *tbs, *der = NULL;
			size_t len, der_len;
			int err;

			EVP_PKEY_up_ref(made.cas[i].key);
			assert_int_equal(signing_key_new(made.cas[i].cert, made.cas[i].key, &by),
					 0);
			tbs = forge_tbs(&made.cas[i], origin, "", made.leaf_keys[k], &len, &err);
			assert_int_equal(signing_key_sign(by, tbs, len, &der, &der_len),
					 SIGNER_SIGNED);
			OPENSSL_free(der);
			OPENSSL_free(tbs);
			signing_key_free(by);
		}
	}
	X509_free(origin);
}

static void what_is_no_certificate_is_refused(void **state)
{
	static uint8_t huge[SIGNER_TBS_MAX + 1];
	X509 *leaf = good_leaf();
	uint8_t *tbs = NULL, *more;
	size_t len = (size_t)i2d_re_X509_tbs(leaf, &tbs);

	(void)state;
	assert_int_equal(verdict_on(huge, sizeof(huge)), SIGNER_TOO_LARGE);
	assert_int_equal(verdict_on(huge, sizeof(huge) - 1), SIGNER_MALFORMED);
	assert_int_equal(verdict_on(tbs, 0), SIGNER_MALFORMED);
	for (size_t cut = 1; cut < len; cut += 7)
		assert_int_equal(verdict_on(tbs, cut), SIGNER_MALFORMED);
	more = OPENSSL_zalloc(len + 1);
	memcpy(more, tbs, len);
	assert_int_equal(verdict_on(more, len + 1), SIGNER_MALFORMED);
	OPENSSL_free(more);
	OPENSSL_free(tbs);
	X509_free(leaf);
}

/* A whole certificate, signed by whomever, is no TBSCertificate. */
static void a_signed_certificate_is_refused(void **state)
{
	uint8_t *der = NULL;
	int len = i2d_X509(made.cas[0].cert, &der);

	(void)state;
	assert_int_equal(verdict_on(der, (size_t)len), SIGNER_MALFORMED);
	OPENSSL_free(der);
}

/*
 * BER that OpenSSL reads would be signed as something else than was sent: a long form of a length.
 */
static void another_encoding_is_refused(void **state)
{
	X509 *leaf = good_leaf();
	uint8_t *tbs = NULL, *ber;
	size_t len = (size_t)i2d_re_X509_tbs(leaf, &tbs);

	(void)state;
	assert_int_equal(tbs[1], 0x82);
	ber = OPENSSL_malloc(len + 1);
	ber[0] = tbs[0];
	ber[1] = 0x83;
	ber[2] = 0;
	memcpy(ber + 3, tbs + 2, len - 2);
	assert_int_equal(verdict_on(ber, len + 1), SIGNER_MALFORMED);
	OPENSSL_free(ber);
	OPENSSL_free(tbs);
	X509_free(leaf);
}

static void random_damage_never_makes_more_than_a_leaf(void **state)
{
	X509 *leaf = good_leaf();
	uint8_t *tbs = NULL, *copy;
	size_t len = (size_t)i2d_re_X509_tbs(leaf, &tbs);
	unsigned int seed = 4711;

	(void)state;
	copy = OPENSSL_malloc(len);
	for (int i = 0; i < 3000; i++) {
		uint8_t *cert = NULL;
		const uint8_t *at;
		size_t cert_len;
		X509 *read;

		memcpy(copy, tbs, len);
		for (int k = rand_r(&seed) % 4; k >= 0; k--)
			copy[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
		if (signing_key_sign(key, copy, len, &cert, &cert_len) != SIGNER_SIGNED)
			continue;
		at = cert;
		read = d2i_X509(NULL, &at, (long)cert_len);
		assert_int_equal(X509_check_ca(read), 0);
		assert_int_equal(X509_verify(read, made.cas[0].key), 1);
		X509_free(read);
		OPENSSL_free(cert);
	}
	OPENSSL_free(copy);
	OPENSSL_free(tbs);
	X509_free(leaf);
	ERR_clear_error();
}

static void fields_are_checked(void **state)
{
	X509 *leaf = good_leaf();
	X509_NAME *name = X509_NAME_new();

	(void)state;
	X509_set_version(leaf, X509_VERSION_1);
	assert_verdict(leaf, SIGNER_VERSION);

	/* the same name in other letters compares as equal and is another */
	leaf = good_leaf();
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"TEST ca", -1, -1,
				   0);
	X509_set_issuer_name(leaf, name);
	assert_int_equal(X509_NAME_cmp(name, X509_get_subject_name(made.cas[0].cert)), 0);
	assert_verdict(leaf, SIGNER_ISSUER);
	leaf = good_leaf();
	X509_set_issuer_name(leaf, X509_get_subject_name(leaf));
	assert_verdict(leaf, SIGNER_ISSUER);

	leaf = good_leaf();
	X509_set_subject_name(leaf, name);
	assert_verdict(leaf, SIGNER_SUBJECT);
	X509_NAME_free(name);

	leaf = good_leaf();
	X509_ALGOR_set0((X509_ALGOR *)X509_get0_tbs_sigalg(leaf),
			OBJ_nid2obj(NID_ecdsa_with_SHA1), V_ASN1_UNDEF, NULL);
	assert_verdict(leaf, SIGNER_ALGORITHM);
}

static void set_serial_bytes(X509 *leaf, const uint8_t *bytes, int len)
{
	ASN1_STRING_set(X509_get_serialNumber(leaf), bytes, len);
}

static void serial_numbers_are_positive_and_short(void **state)
{
	static const uint8_t ones[21] = {0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6};
	static const uint8_t high[20] = {0x80};
	X509 *leaf = good_leaf();

	(void)state;
	set_serial_bytes(leaf, ones, 20);
	assert_verdict(leaf, SIGNER_SIGNED);
	leaf = good_leaf();
	set_serial_bytes(leaf, ones, 21);
	assert_verdict(leaf, SIGNER_SERIAL);
	leaf = good_leaf();
	set_serial_bytes(leaf, high, 20);
	assert_verdict(leaf, SIGNER_SERIAL);
	leaf = good_leaf();
	ASN1_INTEGER_set(X509_get_serialNumber(leaf), 0);
	assert_verdict(leaf, SIGNER_SERIAL);
	leaf = good_leaf();
	ASN1_INTEGER_set(X509_get_serialNumber(leaf), -5);
	assert_verdict(leaf, SIGNER_SERIAL);
}

static void validity_stays_inside_the_cas(void **state)
{
	X509 *leaf = good_leaf();

	(void)state;
	X509_gmtime_adj(X509_getm_notAfter(leaf), 3001 * DAY);
	assert_verdict(leaf, SIGNER_VALIDITY);
	leaf = good_leaf();
	X509_gmtime_adj(X509_getm_notBefore(leaf), -301 * DAY);
	assert_verdict(leaf, SIGNER_VALIDITY);
	leaf = good_leaf();
	X509_gmtime_adj(X509_getm_notAfter(leaf), 2999 * DAY);
	assert_verdict(leaf, SIGNER_SIGNED);
}

static void remove_ext(X509 *leaf, int nid)
{
	int at = X509_get_ext_by_NID(leaf, nid, -1);

	assert_true(at >= 0);
	X509_EXTENSION_free(X509_delete_ext(leaf, at));
}

static void assert_replaced(int nid, const char *value, enum signer_verdict expected)
{
	X509 *leaf = good_leaf();

	remove_ext(leaf, nid);
	add_test_ext(leaf, made.cas[0].cert, nid, value);
	assert_verdict(leaf, expected);
}

static void a_ca_is_refused_in_every_form(void **state)
{
	X509 *leaf;

	(void)state;
	assert_replaced(NID_basic_constraints, "critical,CA:TRUE", SIGNER_IS_CA);
	assert_replaced(NID_basic_constraints, "CA:TRUE,pathlen:0", SIGNER_IS_CA);
	assert_replaced(NID_key_usage, "critical,keyCertSign", SIGNER_KEY_USAGE);
	assert_replaced(NID_key_usage, "digitalSignature,cRLSign", SIGNER_KEY_USAGE);
	assert_replaced(NID_key_usage, "digitalSignature,keyAgreement", SIGNER_SIGNED);

	/* without basicConstraints a certificate of version 3 is no CA (RFC 5280 4.2.1.9) ... */
	leaf = good_leaf();
	remove_ext(leaf, NID_basic_constraints);
	assert_verdict(leaf, SIGNER_SIGNED);
	/* ... though some take its keyUsage for one */
	leaf = good_leaf();
	remove_ext(leaf, NID_basic_constraints);
	remove_ext(leaf, NID_key_usage);
	add_test_ext(leaf, made.cas[0].cert, NID_key_usage, "keyCertSign");
	assert_verdict(leaf, SIGNER_KEY_USAGE);
	/* the second one could be the one that a client looks at */
	leaf = good_leaf();
	add_test_ext(leaf, made.cas[0].cert, NID_basic_constraints, "CA:TRUE");
	assert_verdict(leaf, SIGNER_EXTENSION);
}

static void extensions_that_leaves_do_not_have_are_refused(void **state)
{
	static const struct cert_ext strange[] = {
		{NID_netscape_cert_type, "sslCA"},
		{NID_name_constraints, "permitted;DNS:.test"},
		{NID_info_access, "OCSP;URI:http://ocsp.test/"},
		{NID_netscape_comment, "hello"},
		{NID_subject_alt_name, "DNS:twice.test"},
		{0, NULL},
	};

	(void)state;
	for (const struct cert_ext *ext = strange; ext->nid; ext++) {
		X509 *leaf = good_leaf();

		add_test_ext(leaf, made.cas[0].cert, ext->nid, ext->value);
		assert_verdict(leaf, SIGNER_EXTENSION);
	}
	assert_replaced(NID_subject_alt_name, "DER:0401FF", SIGNER_EXTENSION);
}

static void only_servers_are_signed_for(void **state)
{
	X509 *leaf = good_leaf();

	(void)state;
	remove_ext(leaf, NID_ext_key_usage);
	assert_verdict(leaf, SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "clientAuth", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth,OCSPSigning", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth,codeSigning", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth,timeStamping", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth", SIGNER_SIGNED);
	assert_replaced(NID_ext_key_usage, "critical,serverAuth,clientAuth,1.2.3.4", SIGNER_SIGNED);
	assert_replaced(NID_ext_key_usage, "serverAuth,anyExtendedKeyUsage", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth,emailProtection", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "serverAuth,msSmartcardLogin", SIGNER_PURPOSE);
	assert_replaced(NID_ext_key_usage, "msSGC", SIGNER_SIGNED);
}

static void the_cas_own_key_is_refused(void **state)
{
	X509 *leaf = good_leaf();

	(void)state;
	X509_set_pubkey(leaf, made.cas[0].key);
	assert_verdict(leaf, SIGNER_KEY);
	leaf = good_leaf();
	X509_set_pubkey(leaf, made.cas[1].key);
	assert_verdict(leaf, SIGNER_SIGNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_signed_and_verifies),
		cmocka_unit_test(all_that_we_forge_is_signed),
		cmocka_unit_test(what_is_no_certificate_is_refused),
		cmocka_unit_test(a_signed_certificate_is_refused),
		cmocka_unit_test(another_encoding_is_refused),
		cmocka_unit_test(random_damage_never_makes_more_than_a_leaf),
		cmocka_unit_test(fields_are_checked),
		cmocka_unit_test(serial_numbers_are_positive_and_short),
		cmocka_unit_test(validity_stays_inside_the_cas),
		cmocka_unit_test(a_ca_is_refused_in_every_form),
		cmocka_unit_test(extensions_that_leaves_do_not_have_are_refused),
		cmocka_unit_test(only_servers_are_signed_for),
		cmocka_unit_test(the_cas_own_key_is_refused),
	};

	return cmocka_run_group_tests(tests, start_all, end_all);
}
