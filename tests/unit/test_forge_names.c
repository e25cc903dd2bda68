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

/* Subject */

static void check_subject(X509_NAME *name)
{
	X509 *origin = make_test_cert(
		&(struct cert_spec){.name = name, .key = made.origin_keys[0], .exts = usual_exts});
	X509 *leaf = forge(origin, "");

	assert_same_subject(origin, leaf);
	X509_free(leaf);
	X509_free(origin);
}

static void add_rdn(X509_NAME *name, int nid, int type, const char *bytes, int len, int set)
{
	assert_int_equal(X509_NAME_add_entry_by_NID(name, nid, type, (const unsigned char *)bytes,
						    len, -1, set),
			 1);
}

static void subject_keeps_order_sets_and_string_types(void **state)
{
	X509_NAME *name = X509_NAME_new();

	(void)state;
	/* set 0 a new RDN, -1 one more value in the RDN before */
	add_rdn(name, NID_commonName, V_ASN1_UTF8STRING,
		"b\xc3\xbc"
		"cher.test",
		-1, 0);
	add_rdn(name, NID_countryName, V_ASN1_PRINTABLESTRING, "DE", -1, 0);
	add_rdn(name, NID_organizationName, V_ASN1_BMPSTRING, "\0O\0r\0g", 6, 0);
	add_rdn(name, NID_organizationalUnitName, V_ASN1_T61STRING, "B\xfcro", 4, -1);
	add_rdn(name, NID_serialNumber, V_ASN1_PRINTABLESTRING, "HRB 1", -1, -1);
	add_rdn(name, NID_localityName, V_ASN1_UNIVERSALSTRING, "\0\0\0L", 4, 0);
	add_rdn(name, NID_pkcs9_emailAddress, V_ASN1_IA5STRING, "a@b.test", -1, 0);
	add_rdn(name, NID_commonName, V_ASN1_PRINTABLESTRING, "second", -1, 0);
	check_subject(name);
	X509_NAME_free(name);
}

/* Not DER: the values of the set in the wrong order. OpenSSL would sort them if it encoded the name
 * anew. */
static void subject_is_copied_and_not_encoded_anew(void **state)
{
	static const unsigned char der[] = {
		0x30, 0x1a, 0x31, 0x18, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c,
		0x03, 'z',  'z',  'z',                                                 /* OU=zzz */
		0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x03, 'a',  'a',  'a', /* CN=aaa */
	};
	const unsigned char *at = der;
	X509_NAME *name = d2i_X509_NAME(NULL, &at, sizeof(der));

	(void)state;
	assert_non_null(name);
	assert_int_equal(X509_NAME_entry_count(name), 2);
	check_subject(name);
	X509_NAME_free(name);
}

static void empty_subject_makes_the_san_critical(void **state)
{
	static const struct cert_ext san[] = {{NID_subject_alt_name, "DNS:origin.test"}, {0, NULL}};
	static const struct {
		const struct cert_ext *exts;
		const char *sni;
	} rows[] = {{san, ""}, {san, "other.test"}, {NULL, "other.test"}};
	X509 *origin, *leaf;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		origin = make_origin(NULL, rows[i].exts);
		leaf = forge(origin, rows[i].sni);
		assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(leaf)), 0);
		assert_true(critical(leaf, NID_subject_alt_name));
		assert_verifies(&made.cas[0], leaf, rows[i].sni[0] ? rows[i].sni : "origin.test");
		X509_free(leaf);
		X509_free(origin);
	}
}

/* subjectAltName */

static void san_keeps_its_criticality(void **state)
{
	static const struct cert_ext exts[] = {{NID_subject_alt_name, "critical,DNS:origin.test"},
					       {0, NULL}};
	X509 *origin = make_origin("x", exts);
	X509 *leaf = forge(origin, "");
	X509 *more = forge(origin, "other.test");

	(void)state;
	assert_same_ext(leaf, origin, NID_subject_alt_name);
	assert_true(critical(more, NID_subject_alt_name));
	X509_free(more);
	X509_free(leaf);
	X509_free(origin);
}

static GENERAL_NAMES *read_names(X509 *cert)
{
	return X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
}

static void assert_last_is_dns(GENERAL_NAMES *names, const char *expected)
{
	GENERAL_NAME *last = sk_GENERAL_NAME_value(names, sk_GENERAL_NAME_num(names) - 1);

	assert_int_equal(last->type, GEN_DNS);
	assert_int_equal(ASN1_STRING_length(last->d.dNSName), strlen(expected));
	assert_memory_equal(ASN1_STRING_get0_data(last->d.dNSName), expected, strlen(expected));
}

static void push_name(GENERAL_NAMES *names, int type, void *value)
{
	GENERAL_NAME *name = GENERAL_NAME_new();

	GENERAL_NAME_set0_value(name, type, value);
	sk_GENERAL_NAME_push(names, name);
}

