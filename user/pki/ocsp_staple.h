/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_OCSP_STAPLE_H
#define KSPLIT_PKI_OCSP_STAPLE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "pki/revocation.h"

/* A response of an OCSP responder as it is shown to clients (RFC 6066 section 8). */
struct ocsp_staple {
	uint8_t *der; /* owned; NULL: none */
	size_t len;
	time_t from, until; /* thisUpdate, nextUpdate; until 0: none given */
};

/*
 * Read a DER response and check that it may be shown for `cert`: successful, about this certificate
 * (RFC 6960 4.1.1), status good, in its validity and, where `chain` holds the issuer, signed by it
 * or by a responder of its own (RFC 6960 4.2.2.2). 0 with *out filled (ocsp_staple_free), or
 * -ENOENT, -EACCES, -EINVAL or -ENOMEM with one line in `error`.
 */
int ocsp_staple_load(const char *path, X509 *cert, STACK_OF(X509) *chain, struct ocsp_staple *out,
		     char *error, size_t error_len);

/*
 * Does a DER response that an origin stapled say that `cert` is revoked? Only one that is about it,
 * in its validity, and signed by the issuer in `chain` or by a responder of that one can say so;
 * anything else says nothing. The bytes may be anybody's. True: *out has since when (not before
 * 1970, and not after now) and why.
 */
bool ocsp_staple_revokes(const uint8_t *der, size_t len, X509 *cert, STACK_OF(X509) *chain,
			 struct revocation *out);

/* May it be shown at this moment? False without one. */
bool ocsp_staple_is_fresh(const struct ocsp_staple *staple, time_t now);

/* A copy of its own for *to, which held nothing. 0 or -ENOMEM. */
int ocsp_staple_copy(struct ocsp_staple *to, const struct ocsp_staple *from);

void ocsp_staple_free(struct ocsp_staple *staple);

#endif
