// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <string.h>

#include "tls/error_alert.h"
#include "tls/key_groups.h"
#include "tls/origin_faults.h"
#include "tls/protocol.h"
#include "tls/sock_bio.h"

/* Four records and their overhead in one recv(2). */
#define READ_AHEAD_BYTES (4 * (16384 + 256 + 5) + 64)

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
	int err = session_new(session, context, tls_context_upstream_side(context, target->profile),
			      fd, out, kdf, false);

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
	session->on_fresh = target->on_fresh;
	if (target->resume && !SSL_set_session(session->ssl, target->resume))
		return -EIO;
	session->was_asked = target->resume && target->was_asked;
	if (target->group)
		key_groups_put_first(session->ssl,
				     tls_context_upstream_groups(context, target->profile),
				     target->group);
	session->strict = target->strict;
	session->answers_later = target->answers_later && SSL_get_certificate(session->ssl);
	session->may_be_asked = target->may_be_asked || session->answers_later;
	SSL_set_post_handshake_auth(session->ssl, session->may_be_asked);
	SSL_set_connect_state(session->ssl);
	return 0;
}

struct tls_session *tls_session_of(const SSL *ssl)
{
	struct key_track *track = SSL_get_app_data(ssl);

	return (void *)((char *)track - offsetof(struct tls_session, track));
}

/* The client gets the protocol that the origin chose, or none (RFC 7301 3.2). */
static int on_alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			  const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_session *session = tls_session_of(ssl);

	(void)in;
	(void)in_len;
	(void)arg;
	if (!session->alpn_len)
		return SSL_TLSEXT_ERR_NOACK;
	*out = session->alpn;
	*out_len = (unsigned char)session->alpn_len;
	return SSL_TLSEXT_ERR_OK;
}

/* SSL_set_tlsext_status_ocsp_resp(3) takes over what it is given. */
static bool set_staple(SSL *ssl, const struct tls_credential *shown)
{
	uint8_t *copy = OPENSSL_memdup(shown->staple, shown->staple_len);

	if (copy && SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)shown->staple_len))
		return true;
	OPENSSL_free(copy);
	return false;
}

/*
 * The client asks for an OCSP response, and its certificate has been chosen. A leaf's was set with
 * it.
 */
static int on_status_request(SSL *ssl, void *arg)
{
	const struct tls_credential *shown = tls_session_shown(tls_session_of(ssl));
	const uint8_t *set;

	(void)arg;
	if (shown ? shown->staple && set_staple(ssl, shown)
		  : SSL_get_tlsext_status_ocsp_resp(ssl, &set) > 0)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_NOACK;
}

static struct tls_session *session_to_note(SSL *ssl)
{
	struct key_track *track = SSL_get_app_data(ssl);

	return track ? (void *)((char *)track - offsetof(struct tls_session, track)) : NULL;
}

/* A client has shown a ticket: what OpenSSL would do by itself, and a note where it is no good. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *ticket,
					  const unsigned char *key_name, size_t key_name_len,
					  SSL_TICKET_STATUS status, void *arg)
{
	struct tls_session *session = session_to_note(ssl);

	(void)ticket;
	(void)key_name;
	(void)key_name_len;
	(void)arg;
	if (session && status == SSL_TICKET_NO_DECRYPT)
		session->ticket_refused = true;
	switch (status) {
	case SSL_TICKET_SUCCESS: return SSL_TICKET_RETURN_USE;
	case SSL_TICKET_SUCCESS_RENEW: return SSL_TICKET_RETURN_USE_RENEW;
	default: return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
}

/* 0: OpenSSL keeps its own reference (SSL_CTX_sess_set_new_cb(3)). */
static int on_new_session(SSL *ssl, SSL_SESSION *fresh)
{
	struct tls_session *session = session_to_note(ssl);

	if (session && session->on_fresh)
		session->on_fresh(session, fresh);
	return 0;
}

void tls_session_prepare_upstream_side(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

void tls_session_prepare_client_side(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn_select, NULL);
	SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket_opened, NULL);
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

/*
 * A leaf for an origin whose key is weak has a key of the same kind; what becomes of it is the
 * client's to say. 1: 80 bits of security (SSL_CTX_set_security_level(3)).
 */
