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

#include "cert_maker.h"
#include "pki/forge.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char *const ca_kinds[] = {"P-256", "P-384", "P-521", "RSA-2048", "ED25519", "ED448"};
static const char *const origin_kinds[] = {"P-256", "RSA-2048", "ED25519"};
static const char *const leaf_kinds[] = {"P-256", "P-384", "RSA-2048", "RSA-3072"};

/* Keys are slow to make: once for all tests. */
static struct {
	struct ca cas[LEN(ca_kinds)];
	EVP_PKEY *origin_keys[LEN(origin_kinds)];
	EVP_PKEY *leaf_keys[LEN(leaf_kinds)];
} made;

static const struct cert_ext ca_exts[] = {
	{NID_basic_constraints, "critical,CA:TRUE"},
	{NID_key_usage, "critical,keyCertSign,cRLSign"},
	{NID_subject_key_identifier, "hash"},
	{0, NULL},
};

static EVP_PKEY *any_key(const char *kind)
{
	return kind[0] == 'E' ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : make_test_key(kind);
}

static struct ca make_ca(const char *kind, const struct cert_ext *exts, long from, long until)
{
	struct ca ca = {.key = any_key(kind), .chain = sk_X509_new_null()};

	ca.cert = make_test_cert(&(struct cert_spec){
		.cn = "Test CA", .key = ca.key, .exts = exts, .from = from, .until = until});
	return ca;
}

static void clear_ca(struct ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	sk_X509_free(ca->chain);
}

static int make_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++)
		made.cas[i] = make_ca(ca_kinds[i], ca_exts, -300 * DAY, 3000 * DAY);
	for (size_t i = 0; i < LEN(origin_kinds); i++)
		made.origin_keys[i] = any_key(origin_kinds[i]);
	for (size_t i = 0; i < LEN(leaf_kinds); i++)
		assert_int_equal(forge_make_key(leaf_kinds[i], &made.leaf_keys[i]), 0);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++)
		clear_ca(&made.cas[i]);
	for (size_t i = 0; i < LEN(origin_kinds); i++)
		EVP_PKEY_free(made.origin_keys[i]);
	for (size_t i = 0; i < LEN(leaf_kinds); i++)
		EVP_PKEY_free(made.leaf_keys[i]);
	return 0;
}

/* A self-signed origin with these extensions and an EC key. */
static X509 *make_origin(const char *cn, const struct cert_ext *exts)
{
	return make_test_cert(
		&(struct cert_spec){.cn = cn, .key = made.origin_keys[0], .exts = exts});
}

/* By the P-256 CA with the P-256 leaf key; as a client would get it: encoded and read again. */
static X509 *forge_with(const struct ca *ca, X509 *origin, const char *sni, EVP_PKEY *leaf_key)
{
	X509 *leaf = NULL, *read;
	unsigned char *der = NULL;
	const unsigned char *at;
	int len;

	assert_int_equal(forge_leaf(ca, origin, sni, leaf_key, &leaf), 0);
	assert_int_equal(ERR_peek_error(), 0);
	len = i2d_X509(leaf, &der);
	assert_true(len > 0);
	at = der;
	read = d2i_X509(NULL, &at, len);
	assert_non_null(read);
	OPENSSL_free(der);
	X509_free(leaf);
	return read;
}

static X509 *forge(X509 *origin, const char *sni)
{
	return forge_with(&made.cas[0], origin, sni, made.leaf_keys[0]);
}

/* The only extension of this kind, NULL: none. */
static X509_EXTENSION *ext_of(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	if (at < 0)
		return NULL;
	assert_int_equal(X509_get_ext_by_NID(cert, nid, at), -1);
	return X509_get_ext(cert, at);
}

static bool critical(X509 *cert, int nid)
{
	X509_EXTENSION *ext = ext_of(cert, nid);

	assert_non_null(ext);
	return X509_EXTENSION_get_critical(ext);
}

static void assert_same_octets(const ASN1_STRING *a, const ASN1_STRING *b)
{
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(ASN1_STRING_length(a), ASN1_STRING_length(b));
	assert_memory_equal(ASN1_STRING_get0_data(a), ASN1_STRING_get0_data(b),
			    (size_t)ASN1_STRING_length(a));
}

