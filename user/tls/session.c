// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <string.h>

#include "tls/sock_bio.h"

/* Four records and their overhead in one recv(2). */
#define READ_AHEAD_BYTES (4 * (16384 + 256 + 5) + 64)

/* SSL_R_* above this are received alerts (ssl.h, SSL_AD_REASON_OFFSET). */
#define ALERT_REASON(reason) ((reason) - SSL_AD_REASON_OFFSET)

static int session_new(struct tls_session *session, const struct tls_context *context, SSL_CTX *ctx,
		       int fd, struct out_buffer *out, struct tls_kdf *kdf, bool is_server)
{
	session->ssl = SSL_new(ctx);
	if (!session->ssl)
		return -ENOMEM;
	session->bio = sock_bio_new(tls_context_bio_method(context), fd, out);
	if (!session->bio)
		return -ENOMEM;
	SSL_set_bio(session->ssl, session->bio, session->bio);
	key_track_attach(&session->track, session->ssl, is_server, kdf);
	return 0;
}

/* A name, or an address literal, that the origin's certificate must be for. */
static int expect_name(SSL *ssl, const char *name)
{
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name))
		return 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name);
}

int tls_session_connect(struct tls_session *session, const struct tls_context *context, int fd,
			struct out_buffer *out, struct tls_kdf *kdf,
			const struct tls_upstream_target *target)
{
	int err = session_new(session, context, tls_context_upstream_side(context), fd, out, kdf,
			      false);

	if (err)
		return err;
	if (target->sni[0] && !SSL_set_tlsext_host_name(session->ssl, target->sni))
		return -EIO;
	if (target->alpn_len &&
	    SSL_set_alpn_protos(session->ssl, target->alpn, (unsigned int)target->alpn_len))
		return -EIO;
	if (target->verify_name && !expect_name(session->ssl, target->verify_name))
		return -EIO;
	if (target->unverified)
		SSL_set_verify(session->ssl, SSL_VERIFY_NONE, NULL);
	SSL_set_connect_state(session->ssl);
	return 0;
}

static const struct tls_session *session_of(const SSL *ssl)
{
	const struct key_track *track = SSL_get_app_data(ssl);

	return (const void *)((const char *)track - offsetof(struct tls_session, track));
}

/* The client gets the protocol that the origin chose, or none (RFC 7301 3.2). */
static int on_alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			  const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_session *session = session_of(ssl);

	(void)in;
	(void)in_len;
	(void)arg;
	if (!session->alpn_len)
		return SSL_TLSEXT_ERR_NOACK;
	*out = session->alpn;
	*out_len = (unsigned char)session->alpn_len;
	return SSL_TLSEXT_ERR_OK;
}

/* The client asks for an OCSP response, and its certificate has been chosen. */
static int on_status_request(SSL *ssl, void *arg)
{
	const struct tls_credential *shown = tls_session_shown(session_of(ssl));
	uint8_t *copy;

	(void)arg;
	if (!shown || !shown->staple)
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(shown->staple, shown->staple_len);
	if (!copy || !SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)shown->staple_len)) {
		OPENSSL_free(copy);
		return SSL_TLSEXT_ERR_NOACK;
	}
	return SSL_TLSEXT_ERR_OK;
}

void tls_session_prepare_client_side(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn_select, NULL);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status_request);
}

const struct tls_credential *tls_session_shown(const struct tls_session *session)
{
	const X509 *cert = session->ssl ? SSL_get_certificate(session->ssl) : NULL;

	for (size_t i = 0; cert && i < session->credentials_len; i++)
		if (session->credentials[i].cert == cert)
			return &session->credentials[i];
	return NULL;
}

int tls_session_accept(struct tls_session *session, const struct tls_context *context, int fd,
		       struct out_buffer *out, struct tls_kdf *kdf, X509 *leaf,
		       const uint8_t leaf_id[32])
{
	STACK_OF(X509) *chain = tls_context_chain(context);
	int err = session_new(session, context, tls_context_client_side(context), fd, out, kdf,
			      true);

	if (err)
		return err;
	/* A ticket is good for the leaf that it was given out with and for no other name. */
	if (!SSL_set_session_id_context(session->ssl, leaf_id, SSL_MAX_SID_CTX_LENGTH) ||
	    !SSL_use_certificate(session->ssl, leaf) ||
	    (sk_X509_num(chain) > 0 && !SSL_set1_chain(session->ssl, chain)))
		return -EIO;
	SSL_set_accept_state(session->ssl);
	return 0;
}

int tls_session_accept_service(struct tls_session *session, const struct tls_context *context,
			       int fd, struct out_buffer *out, struct tls_kdf *kdf,
			       const struct tls_credential *credentials, size_t credentials_len,
			       const uint8_t id[32])
{
	int err = session_new(session, context, tls_context_service_side(context), fd, out, kdf,
			      true);

	if (err)
		return err;
	if (!SSL_set_session_id_context(session->ssl, id, SSL_MAX_SID_CTX_LENGTH))
		return -EIO;
	for (size_t i = 0; i < credentials_len; i++)
		if (SSL_use_cert_and_key(session->ssl, credentials[i].cert, credentials[i].key,
					 credentials[i].chain, 1) != 1)
			return -EIO;
	session->credentials = credentials;
	session->credentials_len = credentials_len;
	SSL_set_accept_state(session->ssl);
	return 0;
}

