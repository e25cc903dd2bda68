/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_TWIN_H
#define KSPLIT_PKI_TWIN_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"
#include "pki/signer_verdict.h"

/*
 * The CA's untrusted twin: the same subject and validity, but a key of its own (P-256), made at
 * start, kept in memory alone and in nobody's trust store. It signs leaves of origins whose chain
 * does not verify: a client finds no issuer of theirs, as it would have found none of the origin's.
 * The key identifiers differ from the CA's, so that the CA is not even tried (RFC 5280 4.2.1.1).
 *
 * Whoever has its key can make nobody believe anything: it lives in the daemon itself. What it
 * signs is judged as the signing process judges. Immutable; any thread.
 */
struct twin;

/* Caller owns *out. 0, -ENOMEM or -EIO. */
int twin_new(const struct ca *ca, struct twin **out);
void twin_free(struct twin *twin); /* NULL allowed */

/* Its certificate as one of a CA, without chain and constraints; the twin's own. */
const struct ca *twin_ca(const struct twin *twin);

/* What is to be signed by it names this. */
const X509_ALGOR *twin_algorithm(const struct twin *twin);

/* As signing_key_sign. *cert is the caller's (OPENSSL_free). */
enum signer_verdict twin_sign(const struct twin *twin, const uint8_t *tbs, size_t len,
			      uint8_t **cert, size_t *cert_len);

#endif