static void assert_same_ext(X509 *a, X509 *b, int nid)
{
	assert_non_null(ext_of(a, nid));
	assert_non_null(ext_of(b, nid));
	assert_same_octets(X509_EXTENSION_get_data(ext_of(a, nid)),
			   X509_EXTENSION_get_data(ext_of(b, nid)));
	assert_int_equal(critical(a, nid), critical(b, nid));
}

/* What clients do: chain, purpose, host (NULL: none), and the strict reading of RFC 5280. X509_V_OK
 * or why not. */
static int verify(const struct ca *ca, X509 *leaf, const char *host)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int result;

	X509_STORE_add_cert(store, ca->cert);
	X509_STORE_CTX_init(ctx, store, leaf, NULL);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if (host)
		X509_VERIFY_PARAM_set1_host(param, host, 0);
	result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return result;
}

static void assert_verifies(const struct ca *ca, X509 *leaf, const char *host)
{
	int result = verify(ca, leaf, host);

	if (result != X509_V_OK)
		fail_msg("%s: %s", host ? host : "(no host)",
			 X509_verify_cert_error_string(result));
}

/* What a TLS server's certificate usually has, and all that must not be copied. */
static const struct cert_ext usual_exts[] = {
	{NID_basic_constraints, "critical,CA:FALSE"},
	{NID_key_usage, "critical,digitalSignature,keyAgreement"},
	{NID_ext_key_usage, "serverAuth,clientAuth"},
	{NID_subject_key_identifier, "hash"},
	{NID_subject_alt_name, "DNS:origin.test,DNS:*.origin.test,IP:192.0.2.1,IP:2001:db8::1"},
	{NID_info_access, "OCSP;URI:http://ocsp.test/,caIssuers;URI:http://ca.test/ca.der"},
	{NID_crl_distribution_points, "URI:http://crl.test/ca.crl"},
	{NID_certificate_policies, "DER:300A3008060667810C010201"},
	{NID_tlsfeature, "status_request"},
	{NID_ct_precert_scts, "DER:0404000200AA"},
	{NID_netscape_comment, "hello"},
	{0, NULL},
};

static void every_field_of_a_usual_origin(void **state)
{
	static const int ours[] = {NID_basic_constraints,
				   NID_key_usage,
				   NID_ext_key_usage,
				   NID_subject_key_identifier,
				   NID_authority_key_identifier,
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
	/* nothing else: no AIA, CRL distribution points, policies, must-staple, SCTs, comments */
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

/* Subject */

static void assert_same_subject(X509 *a, X509 *b)
{
	const unsigned char *da, *db;
	size_t la, lb;

	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(a), &da, &la), 1);
	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(b), &db, &lb), 1);
	assert_int_equal(la, lb);
	assert_memory_equal(da, db, la);
}

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

static void without_any_name_there_is_no_san(void **state)
{
	static const struct cert_ext empty[] = {{NID_subject_alt_name, "DER:3000"}, {0, NULL}};
	const struct cert_ext *exts[] = {NULL, empty};

	(void)state;
	for (size_t i = 0; i < LEN(exts); i++) {
		X509 *origin = make_origin("x", exts[i]);
		X509 *leaf = forge(origin, "192.0.2.1");

		assert_null(ext_of(leaf, NID_subject_alt_name));
		assert_verifies(&made.cas[0], leaf, NULL);
		X509_free(leaf);
		X509_free(origin);
	}
}

static void a_san_that_cannot_be_read_is_refused(void **state)
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
		X509 *origin = make_origin("x", bad[i]), *leaf = NULL;

		assert_int_equal(
			forge_leaf(&made.cas[0], origin, "c.test", made.leaf_keys[0], &leaf), -EIO);
		assert_null(leaf);
		assert_int_equal(ERR_peek_error(), 0);
		X509_free(origin);
	}
}

/* extendedKeyUsage, basicConstraints, keyUsage */