/*
 * The alert that tells a client best what was wrong with the origin's certificate (RFC 8446 6.2).
 */
static int alert_for_verify_error(long error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: return SSL_AD_CERTIFICATE_EXPIRED;
	case X509_V_ERR_CERT_REVOKED: return SSL_AD_CERTIFICATE_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return SSL_AD_UNKNOWN_CA;
	default: return SSL_AD_BAD_CERTIFICATE;
	}
}

static void failure_from_queue(const struct tls_session *session, struct tls_failure *failure)
{
	unsigned long error = ERR_peek_last_error();
	int reason = ERR_GET_REASON(error);
	long verify = SSL_get_verify_result(session->ssl);

	failure->kind = TLS_FAILURE_PROTOCOL;
	failure->text = ERR_reason_error_string(error);
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		failure->kind = TLS_FAILURE_UNVERIFIED;
		failure->alert = alert_for_verify_error(verify);
		failure->text = X509_verify_cert_error_string(verify);
	} else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		failure->kind = TLS_FAILURE_CLOSED;
	} else if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
		failure->kind = TLS_FAILURE_ALERT;
		failure->alert = ALERT_REASON(reason);
	}
	if (!failure->text)
		failure->text = "TLS error";
}

enum tls_step tls_session_step(struct tls_session *session, struct tls_failure *failure)
{
	int result, error;

	ERR_clear_error();
	result = SSL_do_handshake(session->ssl);
	if (result == 1)
		return TLS_STEP_DONE;
	error = SSL_get_error(session->ssl, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return TLS_STEP_AGAIN;
	if (error == SSL_ERROR_WANT_X509_LOOKUP)
		return TLS_STEP_CLIENT_CERT;
	*failure = (struct tls_failure){.alert = -1};
	if (error == SSL_ERROR_SSL) {
		failure_from_queue(session, failure);
	} else {
		int sock_error = sock_bio_errno(session->bio);

		failure->kind = sock_error ? TLS_FAILURE_RESET : TLS_FAILURE_CLOSED;
		failure->text = sock_error ? strerror(sock_error) : "closed by the peer";
	}
	ERR_clear_error();
	return TLS_STEP_FAILED;
}

static int version_index(const SSL *ssl)
{
	return SSL_version(ssl) == TLS1_3_VERSION;
}

enum ksplit_reason tls_session_to_kernel(struct tls_session *session, int fd,
					 enum ktls_direction direction,
					 const struct ktls_support *support)
{
	bool transmit = direction == KTLS_TX;
	struct tls_keys keys = {0};
	bool supported;
	int err;

	/*
	 * What OpenSSL has taken from the socket already, or not yet given to it, the kernel would
	 * miss.
	 */
	if (transmit ? BIO_ctrl(session->bio, BIO_CTRL_WPENDING, 0, NULL) > 0
		     : SSL_has_pending(session->ssl))
		return KSPLIT_KTLS_BYTES_PENDING;
	err = key_track_keys(&session->track, session->ssl, direction, &keys);
	if (err)
		return err == -ENOTSUP ? KSPLIT_KTLS_CIPHER : KSPLIT_INTERNAL;
	supported = (transmit ? support->tx
			      : support->rx)[version_index(session->ssl)][keys.aead];
	if (!supported) {
		tls_keys_wipe(&keys);
		return KSPLIT_KTLS_CIPHER;
	}
	err = ktls_push_keys(fd, direction, &keys);
	tls_keys_wipe(&keys);
	if (err)
		return transmit ? KSPLIT_KTLS_TX_REFUSED : KSPLIT_KTLS_RX_REFUSED;
	if (transmit)
		sock_bio_forbid_writes(session->bio);
	/* The successor of a TLS 1.3 secret is derived from it: keep it where it can be of use. */
	if (!support->rekey)
		key_track_wipe(&session->track, direction);
	return KSPLIT_NONE;
}

void tls_session_read_ahead(struct tls_session *session)
{
	SSL_set_read_ahead(session->ssl, 1);
	SSL_set_default_read_buffer_len(session->ssl, READ_AHEAD_BYTES);
}

void tls_session_release(struct tls_session *session)
{
	if (!session->ssl)
		return;
	SSL_set_quiet_shutdown(session->ssl, 1);
	SSL_free(session->ssl);
	session->ssl = NULL;
	session->bio = NULL;
}

void tls_session_free(struct tls_session *session)
{
	tls_session_release(session);
	key_track_wipe(&session->track, KTLS_TX);
	key_track_wipe(&session->track, KTLS_RX);
}
