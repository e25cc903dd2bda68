/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_FORGE_H
#define KSPLIT_PKI_FORGE_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"

/* Make a leaf key: "P-256", "P-384", "RSA-2048", "RSA-3072". Caller owns *out. 0, -EINVAL (name) or
 * -EIO. */
int forge_make_key(const char *type, EVP_PKEY **out);

/*
 * Forge a v3 leaf (RFC 5280) with the origin's subject DN (all RDNs, order and string types),
 * subjectAltName, extended key usage (else serverAuth), basicConstraints (never CA:TRUE); `sni` (""
 * or NULL: none) is added to the SAN when no name there covers it. Key usage by key type, SKI, AKI
 * and 16-byte random serial are ours; AIA, CRL DP, SCT and must-staple are not copied; validity is
 * the origin's cut to the CA's. It is not signed: *tbs is the DER of its TBSCertificate (RFC
 * 5280 4.1), the caller's (OPENSSL_free), which names `algorithm` as that of the signature to come.
 * 0, -ENOMEM or -EIO.
 */
int forge_leaf(const struct ca *ca, const X509_ALGOR *algorithm, X509 *origin, const char *sni,
	       EVP_PKEY *leaf_key, uint8_t **tbs, size_t *tbs_len);

#endif
