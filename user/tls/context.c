// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/key_track.h"
#include "tls/openssl_compat.h"
#include "tls/session.h"
#include "tls/sock_bio.h"

/*
 * What the kernel can do comes first, the cheapest of it at the head; behind it everything else
 * that this OpenSSL allows, so that nobody is refused for the kernel's sake. That is DEFAULT
 * spelled out, which OpenSSL knows at the head of a list only and passes over elsewhere
 * (openssl-ciphers(1)).
 */
#define CIPHERS_TLS12                                                                              \
	"ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:ALL:!COMPLEMENTOFDEFAULT:!eNULL"
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct suite {
	uint16_t id;
	bool tls13; /* with a key of any kind */
	bool rsa;   /* TLS 1.2: with an RSA key; else with one for ECDSA or EdDSA */
};

struct tls_context {
	SSL_CTX *client_side;
	SSL_CTX *service_side;
	SSL_CTX *upstream_side;
	BIO_METHOD *bio_method;
	STACK_OF(X509) *chain;
	struct suite *suites; /* those that a handshake can end in */
	size_t suites_len;
	bool leaf_rsa; /* the kind of the leaf key */
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

/* Settings that both sides have in common. */
static int common_setup(SSL_CTX *ctx)
{
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
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) ||
	    !SSL_CTX_set_ciphersuites(ctx, CIPHERS_TLS13) ||
	    !SSL_CTX_set1_groups_list(ctx, TLS_GROUPS))
		return -EIO;
	key_track_prepare(ctx);
	return 0;
}

/*
 * As a server: with forged leaves (`leaf_key`), or with identities that each session brings (NULL).
 */
static int server_side_setup(SSL_CTX **out, EVP_PKEY *leaf_key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	*out = ctx;
	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_dh_auto(ctx, 1);
	tls_session_prepare_client_side(ctx);
	if (leaf_key && !SSL_CTX_use_PrivateKey(ctx, leaf_key))
		return -EIO;
	return common_setup(ctx);
}

static int trust_setup(SSL_CTX *ctx, const char *file, char *error, size_t error_len)
{
	if (!file) {
		if (SSL_CTX_set_default_verify_paths(ctx))
			return 0;
		snprintf(error, error_len, "cannot load the system's trusted certificates");
		return -EIO;
	}
	if (SSL_CTX_load_verify_file(ctx, file))
		return 0;
	snprintf(error, error_len,
		 "upstream.ca %s: no readable PEM certificate in it (%s); name a file of "
		 "certificates that sign your origins",
		 file, ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	return -EINVAL;
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

static int upstream_side_setup(struct tls_context *context,
			       const struct tls_context_options *options, char *error,
			       size_t error_len)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	context->upstream_side = ctx;
	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_cert_cb(ctx, on_certificate_request, NULL);
	SSL_CTX_set_verify(ctx, options->verify_upstream ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (options->verify_upstream) {
		int err = trust_setup(ctx, options->upstream_ca, error, error_len);

		if (err)
			return err;
	}
	return common_setup(ctx);
}

static int suites_collect(struct tls_context *context)
{
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(context->client_side);
	int n = sk_SSL_CIPHER_num(all);

	context->suites = calloc(n > 0 ? (size_t)n : 1, sizeof(*context->suites));
	if (!context->suites)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		int auth = SSL_CIPHER_get_auth_nid(cipher);

		if (auth != NID_auth_any && auth != NID_auth_rsa && auth != NID_auth_ecdsa)
			continue;
		context->suites[context->suites_len++] = (struct suite){
			.id = SSL_CIPHER_get_protocol_id(cipher),
			.tls13 = auth == NID_auth_any,
			.rsa = auth == NID_auth_rsa,
		};
	}
	return 0;
}

int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
		    char *error, size_t error_len)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	int err;

	if (!context)
		return -ENOMEM;
	snprintf(error, error_len, "cannot set up OpenSSL");
	context->bio_method = sock_bio_method_new();
	err = context->bio_method ? chain_build(context, options) : -ENOMEM;
	if (!err)
		err = server_side_setup(&context->client_side, options->leaf_key);
	if (!err)
		err = server_side_setup(&context->service_side, NULL);
	if (!err)
		err = upstream_side_setup(context, options, error, error_len);
	if (!err)
		err = suites_collect(context);
	if (err) {
		tls_context_free(context);
		return err;
	}
	context->leaf_rsa = options->leaf_key &&
			    EVP_PKEY_get_base_id(options->leaf_key) == EVP_PKEY_RSA;
	*out = context;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->client_side);
	SSL_CTX_free(context->service_side);
	SSL_CTX_free(context->upstream_side);
	BIO_meth_free(context->bio_method);
	sk_X509_pop_free(context->chain, X509_free);
	free(context->suites);
	free(context);
}

bool tls_context_can_serve_with(const struct tls_context *context, const struct client_hello *hello,
				bool rsa, bool ecdsa)
{
	for (size_t i = 0; i < hello->ciphers_len; i++)
		for (size_t k = 0; k < context->suites_len; k++) {
			const struct suite *suite = &context->suites[k];

			if (suite->id == hello->ciphers[i] &&
			    (suite->tls13 ? hello->offers_tls13
					  : hello->offers_tls12 && (suite->rsa ? rsa : ecdsa)))
				return true;
		}
	return false;
}

bool tls_context_can_serve(const struct tls_context *context, const struct client_hello *hello)
{
	return tls_context_can_serve_with(context, hello, context->leaf_rsa, !context->leaf_rsa);
}

SSL_CTX *tls_context_client_side(const struct tls_context *context)
{
	return context->client_side;
}

SSL_CTX *tls_context_service_side(const struct tls_context *context)
{
	return context->service_side;
}

SSL_CTX *tls_context_upstream_side(const struct tls_context *context)
{
	return context->upstream_side;
}

BIO_METHOD *tls_context_bio_method(const struct tls_context *context)
{
	return context->bio_method;
}

STACK_OF(X509) *tls_context_chain(const struct tls_context *context)
{
	return context->chain;
}
