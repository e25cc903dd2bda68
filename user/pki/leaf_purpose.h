/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_PURPOSE_H
#define KSPLIT_PKI_LEAF_PURPOSE_H

#include <openssl/x509v3.h>
#include <stdbool.h>

/* The most policies that a leaf has. */
#define LEAF_POLICIES_MAX 32

/*
 * What leaves are for (extendedKeyUsage, RFC 5280 4.2.1.12). One rule for who makes leaves
 * (forge_extensions.c) and who signs them (signer_verdict.c).
 */

/*
 * May a leaf have this purpose beside being a TLS server's? Not: signing code, times or OCSP
 * answers, mail, log-ons to a domain; nor anyExtendedKeyUsage, which is all of that. Purposes that
 * OpenSSL has no name for may be there.
 */
bool leaf_purpose_allowed(const ASN1_OBJECT *purpose);

/* serverAuth, or one of the two old names for it (Microsoft's and Netscape's). */
bool leaf_purpose_is_server(const ASN1_OBJECT *purpose);

/*
 * certificatePolicies as leaves have them: at most LEAF_POLICIES_MAX, each without qualifiers.
 */
bool leaf_policies_allowed(const CERTIFICATEPOLICIES *policies);

#endif
