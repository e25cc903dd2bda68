/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_UPSTREAM_SIDE_H
#define KSPLIT_TLS_UPSTREAM_SIDE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/side_policy.h"

/*
 * The origins' side: an SSL_CTX for each profile (core/upstream.h). Profiles with the same trust
 * anchors share one X509_STORE, which is what costs memory.
 */

/* What becomes of a handshake with an origin whose certificate is not good. */
enum tls_verify {
	TLS_VERIFY_OFF, /* nobody looks */
	TLS_VERIFY_MIMIC,
	TLS_VERIFY_REQUIRE,
};

/* SHA-256 of a public key's SubjectPublicKeyInfo (RFC 7469 2.4). */
struct tls_pin {
	uint8_t sha256[32];
};

struct tls_upstream_options {
	const char *name; /* of the part of the configuration, for errors */
	const char *ca;	  /* PEM file; NULL: the system's store */
	enum tls_verify verify;
	const struct tls_pin *pins; /* one of these must be in the chain */
	size_t pins_len;	    /* 0: any key will do */
	const struct tls_policy *policy; /* NULL: the defaults */
	/*
	 * What to show when the origin asks for a client certificate; the context takes references.
	 * cert NULL: the handshake stops there (TLS_STEP_CLIENT_CERT).
	 */
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain;
};

struct tls_upstream_side {
	SSL_CTX *ctx; /* owned */
	bool refuses_old; /* origins without a version in common */
	enum tls_verify verify;
	struct tls_pin *pins; /* owned */
	size_t pins_len;
	char *groups; /* owned: the list of those that are offered */
};

/*
 * Make `len` sides of as many options: *out is an array for tls_upstream_sides_free. 0, or
 * -EINVAL/-ENOMEM/-EIO with one line in `error`.
 */
int tls_upstream_sides_new(const struct tls_upstream_options *options, size_t len,
			   struct tls_upstream_side **out, char *error, size_t error_len);

/* NULL allowed. */
void tls_upstream_sides_free(struct tls_upstream_side *sides, size_t len);

#endif
