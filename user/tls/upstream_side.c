// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/upstream_side.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/context_common.h"
#include "tls/origin_verify.h"
#include "tls/session.h"

static X509_STORE *store_load(const struct tls_upstream_options *options, char *error,
			      size_t error_len)
{
	X509_STORE *store = X509_STORE_new();

	if (!store) {
		snprintf(error, error_len, "out of memory");
		return NULL;
	}
	if (options->ca ? X509_STORE_load_file(store, options->ca)
			: X509_STORE_set_default_paths(store)) {
		/* What an administrator names is trusted, a root or not, as curl and GnuTLS do. */
		if (options->ca)
			X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
		return store;
	}
	if (options->ca)
		snprintf(error, error_len,
			 "%s.ca %s: no readable PEM certificate in it (%s); name a file of "
			 "certificates that sign your origins",
			 options->name, options->ca,
			 ERR_reason_error_string(ERR_peek_last_error()));
	else
		snprintf(error, error_len, "cannot load the system's trusted certificates");
	ERR_clear_error();
	X509_STORE_free(store);
	return NULL;
}

static bool same_anchors(const struct tls_upstream_options *a, const struct tls_upstream_options *b)
{
	return a->ca && b->ca ? !strcmp(a->ca, b->ca) : a->ca == b->ca;
}

/* That of a side before this one, or a new one. */
static int trust_setup(const struct tls_upstream_options *options, size_t index,
		       const struct tls_upstream_side *sides, char *error, size_t error_len)
{
	X509_STORE *store;

	for (size_t i = 0; i < index; i++)
		if (sides[i].verify != TLS_VERIFY_OFF &&
		    same_anchors(&options[i], &options[index])) {
			SSL_CTX_set1_cert_store(sides[index].ctx,
						SSL_CTX_get_cert_store(sides[i].ctx));
			return 0;
		}
	store = store_load(&options[index], error, error_len);
	if (!store)
		return options[index].ca ? -EINVAL : -EIO;
	SSL_CTX_set_cert_store(sides[index].ctx, store);
	return 0;
}

/*
 * The origin wants to know who the client is: only the client itself can answer
 * (SSL_CTX_set_cert_cb(3)).
 */
static int on_certificate_request(SSL *ssl, void *arg)
{
	(void)ssl;
	(void)arg;
	return -1;
}

/*
 * Ours to show, in the handshake or after it - unless it is too late for OpenSSL to say anything.
 */
static int on_request_for_ours(SSL *ssl, void *arg)
{
	struct tls_session *session = tls_session_of(ssl);

	(void)arg;
	if (session->kernel_sends)
		return -1;
	if (!session->track.secret[KTLS_TX].len)
		session->was_asked = true;
	return 1;
}

/*
 * Ours to show, or the client's. A certificate that the security level does not let us show is an
 * error of the configuration.
 */
static int identity_setup(SSL_CTX *ctx, const struct tls_upstream_options *options, char *error,
			  size_t error_len)
{
	if (!options->cert) {
		SSL_CTX_set_cert_cb(ctx, on_certificate_request, NULL);
		return 0;
	}
	SSL_CTX_set_cert_cb(ctx, on_request_for_ours, NULL);
	if (SSL_CTX_use_cert_and_key(ctx, options->cert, options->key, options->chain, 1) == 1)
		return 0;
	snprintf(error, error_len, "%s.identity: OpenSSL does not take it (%s)", options->name,
		 ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	return -EINVAL;
}

static int pins_copy(const struct tls_upstream_options *options, struct tls_upstream_side *side)
{
	if (!options->pins_len)
		return 0;
	side->pins = calloc(options->pins_len, sizeof(*side->pins));
	if (!side->pins)
		return -ENOMEM;
	memcpy(side->pins, options->pins, options->pins_len * sizeof(*side->pins));
	side->pins_len = options->pins_len;
	return 0;
}

static int side_setup(const struct tls_upstream_options *options, size_t index,
		      struct tls_upstream_side *sides, char *error, size_t error_len)
{
	struct tls_upstream_side *side = &sides[index];
	int err = 0;

	side->verify = options[index].verify;
	if (pins_copy(&options[index], side))
		return -ENOMEM;
	side->ctx = SSL_CTX_new(TLS_client_method());
	if (!side->ctx)
		return -ENOMEM;
	origin_verify_setup(side->ctx, side);
	if (side->verify != TLS_VERIFY_OFF)
		err = trust_setup(options, index, sides, error, error_len);
	side->groups = strdup(tls_policy_groups(options[index].policy));
	if (!side->groups)
		return -ENOMEM;
	side->refuses_old = options[index].policy && options[index].policy->refuse_old_versions;
	if (!err)
		err = tls_context_set_common(side->ctx, options[index].policy);
	return err ? err : identity_setup(side->ctx, &options[index], error, error_len);
}

int tls_upstream_sides_new(const struct tls_upstream_options *options, size_t len,
			   struct tls_upstream_side **out, char *error, size_t error_len)
{
	struct tls_upstream_side *sides = calloc(len, sizeof(*sides));
	int err = sides ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < len; i++)
		err = side_setup(options, i, sides, error, error_len);
	if (err) {
		tls_upstream_sides_free(sides, len);
		return err;
	}
	*out = sides;
	return 0;
}

void tls_upstream_sides_free(struct tls_upstream_side *sides, size_t len)
{
	for (size_t i = 0; sides && i < len; i++) {
		SSL_CTX_free(sides[i].ctx);
		free(sides[i].pins);
		free(sides[i].groups);
	}
	free(sides);
}
