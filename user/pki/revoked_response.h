/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_REVOKED_RESPONSE_H
#define KSPLIT_PKI_REVOKED_RESPONSE_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "pki/revocation.h"

/*
 * How long before and after the moment of its signature a response is good. Before it, for clients
 * whose clock is slow: one that finds it too early would take the leaf. A browser reads none that
 * is older than a week.
 */
#define REVOKED_RESPONSE_BEFORE_S 86400
#define REVOKED_RESPONSE_AFTER_S  86400

/*
 * An OCSP response (RFC 6960 4.2) that says that `leaf`, a certificate of the CA's, is revoked,
 * signed by the CA itself (4.2.2.2) with `digest` (NULL: the key has its own), without any
 * certificate in it. Nothing else can be said by it. Caller owns *der (OPENSSL_free). 0 or -EIO.
 */
int revoked_response_make(X509 *ca_cert, EVP_PKEY *key, const EVP_MD *digest, X509 *leaf,
			  const struct revocation *revocation, time_t now, uint8_t **der,
			  size_t *len);

#endif
