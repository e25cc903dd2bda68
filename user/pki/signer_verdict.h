/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_VERDICT_H
#define KSPLIT_PKI_SIGNER_VERDICT_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "pki/revocation.h"

/* The largest TBSCertificate that is looked at: a leaf with a thousand names has 30 KiB. */
#define SIGNER_TBS_MAX 65536

/*
 * What the signing process says to a request. X(identifier, text). SIGNED and BUSY are no refusals;
 * FAILED is a signature that could not be made; all others say why a leaf is none.
 */
#define SIGNER_VERDICTS(X)                                                                         \
	X(SIGNED, "signed")                                                                        \
	X(BUSY, "more leaves a second than ca.sign_rate allows")                                   \
	X(FAILED, "the signature could not be made")                                               \
	X(TOO_LARGE, "larger than a leaf can be")                                                  \
	X(MALFORMED, "not the DER of a certificate's fields")                                      \
	X(VERSION, "not a version 3 certificate")                                                  \
	X(ISSUER, "its issuer is not the CA")                                                      \
	X(SUBJECT, "its subject is the CA's")                                                      \
	X(ALGORITHM, "its signature algorithm is not the CA's")                                    \
	X(SERIAL, "its serial number is not a positive one of at most 20 bytes")                   \
	X(VALIDITY, "its validity reaches beyond the CA's")                                        \
	X(EXTENSION, "it has an extension that leaves do not have, or one twice or malformed")     \
	X(IS_CA, "it would be a CA")                                                               \
	X(KEY_USAGE, "its key could sign certificates or revocation lists")                        \
	X(PURPOSE, "it is not for TLS servers, or for more than leaves are")                       \
	X(POLICIES, "it has more to say of its policies than leaves have")                         \
	X(KEY, "its key cannot be read, or is the CA's")                                           \
	X(REVOCATION, "it cannot be revoked as of that time, for that reason, or with that "       \
		      "number")

#define SIGNER_VERDICT_ENUM(id, text) SIGNER_##id,
enum signer_verdict { SIGNER_VERDICTS(SIGNER_VERDICT_ENUM) SIGNER_VERDICT_COUNT };
#undef SIGNER_VERDICT_ENUM

/* The sentence. Static, never NULL. */
const char *signer_verdict_text(enum signer_verdict verdict);

/* Whose leaves these must be; not owned. */
struct signer_rules {
	X509 *ca_cert;
	const X509_ALGOR *algorithm; /* of the CA's signatures */
};

/*
 * Read the DER of a TBSCertificate (RFC 5280 4.1) as a certificate that is not signed yet. Caller
 * owns the result. NULL: not that, bytes behind it, or another encoding of it than DER's only one,
 * so that what is looked at is what would be signed.
 */
X509 *signer_tbs_read(const uint8_t *tbs, size_t len, const X509_ALGOR *algorithm);

/*
 * May this be signed? SIGNER_SIGNED: yes, *out is what signer_tbs_read gives, the caller's. Only
 * what pki/forge.h makes may: a version 3 leaf for TLS servers, issued by the CA and within its
 * validity, with no extension but basicConstraints (CA:FALSE), keyUsage, extendedKeyUsage,
 * certificatePolicies (OIDs alone), subject and authority key identifier and subjectAltName.
 * pki/leaf_purpose.h has the purposes.
 */
enum signer_verdict signer_judge(const struct signer_rules *rules, const uint8_t *tbs, size_t len,
				 X509 **out);

/*
 * May a leaf that was judged so be said to be revoked, in a response of the CA's own?
 * SIGNER_SIGNED: yes. Not in the future (`now`), not for a reason that there is not (RFC
 * 5280 5.3.1), and not under the serial number of the CA's certificate, which is its own issuer's
 * if it is a root.
 */
enum signer_verdict signer_judge_revocation(const struct signer_rules *rules, const X509 *leaf,
					    const struct revocation *revocation, time_t now);

#endif