static void extended_key_usage_is_copied_or_server_auth(void **state)
{
	static const char *const usages[] = {"serverAuth", "critical,serverAuth,clientAuth",
					     "clientAuth,serverAuth,1.2.3.4", "anyExtendedKeyUsage",
					     "codeSigning"};
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
	static const struct cert_ext exts[] = {
		{NID_key_usage, "keyCertSign,cRLSign,dataEncipherment"}, {0, NULL}};

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
	struct ca with = make_ca("P-256", own, 0, 0), without = make_ca("RSA-2048", none, 0, 0);
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
	struct ca ca = make_ca("P-256", ca_exts, -300 * DAY, 30000 * DAY);
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

static void a_self_signed_ca_as_origin_gives_an_ordinary_leaf(void **state)
{
	X509 *origin = make_origin("box.test", ca_exts);
	X509 *leaf = forge(origin, "box.test");

	(void)state;
	assert_int_equal(X509_check_ca(leaf), 0);
	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_verifies(&made.cas[0], leaf, "box.test");
	X509_free(leaf);
	X509_free(origin);
}

static void an_intermediate_ca_verifies_up_to_its_root(void **state)
{
	struct ca middle = {.key = make_test_key("P-384"), .chain = sk_X509_new_null()};
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
	X509 *origin = make_origin("x", usual_exts), *leaf = NULL;

	(void)state;
	ERR_raise(ERR_LIB_USER, 42);
	assert_int_equal(forge_leaf(&made.cas[0], origin, "a.test", made.leaf_keys[0], &leaf), 0);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 42);
	assert_int_equal(ERR_peek_error(), 0);
	X509_free(leaf);
	X509_free(origin);
}

static void leaf_keys_are_made_by_name(void **state)
{
	static const int bits[LEN(leaf_kinds)] = {256, 384, 2048, 3072};
	static const char *const unknown[] = {"", "P-512", "p-256", "RSA", "RSA-1024", "P-256 "};
	EVP_PKEY *key = NULL;

	(void)state;
	for (size_t i = 0; i < LEN(leaf_kinds); i++)
		assert_int_equal(EVP_PKEY_get_bits(made.leaf_keys[i]), bits[i]);
	for (size_t i = 0; i < LEN(unknown); i++)
		assert_int_equal(forge_make_key(unknown[i], &key), -EINVAL);
	assert_null(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_usual_origin),
		cmocka_unit_test(verifies_for_every_kind_of_ca_origin_and_leaf_key),
		cmocka_unit_test(digest_goes_with_the_ca_key),
		cmocka_unit_test(subject_keeps_order_sets_and_string_types),
		cmocka_unit_test(subject_is_copied_and_not_encoded_anew),
		cmocka_unit_test(empty_subject_makes_the_san_critical),
		cmocka_unit_test(san_keeps_its_criticality),
		cmocka_unit_test(every_kind_of_name_is_copied),
		cmocka_unit_test(rare_kinds_of_name_are_copied),
		cmocka_unit_test(sni_is_added_when_no_name_covers_it),
		cmocka_unit_test(an_sni_that_is_no_name_is_not_added),
		cmocka_unit_test(without_any_name_there_is_no_san),
		cmocka_unit_test(a_san_that_cannot_be_read_is_refused),
		cmocka_unit_test(extended_key_usage_is_copied_or_server_auth),
		cmocka_unit_test(basic_constraints_never_make_a_ca),
		cmocka_unit_test(key_usage_goes_with_the_leaf_key),
		cmocka_unit_test(key_identifiers_are_ours),
		cmocka_unit_test(authority_key_id_is_the_one_in_the_ca),
		cmocka_unit_test(serials_are_random_positive_and_short),
		cmocka_unit_test(validity_is_the_origins_inside_the_cas),
		cmocka_unit_test(times_have_the_form_of_the_standard),
		cmocka_unit_test(a_version_1_origin_gives_a_version_3_leaf),
		cmocka_unit_test(a_self_signed_ca_as_origin_gives_an_ordinary_leaf),
		cmocka_unit_test(an_intermediate_ca_verifies_up_to_its_root),
		cmocka_unit_test(the_callers_errors_stay),
		cmocka_unit_test(leaf_keys_are_made_by_name),
	};

	return cmocka_run_group_tests_name("forge", tests, make_all, free_all);
}