/* Every kind of GeneralName but the two rarest. */
static X509 *origin_with_every_kind_of_name(void)
{
	X509 *origin = make_origin(
		"x", (const struct cert_ext[]){
			     {NID_subject_alt_name,
			      "DNS:origin.test,IP:192.0.2.7,IP:2001:db8::7,email:a@b.test,"
			      "URI:https://origin.test/path,RID:1.2.3.4,"
			      "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@b.test"},
			     {0, NULL}});
	GENERAL_NAMES *names = read_names(origin);
	X509_NAME *directory = X509_NAME_new();

	add_rdn(directory, NID_commonName, V_ASN1_BMPSTRING, "\0d", 2, 0);
	push_name(names, GEN_DIRNAME, directory);
	assert_int_equal(
		X509_add1_ext_i2d(origin, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE), 1);
	sign_test_cert(origin, made.origin_keys[0]);
	GENERAL_NAMES_free(names);
	return origin;
}

static void every_kind_of_name_is_copied(void **state)
{
	X509 *origin = origin_with_every_kind_of_name();
	X509 *same = forge(origin, "origin.test");
	X509 *more = forge(origin, "sni.test");
	GENERAL_NAMES *before = read_names(origin), *after = read_names(more);

	(void)state;
	assert_same_ext(same, origin, NID_subject_alt_name);
	assert_int_equal(sk_GENERAL_NAME_num(before), 8);
	assert_int_equal(sk_GENERAL_NAME_num(after), 9);
	for (int i = 0; i < 8; i++)
		assert_int_equal(GENERAL_NAME_cmp(sk_GENERAL_NAME_value(before, i),
						  sk_GENERAL_NAME_value(after, i)),
				 0);
	assert_last_is_dns(after, "sni.test");
	assert_int_equal(X509_check_ip_asc(more, "2001:db8::7", 0), 1);
	assert_int_equal(X509_check_email(more, "a@b.test", 0, 0), 1);
	GENERAL_NAMES_free(before);
	GENERAL_NAMES_free(after);
	X509_free(more);
	X509_free(same);
	X509_free(origin);
}

/* An x400Address and an ediPartyName, which OpenSSL reads but writes nowhere: raw. */
static void rare_kinds_of_name_are_copied(void **state)
{
	static const char *const sans[] = {
		"DER:300AA3023000820474657374",       /* x400Address, DNS:test */
		"DER:300DA505A1030C0161820474657374", /* ediPartyName (partyName a), DNS:test */
	};

	(void)state;
	for (size_t i = 0; i < LEN(sans); i++) {
		X509 *origin = make_origin(
			"x", (const struct cert_ext[]){{NID_subject_alt_name, sans[i]}, {0, NULL}});
		X509 *leaf = forge(origin, "");

		assert_same_ext(leaf, origin, NID_subject_alt_name);
		X509_free(leaf);
		X509_free(origin);
	}
}

/* How many names are added to the origin's for this SNI; the leaf's own names are checked by the
 * caller. */
static void check_sni(const char *san, const char *sni, const char *added)
{
	struct cert_ext exts[] = {{NID_subject_alt_name, san}, {0, NULL}};
	X509 *origin = make_origin("cn.test", san ? exts : NULL);
	X509 *leaf = forge(origin, sni);
	GENERAL_NAMES *before = read_names(origin), *after = read_names(leaf);
	int count_before = before ? sk_GENERAL_NAME_num(before) : 0;
	int count_after = after ? sk_GENERAL_NAME_num(after) : 0;

	if (count_after - count_before != (added != NULL))
		fail_msg("SAN %s and SNI \"%s\": %d names added", san ? san : "(none)",
			 sni ? sni : "(null)", count_after - count_before);
	if (added) {
		assert_last_is_dns(after, added);
		assert_verifies(&made.cas[0], leaf, added);
	}
	GENERAL_NAMES_free(before);
	GENERAL_NAMES_free(after);
	X509_free(leaf);
	X509_free(origin);
}