static void allow_weak_key(SSL *ssl, const EVP_PKEY *key)
{
	if (EVP_PKEY_get_security_bits(key) < 112 && SSL_get_security_level(ssl) > 1)
		SSL_set_security_level(ssl, 1);
}

int tls_session_accept(struct tls_session *session, const struct tls_context *context, int fd,
		       struct out_buffer *out, struct tls_kdf *kdf,
		       const struct tls_credential *leaf, const uint8_t leaf_id[32])
{
	int err = session_new(session, context, tls_context_client_side(context), fd, out, kdf,
			      true);

	if (err)
		return err;
	allow_weak_key(session->ssl, leaf->key);
	/* A ticket is good for the leaf that it was given out with and for no other name. */
	if (!SSL_set_session_id_context(session->ssl, leaf_id, SSL_MAX_SID_CTX_LENGTH) ||
	    SSL_use_cert_and_key(session->ssl, leaf->cert, leaf->key, leaf->chain, 1) != 1 ||
	    (leaf->staple && !set_staple(session->ssl, leaf)))
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

/* The origin's word for it (RFC 8446 6.2), or a ServerHello with a version that we do not take. */
static bool lacks_version(const struct tls_failure *failure, int reason)
{
	return failure->alert == SSL_AD_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL ||
	       reason == SSL_R_WRONG_SSL_VERSION || reason == SSL_R_VERSION_TOO_LOW;
}

static void failure_from_queue(const struct tls_session *session, struct tls_failure *failure)
{
	unsigned long error = ERR_peek_last_error();
	int reason = ERR_GET_REASON(error);

	failure->kind = TLS_FAILURE_PROTOCOL;
	failure->text = ERR_reason_error_string(error);
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		failure->kind = TLS_FAILURE_UNVERIFIED;
		failure->alert = origin_faults_alert(session->faults);
		failure->text = X509_verify_cert_error_string(session->verify_error);
	} else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		failure->kind = TLS_FAILURE_CLOSED;
	} else if (error_alert(error) >= 0) {
		failure->kind = TLS_FAILURE_ALERT;
		failure->alert = error_alert(error);
	}
	if (!session->track.is_server && lacks_version(failure, reason))
		failure->kind = TLS_FAILURE_VERSION;
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

uint16_t tls_session_record_bytes(const struct tls_session *session)
{
	uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(session->ssl));

	return code ? (uint16_t)(1 << (8 + code)) : TLS_RECORD_PLAINTEXT;
}

enum ksplit_reason tls_session_to_kernel(struct tls_session *session, int fd,
					 enum ktls_direction direction,
					 const struct ktls_support *support)
{
	bool transmit = direction == KTLS_TX;
	uint16_t record_bytes = tls_session_record_bytes(session);
	struct tls_keys keys = {0};
	bool supported;
	int err;

	if (session->answers_later && !session->was_asked && version_index(session->ssl))
		return KSPLIT_KTLS_IDENTITY;
	/*
	 * What OpenSSL has taken from the socket already, or not yet given to it, the kernel would
	 * miss.
	 */
	if (transmit ? BIO_ctrl(session->bio, BIO_CTRL_WPENDING, 0, NULL) > 0
		     : SSL_has_pending(session->ssl))
		return KSPLIT_KTLS_BYTES_PENDING;
	if (transmit && record_bytes < TLS_RECORD_PLAINTEXT && ktls_limit_records(fd, record_bytes))
		return KSPLIT_KTLS_RECORD_SIZE;
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
	if (transmit) {
		session->kernel_sends = true;
		sock_bio_forbid_writes(session->bio);
	}
	/*
	 * The successor of a TLS 1.3 secret is derived from it: keep it where it can be of use, or
	 * where tickets may have to be read with it (tls/ticket_feed.h).
	 */
	if (!support->rekey && (transmit || !session->on_fresh || !version_index(session->ssl)))
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
	/* Without the shutdown's flags its session would be marked as not to be resumed. */
	SSL_set_quiet_shutdown(session->ssl, 1);
	SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(session->ssl);
	session->ssl = NULL;
	session->bio = NULL;
	session->awaits_tickets = false;
}

void tls_session_free(struct tls_session *session)
{
	tls_session_release(session);
	key_track_wipe(&session->track, KTLS_TX);
	key_track_wipe(&session->track, KTLS_RX);
}
