/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNING_KEY_H
#define KSPLIT_PKI_SIGNING_KEY_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/signed_leaf.h"
#include "pki/signer_verdict.h"

/* The CA's private key and what it may be used for. Lives in the signing process alone. */
struct signing_key;

/*
 * Takes over `key` (also when it fails); `ca_cert` stays the caller's and must live longer. A first
 * signature is made, so that all that OpenSSL loads late is loaded. Caller owns *out. 0, -ENOMEM or
 * -EIO (a key that cannot sign).
 */
int signing_key_new(X509 *ca_cert, EVP_PKEY *key, struct signing_key **out);
void signing_key_free(struct signing_key *key);

/* The algorithm of its signatures, with parameters; owned by the key. */
const X509_ALGOR *signing_key_algorithm(const struct signing_key *key);

/*
 * Judge a TBSCertificate and sign it. SIGNER_SIGNED: *cert is the DER of the whole certificate, the
 * caller's (OPENSSL_free). Anything else: nothing was signed.
 */
enum signer_verdict signing_key_sign(const struct signing_key *key, const uint8_t *tbs, size_t len,
				     uint8_t **cert, size_t *cert_len);

/*
 * The same for a leaf that is to be revoked as soon as it is there: with the OCSP response that
 * says so (pki/revoked_response.h), and never without. SIGNER_SIGNED: *out has both, the caller's
 * (OPENSSL_free). There is no way to have anything said of a certificate that was signed before.
 */
enum signer_verdict signing_key_sign_revoked(const struct signing_key *key, const uint8_t *tbs,
					     size_t len, const struct revocation *revocation,
					     struct signed_leaf *out);

#endif