/* RFC 6125 6.4.3: a wildcard is the whole left-most label and stands for exactly one. */
static void sni_is_added_when_no_name_covers_it(void **state)
{
	static const struct {
		const char *san, *sni, *added;
	} rows[] = {
		{"DNS:a.test", "a.test", NULL},
		{"DNS:A.Test", "a.test", NULL},
		{"DNS:a.test", "A.TEST", NULL},
		{"DNS:a.test", "b.test", "b.test"},
		{"DNS:a.test", "B.Test", "b.test"},
		{"DNS:a.test", "x.a.test", "x.a.test"},
		{"DNS:*.a.test", "x.a.test", NULL},
		{"DNS:*.a.test", "a.test", "a.test"},
		{"DNS:*.a.test", "y.x.a.test", "y.x.a.test"},
		{"DNS:x*.a.test", "xy.a.test", "xy.a.test"},
		{"DNS:x.*.test", "x.a.test", "x.a.test"},
		{"IP:192.0.2.1", "a.test", "a.test"},
		{"email:a@a.test", "a.test", "a.test"},
		{"URI:https://a.test/", "a.test", "a.test"},
		{NULL, "a.test", "a.test"},
		{NULL, "cn.test", "cn.test"}, /* the CN does not count */
		{NULL, "localhost", "localhost"},
		{NULL, "my_service.cluster.local", "my_service.cluster.local"},
		{NULL, "xn--bcher-kva.test", "xn--bcher-kva.test"},
		{NULL, "4.test", "4.test"},
		{NULL, "1e100.net", "1e100.net"},
		{NULL, "a.test.", "a.test"}, /* RFC 6066 3: without the last dot */
		{NULL, "", NULL},
		{NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		check_sni(rows[i].san, rows[i].sni, rows[i].added);
}

static void an_sni_that_is_no_name_is_not_added(void **state)
{
	static const char *const bad[] = {
		".", "..", ".a.test", "a..test", "a.test..", "-a.test", "a-.test", "*.a.test", "*",
		"a b.test", "a\n.test", "a/b", "b\xc3\xbc.test", "192.0.2.1", "1", "2001:db8::1",
		"[::1]", "a.test:443", "a@b.test", "a\x7f.test", "a'.test",
		/* a label of 64 */
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"};
	char name[300];

	(void)state;
	for (size_t i = 0; i < LEN(bad); i++)
		check_sni("IP:192.0.2.1", bad[i], NULL);
	/* "a." repeated: 253 bytes are the limit */
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	check_sni("IP:192.0.2.1", name, name);
	name[253] = '.';
	name[255] = '\0';
	check_sni("IP:192.0.2.1", name, NULL);
}

/* A common name is a name to clients of old only: whether it is one is the caller's to say. */
static void a_common_name_may_count(void **state)
{
	static const struct cert_ext address[] = {{NID_subject_alt_name, "IP:192.0.2.1"},
						  {0, NULL}};
	static const struct cert_ext other[] = {{NID_subject_alt_name, "DNS:b.test"}, {0, NULL}};
	static const struct {
		const struct cert_ext *exts;
		bool missing; /* where the subject counts */
	} rows[] = {{NULL, false}, {address, false}, {other, true}};
	char name[FORGE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		X509 *origin = make_origin("a.test", rows[i].exts);

		assert_true(forge_name_missing(origin, "A.test.", false, name));
		assert_string_equal(name, "a.test");
		assert_int_equal(forge_name_missing(origin, "a.test", true, name), rows[i].missing);
		assert_string_equal(name, rows[i].missing ? "a.test" : "");
		assert_true(forge_name_missing(origin, "c.test", true, name));
		X509_free(origin);
	}
}

static void no_name_is_invented(void **state)
{
	static const struct cert_ext empty[] = {{NID_subject_alt_name, "DER:3000"}, {0, NULL}};
	const struct cert_ext *exts[] = {NULL, empty};

	(void)state;
	for (size_t i = 0; i < LEN(exts); i++) {
		X509 *origin = make_origin("x", exts[i]);
		X509 *leaf = forge(origin, "192.0.2.1");

		if (exts[i])
			assert_same_ext(leaf, origin, NID_subject_alt_name);
		else
			assert_null(ext_of(leaf, NID_subject_alt_name));
		/* as the origin's would be: strict readers want a name in it */
		assert_int_equal(verify(&made.cas[0], leaf, NULL),
				 exts[i] ? X509_V_ERR_EMPTY_SUBJECT_ALT_NAME : X509_V_OK);
		X509_free(leaf);
		X509_free(origin);
	}
}

static void a_san_that_cannot_be_read_has_no_leaf(void **state)
{
	static const struct cert_ext bad[][3] = {
		{{NID_subject_alt_name, "DER:0401FF"}, {0, NULL}},
		{{NID_subject_alt_name, "DER:30058203AA"}, {0, NULL}},
		{{NID_subject_alt_name, "DNS:a.test"},
		 {NID_subject_alt_name, "DNS:b.test"},
		 {0, NULL}},
	};

	(void)state;
	for (size_t i = 0; i < LEN(bad); i++) {
		X509 *origin = make_origin("x", bad[i]);
		size_t len;
		int err;

		assert_null(forge_tbs(&made.cas[0], origin, "c.test", made.leaf_keys[0], &len,
				      &err));
		assert_int_equal(err, -ENOTSUP);
		assert_int_equal(ERR_peek_error(), 0);
		X509_free(origin);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subject_keeps_order_sets_and_string_types),
		cmocka_unit_test(subject_is_copied_and_not_encoded_anew),
		cmocka_unit_test(empty_subject_makes_the_san_critical),
		cmocka_unit_test(san_keeps_its_criticality),
		cmocka_unit_test(every_kind_of_name_is_copied),
		cmocka_unit_test(rare_kinds_of_name_are_copied),
		cmocka_unit_test(sni_is_added_when_no_name_covers_it),
		cmocka_unit_test(an_sni_that_is_no_name_is_not_added),
		cmocka_unit_test(a_common_name_may_count),
		cmocka_unit_test(no_name_is_invented),
		cmocka_unit_test(a_san_that_cannot_be_read_has_no_leaf),
	};

	return cmocka_run_group_tests_name("forge_names", tests, make_all, free_all);
}
