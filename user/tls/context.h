/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_CONTEXT_H
#define KSPLIT_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/client_hello.h"

/*
 * What all connections share: an SSL_CTX for each kind of side (the trust store is loaded once,
 * ticket keys are one set) and the tables that say which cipher suites each can do. Immutable after
 * it was made; used by all workers.
 */
struct tls_context;

struct tls_context_options {
	const char *upstream_ca;  /* PEM file; NULL: the system store */
	bool verify_upstream;
	EVP_PKEY *leaf_key;	  /* shared by every forged leaf; a reference is taken; NULL: none is */
	X509 *ca_cert;		  /* sent below the leaf unless it is a self-signed root; may be NULL */
	STACK_OF(X509) *ca_chain; /* certificates above it; self-signed roots are left out */
};

/* Caller owns *out. 0, or -ENOENT/-EINVAL/-ENOMEM/-EIO with one line in `error`. */
int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
		    char *error, size_t error_len);
void tls_context_free(struct tls_context *context);

/*
 * Can a client's handshake that offers this succeed at all? False: nothing that we have is in
 * common.
 */
bool tls_context_can_serve(const struct tls_context *context, const struct client_hello *hello);

/*
 * The same for a server whose own keys are RSA, or such as ECDSA suites can be used with, or both.
 */
bool tls_context_can_serve_with(const struct tls_context *context, const struct client_hello *hello,
				bool rsa, bool ecdsa);

SSL_CTX *tls_context_client_side(const struct tls_context *context);
/* For the client's side of incoming calls: without a key of its own. */
SSL_CTX *tls_context_service_side(const struct tls_context *context);
SSL_CTX *tls_context_upstream_side(const struct tls_context *context);
BIO_METHOD *tls_context_bio_method(const struct tls_context *context);
/* The certificates that follow a leaf on the wire; may be NULL. Owned by the context. */
STACK_OF(X509) *tls_context_chain(const struct tls_context *context);

#endif
