// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_verify.h"

#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "tls/origin_faults.h"
#include "tls/session.h"

static struct tls_session *session_of(X509_STORE_CTX *store_ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());

	return tls_session_of(ssl);
}

static void note(struct tls_session *session, uint32_t fault, int error)
{
	if (!session->faults)
		session->verify_error = error;
	session->faults |= fault;
}

/* X509_STORE_CTX_verify_cb: whatever it is, there may be more. */
static int on_verify_error(int ok, X509_STORE_CTX *store_ctx)
{
	int error = X509_STORE_CTX_get_error(store_ctx);
	int depth = X509_STORE_CTX_get_error_depth(store_ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(store_ctx);

	if (!ok)
		note(session_of(store_ctx), origin_fault_of_error(error, depth, cert), error);
	return 1;
}

static void verify_chain(X509_STORE_CTX *store_ctx, struct tls_session *session)
{
	X509_STORE_CTX_set_verify_cb(store_ctx, on_verify_error);
	/* With that callback only what it is not asked about can fail: no memory, no certificate.
	 */
	if (X509_verify_cert(store_ctx) != 1)
		note(session, ORIGIN_UNTRUSTED, X509_V_ERR_UNSPECIFIED);
}

bool origin_pin_matches(const struct tls_pin *pins, size_t len, X509 *cert)
{
	uint8_t *spki = NULL, digest[EVP_MAX_MD_SIZE];
	int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
	bool found = false;

	if (spki_len > 0 && EVP_Digest(spki, (size_t)spki_len, digest, NULL, EVP_sha256(), NULL))
		for (size_t i = 0; !found && i < len; i++)
			found = !memcmp(pins[i].sha256, digest, sizeof(pins[i].sha256));
	OPENSSL_free(spki);
	return found;
}

/*
 * The origin's own key, which it has just proved to have, or that of a CA above it - where the
 * chain holds: anybody can send a certificate that signs nothing (RFC 7469 2.6).
 */
static bool is_pinned(X509_STORE_CTX *store_ctx, const struct tls_upstream_side *side,
		      uint32_t faults)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store_ctx);

	if (origin_pin_matches(side->pins, side->pins_len, X509_STORE_CTX_get0_cert(store_ctx)))
		return true;
	if (side->verify == TLS_VERIFY_OFF || faults & (ORIGIN_UNTRUSTED | ORIGIN_SELF_SIGNED))
		return false;
	for (int i = 1; i < sk_X509_num(chain); i++)
		if (origin_pin_matches(side->pins, side->pins_len, sk_X509_value(chain, i)))
			return true;
	return false;
}

/* SSL_CTX_set_cert_verify_callback(3). */
static int on_certificate(X509_STORE_CTX *store_ctx, void *arg)
{
	const struct tls_upstream_side *side = arg;
	struct tls_session *session = session_of(store_ctx);

	session->faults = 0;
	session->verify_error = X509_V_OK;
	if (SSL_get_verify_mode(session->ssl) == SSL_VERIFY_NONE)
		return 1;
	if (side->verify != TLS_VERIFY_OFF)
		verify_chain(store_ctx, session);
	if (side->pins_len && !is_pinned(store_ctx, side, session->faults))
		note(session, ORIGIN_PIN, X509_V_ERR_APPLICATION_VERIFICATION);
	/* The alert that the origin gets, and what SSL_get_verify_result says. */
	X509_STORE_CTX_set_error(store_ctx, session->verify_error);
	return !session->faults || (side->verify == TLS_VERIFY_MIMIC && !session->strict);
}

void origin_verify_setup(SSL_CTX *ctx, const struct tls_upstream_side *side)
{
	const bool looks = side->verify != TLS_VERIFY_OFF;

	SSL_CTX_set_verify(ctx, looks || side->pins_len ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_certificate, (void *)side);
	/* What the origin itself can tell of a revocation (RFC 6066 8). */
	if (looks)
		SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
}
