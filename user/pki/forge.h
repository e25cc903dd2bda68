/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_FORGE_H
#define KSPLIT_PKI_FORGE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"

/* What a leaf is made of; nothing is owned, and it is used during the call alone. */
struct forge_request {
	const struct ca *ca;         /* who will sign, */
	const X509_ALGOR *algorithm; /* and how */
	X509 *origin;
	EVP_PKEY *leaf_key;
	const char *name; /* a dNSName that is added (forge_name_missing); "" or NULL: none */
	bool hide;        /* what is wrong with the origin's certificate is not to be seen */
};

/*
 * Forge a v3 leaf (RFC 5280) that says what the origin's certificate says: subject, names,
 * purposes, policies (their OIDs), validity cut to the CA's; never CA:TRUE. docs/forging.md has
 * each field. It is not signed: *tbs is the DER of its TBSCertificate (RFC 5280 4.1), the caller's
 * (OPENSSL_free). 0; -ENOTSUP: no leaf can say what the origin's certificate says, or none that
 * may be signed; -ENOMEM or -EIO.
 */
int forge_leaf(const struct forge_request *request, uint8_t **tbs, size_t *tbs_len);

#endif
