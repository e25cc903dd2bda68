// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/twin.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "pki/signing_key.h"

struct twin {
	struct ca ca; /* the certificate alone */
	struct signing_key *key;
};

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	int added;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	added = extension ? X509_add_ext(cert, extension, -1) : 0;
	X509_EXTENSION_free(extension);
	return added == 1 ? 0 : -EIO;
}

static int set_fields(X509 *cert, const X509 *ca_cert, EVP_PKEY *key)
{
	uint64_t serial = 0;

	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1 ||
	    !ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial | 1) ||
	    !X509_set_version(cert, X509_VERSION_3) ||
	    !X509_set_subject_name(cert, X509_get_subject_name(ca_cert)) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(ca_cert)) ||
	    !X509_set1_notBefore(cert, X509_get0_notBefore(ca_cert)) ||
	    !X509_set1_notAfter(cert, X509_get0_notAfter(ca_cert)) || !X509_set_pubkey(cert, key))
		return -EIO;
	return 0;
}

static int build(X509 *cert, const X509 *ca_cert, EVP_PKEY *key)
{
	int err = set_fields(cert, ca_cert, key);

	if (!err)
		err = add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (!err)
		err = add_extension(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (!err)
		err = add_extension(cert, NID_subject_key_identifier, "hash");
	return !err && X509_sign(cert, key, EVP_sha256()) <= 0 ? -EIO : err;
}

/* Read back what was built: nothing of it is left to be encoded when threads look at it. */
static int make_cert(const X509 *ca_cert, EVP_PKEY *key, X509 **out)
{
	X509 *cert = X509_new();
	int err = cert ? build(cert, ca_cert, key) : -ENOMEM;

	if (!err) {
		*out = X509_dup(cert);
		err = *out ? 0 : -ENOMEM;
	}
	if (!err)
		X509_check_purpose(*out, -1, 0);
	X509_free(cert);
	return err;
}

static int fill(struct twin *twin, const struct ca *ca)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int err;

	if (!key)
		return -EIO;
	err = make_cert(ca->cert, key, &twin->ca.cert);
	twin->ca.chain = sk_X509_new_null();
	if (!err && !twin->ca.chain)
		err = -ENOMEM;
	if (err) {
		EVP_PKEY_free(key);
		return err;
	}
	return signing_key_new(twin->ca.cert, key, &twin->key);
}

int twin_new(const struct ca *ca, struct twin **out)
{
	struct twin *twin = calloc(1, sizeof(*twin));
	int err;

	if (!twin)
		return -ENOMEM;
	ERR_set_mark();
	err = fill(twin, ca);
	ERR_pop_to_mark();
	if (err)
		twin_free(twin);
	else
		*out = twin;
	return err;
}

void twin_free(struct twin *twin)
{
	if (!twin)
		return;
	signing_key_free(twin->key);
	X509_free(twin->ca.cert);
	sk_X509_free(twin->ca.chain);
	free(twin);
}

const struct ca *twin_ca(const struct twin *twin)
{
	return &twin->ca;
}

const X509_ALGOR *twin_algorithm(const struct twin *twin)
{
	return signing_key_algorithm(twin->key);
}

enum signer_verdict twin_sign(const struct twin *twin, const uint8_t *tbs, size_t len,
			      uint8_t **cert, size_t *cert_len)
{
	return signing_key_sign(twin->key, tbs, len, cert, cert_len);
}
