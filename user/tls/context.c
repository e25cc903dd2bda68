// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/context.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/context_common.h"
#include "tls/key_track.h"
#include "tls/openssl_compat.h"
#include "tls/session.h"
#include "tls/sock_bio.h"

struct tls_context {
	SSL_CTX *client_side;
	SSL_CTX *service_side;
	struct tls_upstream_side *upstream_sides; /* by profile */
	size_t upstream_len;
	BIO_METHOD *bio_method;
	STACK_OF(X509) *chain;
	struct tls_suites *suites; /* those that a handshake can end in */
	bool refuses_old_client;
};

static bool is_self_signed(X509 *cert)
{
	return X509_get_extension_flags(cert) & EXFLAG_SS;
}

static int chain_add(struct tls_context *context, X509 *cert)
{
	if (is_self_signed(cert))
		return 0;
	if (!X509_add_cert(context->chain, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP))
		return -ENOMEM;
	return 0;
}

static int chain_build(struct tls_context *context, const struct tls_context_options *options)
{
	int err;

	context->chain = sk_X509_new_null();
	if (!context->chain)
		return -ENOMEM;
	err = options->ca_cert ? chain_add(context, options->ca_cert) : 0;
	for (int i = 0; !err && i < sk_X509_num(options->ca_chain); i++)
		err = chain_add(context, sk_X509_value(options->ca_chain, i));
	return err;
}

int tls_context_set_common(SSL_CTX *ctx, const struct tls_policy *policy)
{
	const char *what;
	int rc;

	/*
	 * A FIN without close_notify is not OpenSSL's to judge: it is forwarded as what it is, and
	 * the other direction goes on. Whether there was a close_notify is what key_track saw.
	 */
	/* OpenSSL would leave what it decrypted in its buffers, also in those that it frees. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF | TLS_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 0); /* not a byte past the handshake: the kernel wants it */
	rc = tls_policy_apply(ctx, policy, &what);
	if (rc)
		return rc == -ENOMEM ? rc : -EIO;
	key_track_prepare(ctx);
	return 0;
}

/* As a server: certificate and key come with each session. */
static int server_side_setup(SSL_CTX **out, const struct tls_context_options *options)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int err;

	*out = ctx;
	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_dh_auto(ctx, 1);
	tls_session_prepare_client_side(ctx);
	err = tls_context_set_common(ctx, options->client_policy);
	return err ? err : tls_resumption_set_client_side(ctx, &options->resumption);
}

static int upstream_setup(struct tls_context *context, const struct tls_context_options *options,
			  char *error, size_t error_len)
{
	static const struct tls_upstream_options unverified = {.verify = TLS_VERIFY_OFF};
	const bool none = !options->upstream_len;
	int err;

	context->upstream_len = none ? 1 : options->upstream_len;
	err = tls_upstream_sides_new(none ? &unverified : options->upstream, context->upstream_len,
				     &context->upstream_sides, error, error_len);
	for (size_t i = 0; !err && i < context->upstream_len; i++)
		err = tls_resumption_set_upstream_side(context->upstream_sides[i].ctx,
						       &options->resumption);
	return err;
}

int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
		    char *error, size_t error_len)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	int err;

	if (!context)
		return -ENOMEM;
	snprintf(error, error_len, "cannot set up OpenSSL");
	context->refuses_old_client =
		options->client_policy && options->client_policy->refuse_old_versions;
	context->bio_method = sock_bio_method_new();
	err = context->bio_method ? chain_build(context, options) : -ENOMEM;
	if (!err)
		err = server_side_setup(&context->client_side, options);
	if (!err)
		err = server_side_setup(&context->service_side, options);
	if (!err)
		err = upstream_setup(context, options, error, error_len);
	if (!err)
		err = tls_suites_new(context->client_side, &context->suites);
	if (err) {
		tls_context_free(context);
		return err;
	}
	*out = context;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->client_side);
	SSL_CTX_free(context->service_side);
	tls_upstream_sides_free(context->upstream_sides, context->upstream_len);
	BIO_meth_free(context->bio_method);
	sk_X509_pop_free(context->chain, X509_free);
	tls_suites_free(context->suites);
	free(context);
}

bool tls_context_serves_version(const struct tls_context *context, const struct client_hello *hello)
{
	SSL_CTX *ctx = context->client_side;
	long min = SSL_CTX_get_min_proto_version(ctx), max = SSL_CTX_get_max_proto_version(ctx);

	return (hello->offers_tls12 && min <= TLS1_2_VERSION) ||
	       (hello->offers_tls13 && (!max || max >= TLS1_3_VERSION));
}

bool tls_context_refuses_old_client(const struct tls_context *context)
{
	return context->refuses_old_client;
}

bool tls_context_refuses_old_origin(const struct tls_context *context, size_t profile)
{
	return context->upstream_sides[profile].refuses_old;
}

bool tls_context_can_serve(const struct tls_context *context, const struct client_hello *hello,
			   unsigned int keys)
{
	return tls_suites_fit(context->suites, hello, keys);
}

SSL_CTX *tls_context_client_side(const struct tls_context *context)
{
	return context->client_side;
}

SSL_CTX *tls_context_service_side(const struct tls_context *context)
{
	return context->service_side;
}

SSL_CTX *tls_context_upstream_side(const struct tls_context *context, size_t profile)
{
	return context->upstream_sides[profile].ctx;
}

const char *tls_context_upstream_groups(const struct tls_context *context, size_t profile)
{
	return context->upstream_sides[profile].groups;
}

BIO_METHOD *tls_context_bio_method(const struct tls_context *context)
{
	return context->bio_method;
}

STACK_OF(X509) *tls_context_chain(const struct tls_context *context)
{
	return context->chain;
}
