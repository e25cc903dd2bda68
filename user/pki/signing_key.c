// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/signing_key.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <time.h>

#include "pki/revoked_response.h"

struct signing_key {
	X509 *ca_cert; /* not owned */
	EVP_PKEY *key;
	X509_ALGOR *algorithm;
};

/*
 * The digest that goes with the CA's key: for EC as strong as the curve (RFC 5480 4), for EdDSA
 * none (RFC 8410), SHA-256 for the rest.
 */
static const EVP_MD *signature_digest(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448: return NULL;
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_bits(key) > 384)
			return EVP_sha512();
		return EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
	default: return EVP_sha256();
	}
}

/* Sign a copy of the CA's own certificate, which nobody gets to see, and look at it. */
static int find_algorithm(struct signing_key *key)
{
	X509 *trial = X509_dup(key->ca_cert);
	const X509_ALGOR *algorithm = NULL;
	int err = -EIO;

	if (!trial)
		return -ENOMEM;
	if (X509_sign(trial, key->key, signature_digest(key->key)) > 0) {
		X509_get0_signature(NULL, &algorithm, trial);
		key->algorithm = X509_ALGOR_dup(algorithm);
		err = key->algorithm ? 0 : -ENOMEM;
	}
	X509_free(trial);
	return err;
}

int signing_key_new(X509 *ca_cert, EVP_PKEY *key, struct signing_key **out)
{
	struct signing_key *made = calloc(1, sizeof(*made));
	int err;

	if (!made) {
		EVP_PKEY_free(key);
		return -ENOMEM;
	}
	made->ca_cert = ca_cert;
	made->key = key;
	ERR_set_mark();
	err = find_algorithm(made);
	ERR_pop_to_mark();
	if (err) {
		signing_key_free(made);
		return err;
	}
	*out = made;
	return 0;
}

void signing_key_free(struct signing_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	X509_ALGOR_free(key->algorithm);
	free(key);
}

const X509_ALGOR *signing_key_algorithm(const struct signing_key *key)
{
	return key->algorithm;
}

static struct signer_rules rules_of(const struct signing_key *key)
{
	return (struct signer_rules){.ca_cert = key->ca_cert, .algorithm = key->algorithm};
}

static int sign(const struct signing_key *key, X509 *leaf, uint8_t **cert, size_t *cert_len)
{
	uint8_t *der = NULL;
	int der_len = -1;

	ERR_set_mark();
	if (X509_sign(leaf, key->key, signature_digest(key->key)) > 0)
		der_len = i2d_X509(leaf, &der);
	ERR_pop_to_mark();
	if (der_len <= 0)
		return -EIO;
	*cert = der;
	*cert_len = (size_t)der_len;
	return 0;
}

enum signer_verdict signing_key_sign(const struct signing_key *key, const uint8_t *tbs, size_t len,
				     uint8_t **cert, size_t *cert_len)
{
	const struct signer_rules rules = rules_of(key);
	X509 *leaf = NULL;
	enum signer_verdict verdict = signer_judge(&rules, tbs, len, &leaf);

	if (verdict == SIGNER_SIGNED && sign(key, leaf, cert, cert_len))
		verdict = SIGNER_FAILED;
	X509_free(leaf);
	return verdict;
}

static int sign_revoked(const struct signing_key *key, X509 *leaf,
			const struct revocation *revocation, time_t now, struct signed_leaf *out)
{
	struct signed_leaf made = {0};
	int err = revoked_response_make(key->ca_cert, key->key, signature_digest(key->key), leaf,
					revocation, now, &made.staple, &made.staple_len);

	if (!err)
		err = sign(key, leaf, &made.cert, &made.cert_len);
	if (err)
		OPENSSL_free(made.staple);
	else
		*out = made;
	return err;
}

enum signer_verdict signing_key_sign_revoked(const struct signing_key *key, const uint8_t *tbs,
					     size_t len, const struct revocation *revocation,
					     struct signed_leaf *out)
{
	const struct signer_rules rules = rules_of(key);
	const time_t now = time(NULL);
	X509 *leaf = NULL;
	enum signer_verdict verdict = signer_judge(&rules, tbs, len, &leaf);

	if (verdict == SIGNER_SIGNED)
		verdict = signer_judge_revocation(&rules, leaf, revocation, now);
	if (verdict == SIGNER_SIGNED && sign_revoked(key, leaf, revocation, now, out))
		verdict = SIGNER_FAILED;
	X509_free(leaf);
	return verdict;
}
