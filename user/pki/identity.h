/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_IDENTITY_H
#define KSPLIT_PKI_IDENTITY_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/identity_source.h"
#include "pki/leaf_cache.h"
#include "pki/ocsp_staple.h"

/* Kinds of keys; a server may have one certificate of each for the same name. */
enum identity_kind {
	IDENTITY_RSA,
	IDENTITY_ECDSA,
	IDENTITY_ED25519,
	IDENTITY_ED448,
	IDENTITY_KINDS
};

/* A service's own certificate and key. Immutable after it was loaded. */
struct identity {
	enum identity_kind kind;
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain; /* certificates above it as in the file; may be empty, never NULL */
	uint8_t fingerprint[FINGERPRINT_LEN];
	char **names; /* lower case; "*.example.com" is a wildcard of one label */
	size_t names_len;
	bool is_default;
	struct ocsp_staple staple;
	char staple_error[256]; /* why there is none although one is configured; "" otherwise */
};

/*
 * Load and check an identity: files readable, the key fits the certificate and is of a kind and
 * length that OpenSSL serves, and there is a name (the source's; else the certificate's DNS names,
 * else its CN, RFC 9525 section 6) unless it is the default. A certificate out of its validity is
 * loaded: clients shall see what the service has (identity_warn tells it). An OCSP response that
 * cannot be shown is left out, with staple_error. Caller owns *out (identity_free). 0, or -ENOENT,
 * -EACCES, -EINVAL, -ENOMEM with one line (which file, what, how to mend) in `error`.
 */
int identity_load(const struct identity_source *source, struct identity **out, char *error,
		  size_t error_len);

/* NULL allowed. */
void identity_free(struct identity *identity);

/*
 * Into the log: a certificate out of its validity, names that it is not for, chain that does not
 * follow from it, a staple that is not shown.
 */
void identity_warn(const struct identity *identity, const struct identity_source *source);

#endif
