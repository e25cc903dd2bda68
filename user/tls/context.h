/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_CONTEXT_H
#define KSPLIT_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/client_hello.h"
#include "tls/resumption.h"
#include "tls/side_policy.h"
#include "tls/suites.h"
#include "tls/upstream_side.h"

/*
 * What all connections share: an SSL_CTX for each kind of side (the trust store is loaded once,
 * ticket keys are one set) and the tables that say which cipher suites each can do. Immutable after
 * it was made; used by all workers.
 */
struct tls_context;

struct tls_context_options {
	const struct tls_upstream_options *upstream; /* by profile */
	size_t upstream_len; /* 0: one profile, which does not verify */
	const struct tls_policy *client_policy; /* NULL: the defaults */
	X509 *ca_cert;		  /* sent below the leaf unless it is a self-signed root; may be NULL */
	STACK_OF(X509) *ca_chain; /* certificates above it; self-signed roots are left out */
	struct tls_resumption resumption;
};

/* Caller owns *out. 0, or -ENOENT/-EINVAL/-ENOMEM/-EIO with one line in `error`. */
int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
		    char *error, size_t error_len);
void tls_context_free(struct tls_context *context);

/* Has a client that offers this a version in common with us? */
bool tls_context_serves_version(const struct tls_context *context, const struct client_hello *hello);

/*
 * Is a client without one to be refused, rather than passed? An origin of this profile?
 */
bool tls_context_refuses_old_client(const struct tls_context *context);
bool tls_context_refuses_old_origin(const struct tls_context *context, size_t profile);

/*
 * Can a client's handshake that offers this succeed at all, with a server that has these keys
 * (TLS_KEY_..., one or several)? False: nothing that we have is in common.
 */
bool tls_context_can_serve(const struct tls_context *context, const struct client_hello *hello,
			   unsigned int keys);

SSL_CTX *tls_context_client_side(const struct tls_context *context);
/* For the client's side of incoming calls. */
SSL_CTX *tls_context_service_side(const struct tls_context *context);
/* `profile` is below upstream_len. */
SSL_CTX *tls_context_upstream_side(const struct tls_context *context, size_t profile);
const char *tls_context_upstream_groups(const struct tls_context *context, size_t profile);
BIO_METHOD *tls_context_bio_method(const struct tls_context *context);
/* The certificates that follow a leaf on the wire; may be NULL. Owned by the context. */
STACK_OF(X509) *tls_context_chain(const struct tls_context *context);

#endif
