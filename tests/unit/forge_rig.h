/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_FORGE_RIG_H
#define KSPLIT_TESTS_FORGE_RIG_H

/* CAs, origins and leaves for the tests of pki/forge.h. After cmocka.h. */

#include <openssl/err.h>

#include "cert_maker.h"
#include "pki/ca.h"
#include "pki/forge.h"
#include "pki/forge_names.h"
#include "pki/leaf_keys.h"
#include "pki/signer_verdict.h"
#include "pki/signing_key.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char *const ca_kinds[] = {"P-256", "P-384", "P-521", "RSA-2048", "ED25519", "ED448"};
static const char *const origin_kinds[] = {"P-256", "RSA-2048", "ED25519"};
static const char *const leaf_kinds[] = {"P-256", "P-384", "RSA-2048", "RSA-3072"};

/* A CA with its key, which the daemon has in a process of its own. */
struct test_ca {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain;
};

/* Keys are slow to make: once for all tests. */
static struct {
	struct test_ca cas[LEN(ca_kinds)];
	EVP_PKEY *origin_keys[LEN(origin_kinds)];
	EVP_PKEY *leaf_keys[LEN(leaf_kinds)];
} made;

static const struct cert_ext ca_exts[] = {
	{NID_basic_constraints, "critical,CA:TRUE"},
	{NID_key_usage, "critical,keyCertSign,cRLSign"},
	{NID_subject_key_identifier, "hash"},
	{0, NULL},
};

static inline EVP_PKEY *any_key(const char *kind)
{
	return kind[0] == 'E' ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : make_test_key(kind);
}

static inline struct test_ca make_ca(const char *kind, const struct cert_ext *exts, long from,
				long until)
{
	struct test_ca ca = {.key = any_key(kind), .chain = sk_X509_new_null()};

	ca.cert = make_test_cert(&(struct cert_spec){
		.cn = "Test CA", .key = ca.key, .exts = exts, .from = from, .until = until});
	return ca;
}

static inline void clear_ca(struct test_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	sk_X509_free(ca->chain);
}

static inline int make_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(ca_kinds); i++)
		made.cas[i] = make_ca(ca_kinds[i], ca_exts, -300 * DAY, 3000 * DAY);
	for (size_t i = 0; i < LEN(origin_kinds); i++)
		made.origin_keys[i] = any_key(origin_kinds[i]);
	for (size_t i = 0; i < LEN(leaf_kinds); i++)
		assert_int_equal(leaf_key_make(leaf_kinds[i], &made.leaf_keys[i]), 0);
	return 0;
}

static inline int free_all(void **state)
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
static inline X509 *make_origin(const char *cn, const struct cert_ext *exts)
{
	return make_test_cert(
		&(struct cert_spec){.cn = cn, .key = made.origin_keys[0], .exts = exts});
}

/*
 * The DER of what a CA would sign; NULL when there is none, and why. Caller owns it (OPENSSL_free).
 */
static inline uint8_t *forge_tbs(const struct test_ca *by, X509 *origin, const char *sni,
				 EVP_PKEY *leaf_key, size_t *len, int *err)
{
	const struct ca ca = {.cert = by->cert, .chain = by->chain};
	struct forge_request request = {.ca = &ca, .origin = origin, .leaf_key = leaf_key};
	char name[FORGE_NAME_MAX + 1];
	struct signing_key *key = NULL;
	uint8_t *tbs = NULL;

	EVP_PKEY_up_ref(by->key);
	assert_int_equal(signing_key_new(by->cert, by->key, &key), 0);
	request.algorithm = signing_key_algorithm(key);
	forge_name_missing(origin, sni, false, name);
	request.name = name;
	*err = forge_leaf(&request, &tbs, len);
	signing_key_free(key);
	return tbs;
}

/* As a client would get it: signed, whatever the signing process would say to it. */
static inline X509 *forge_with(const struct test_ca *ca, X509 *origin, const char *sni,
			       EVP_PKEY *leaf_key)
{
	struct signing_key *key = NULL;
	size_t len = 0;
	int err;
	uint8_t *tbs = forge_tbs(ca, origin, sni, leaf_key, &len, &err);
	int type = EVP_PKEY_get_base_id(ca->key);
	int bits = EVP_PKEY_get_bits(ca->key);
	const EVP_MD *digest = type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL
			       : type != EVP_PKEY_EC || bits <= 256		  ? EVP_sha256()
			       : bits <= 384					  ? EVP_sha384()
										  : EVP_sha512();
	X509 *leaf;

	assert_int_equal(err, 0);
	assert_int_equal(ERR_peek_error(), 0);
	EVP_PKEY_up_ref(ca->key);
	assert_int_equal(signing_key_new(ca->cert, ca->key, &key), 0);
	leaf = signer_tbs_read(tbs, len, signing_key_algorithm(key));
	assert_non_null(leaf);
	assert_true(X509_sign(leaf, ca->key, digest) > 0);
	signing_key_free(key);
	OPENSSL_free(tbs);
	return leaf;
}

/* By the P-256 CA with the P-256 leaf key. */
static inline X509 *forge(X509 *origin, const char *sni)
{
	return forge_with(&made.cas[0], origin, sni, made.leaf_keys[0]);
}

/* The only extension of this kind, NULL: none. */
static inline X509_EXTENSION *ext_of(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	if (at < 0)
		return NULL;
	assert_int_equal(X509_get_ext_by_NID(cert, nid, at), -1);
	return X509_get_ext(cert, at);
}

static inline bool critical(X509 *cert, int nid)
{
	X509_EXTENSION *ext = ext_of(cert, nid);

	assert_non_null(ext);
	return X509_EXTENSION_get_critical(ext);
}

static inline void assert_same_octets(const ASN1_STRING *a, const ASN1_STRING *b)
{
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(ASN1_STRING_length(a), ASN1_STRING_length(b));
	assert_memory_equal(ASN1_STRING_get0_data(a), ASN1_STRING_get0_data(b),
			    (size_t)ASN1_STRING_length(a));
}

static inline void assert_same_ext(X509 *a, X509 *b, int nid)
{
	assert_non_null(ext_of(a, nid));
	assert_non_null(ext_of(b, nid));
	assert_same_octets(X509_EXTENSION_get_data(ext_of(a, nid)),
			   X509_EXTENSION_get_data(ext_of(b, nid)));
	assert_int_equal(critical(a, nid), critical(b, nid));
}

static inline void assert_same_subject(X509 *a, X509 *b)
{
	const unsigned char *da, *db;
	size_t la, lb;

	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(a), &da, &la), 1);
	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(b), &db, &lb), 1);
	assert_int_equal(la, lb);
	assert_memory_equal(da, db, la);
}

/* What clients do: chain, purpose, host (NULL: none), and the strict reading of RFC 5280. X509_V_OK
 * or why not. */
static inline int verify(const struct test_ca *ca, X509 *leaf, const char *host)
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

static inline void assert_verifies(const struct test_ca *ca, X509 *leaf, const char *host)
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

#endif
