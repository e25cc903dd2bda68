/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CERT_MAKER_H
#define KSPLIT_TESTS_CERT_MAKER_H

/* Certificates for the unit tests of pki/. Include after cmocka.h: what fails here fails the test.
 */

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY (24 * 60 * 60L)

/* An extension as x509v3_config(5) writes its value; the list ends with nid 0. */
struct cert_ext {
	int nid;
	const char *value;
};

struct cert_spec {
	const char *cn;  /* NULL: `name`, or an empty subject */
	X509_NAME *name; /* stays the caller's */
	EVP_PKEY *key;   /* the subject's; stays the caller's */
	X509 *issuer;    /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	long from, until; /* seconds from now; both 0: yesterday to in 30 days */
	bool v1;          /* version 1, no extensions */
	const struct cert_ext *exts;
};

static inline EVP_PKEY *make_test_key(const char *type)
{
	EVP_PKEY *key;

	if (!strncmp(type, "RSA-", 4))
		key = EVP_RSA_gen((unsigned int)atoi(type + 4));
	else if (!strncmp(type, "Ed", 2))
		key = EVP_PKEY_Q_keygen(NULL, NULL, type);
	else
		key = EVP_EC_gen(type);
	assert_non_null(key);
	return key;
}

static inline void add_test_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext)
		fail_msg("extension %s = %s cannot be made", OBJ_nid2sn(nid), value);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* Sign (again, after the caller changed something). */
static inline void sign_test_cert(X509 *cert, EVP_PKEY *key)
{
	int type = EVP_PKEY_get_base_id(key);
	const EVP_MD *digest =
		type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL : EVP_sha256();

	assert_true(X509_sign(cert, key, digest) > 0);
}

static inline X509 *make_test_cert(const struct cert_spec *spec)
{
	static long serial;
	X509 *cert = X509_new();
	X509 *issuer = spec->issuer ? spec->issuer : cert;
	bool plain = !spec->from && !spec->until;

	assert_non_null(cert);
	X509_set_version(cert, spec->v1 ? X509_VERSION_1 : X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), plain ? -DAY : spec->from);
	X509_gmtime_adj(X509_getm_notAfter(cert), plain ? 30 * DAY : spec->until);
	if (spec->cn)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
					   (const unsigned char *)spec->cn, -1, -1, 0);
	else if (spec->name)
		X509_set_subject_name(cert, spec->name);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	X509_set_pubkey(cert, spec->key);
	for (const struct cert_ext *ext = spec->exts; ext && ext->nid; ext++)
		add_test_ext(cert, issuer, ext->nid, ext->value);
	sign_test_cert(cert, spec->issuer ? spec->issuer_key : spec->key);
	return cert;
}

#endif
