// SPDX-License-Identifier: GPL-2.0-or-later
/* Plaintext above OpenSSL: directions that the kernel does not have. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "relay/end.h"
#include "tls/error_alert.h"
#include "tls/record_seal.h"
#include "tls/sock_bio.h"
#include "tls/protocol.h"

static enum end_event event_of_error(struct relay_end *end, int result, uint8_t alert[2])
{
	struct tls_session *session = end->session;
	unsigned long error = ERR_peek_last_error();

	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return END_AGAIN;
	case SSL_ERROR_WANT_X509_LOOKUP: return END_CERTIFICATE_ASKED;
	case SSL_ERROR_ZERO_RETURN: /* either: SSL_OP_IGNORE_UNEXPECTED_EOF */
		return session->track.alert_received == ALERT_CLOSE_NOTIFY ? END_CLOSE_NOTIFY
									    : END_FIN;
	case SSL_ERROR_SYSCALL: return sock_bio_errno(session->bio) ? END_RESET : END_FIN;
	default: break;
	}
	if (error_alert(error) >= 0) {
		alert[0] = ALERT_FATAL;
		alert[1] = (uint8_t)error_alert(error);
		return END_ALERT;
	}
	if (ERR_GET_REASON(error) == SSL_R_UNEXPECTED_MESSAGE ||
	    ERR_GET_REASON(error) == SSL_R_UNEXPECTED_RECORD)
		return END_UNEXPECTED;
	return END_BAD_RECORD;
}

/* The peer asked for new keys of ours, but that direction is the kernel's. */
static bool must_answer_key_update(const struct relay_end *end)
{
	return end->tx == &relay_tx_kernel &&
	       SSL_get_key_update_type(end->session->ssl) != SSL_KEY_UPDATE_NONE;
}

static enum end_event read_records(struct relay_end *end, uint8_t *buf, size_t size, size_t *len,
				   uint8_t alert[2])
{
	SSL *ssl = end->session->ssl;

	/* As many records as the last recv(2) brought, as long as a whole one fits. */
	while (size - *len >= TLS_RECORD_PLAINTEXT) {
		size_t n = 0;
		int result = SSL_read_ex(ssl, buf + *len, size - *len, &n);

		if (result != 1)
			return event_of_error(end, result, alert);
		*len += n;
		if (!SSL_has_pending(ssl) && sock_bio_drained(end->session->bio))
			return END_AGAIN;
	}
	return END_AGAIN;
}

static enum end_event user_read(struct relay_end *end, void *buf, size_t size, size_t *len,
				uint8_t alert[2])
{
	enum end_event event = end->stashed;
	uint32_t key_updates = end->session->track.key_updates;

	*len = 0;
	if (event != END_DATA) {
		end->stashed = END_DATA;
		alert[0] = end->stashed_alert[0];
		alert[1] = end->stashed_alert[1];
		return event;
	}
	ERR_clear_error();
	event = read_records(end, buf, size, len, alert);
	/* After an error OpenSSL is "in init" as well, and can still be told to say goodbye. */
	end->mid_message = event == END_AGAIN && SSL_in_init(end->session->ssl);
	if (key_updates != end->session->track.key_updates)
		stats_add(end->stats, STAT_KEY_UPDATES,
			  end->session->track.key_updates - key_updates);
	if (event == END_AGAIN && must_answer_key_update(end))
		event = END_KEY_UPDATE;
	/*
	 * SSL_MODE_RELEASE_BUFFERS keeps the buffer of a read that found nothing, and the write
	 * buffer that a session ticket made OpenSSL set up. It frees none that is in use.
	 */
	if (event == END_AGAIN)
		SSL_free_buffers(end->session->ssl);
	if (*len == 0)
		return event;
	if (event != END_AGAIN) {
		end->stashed = event;
		end->stashed_alert[0] = alert[0];
		end->stashed_alert[1] = alert[1];
	}
	return END_DATA;
}

static bool user_has_pending(const struct relay_end *end)
{
	return end->stashed != END_DATA || SSL_has_pending(end->session->ssl);
}

static int user_write(struct relay_end *end, const void *buf, size_t len)
{
	size_t n;
	int err;

	ERR_clear_error();
	/*
	 * The BIO takes all that fits into the out buffer, and callers write only when that is
	 * empty.
	 */
	if (SSL_write_ex(end->session->ssl, buf, len, &n) != 1) {
		int sock_error = sock_bio_errno(end->session->bio);

		return sock_error ? -sock_error : -EPIPE;
	}
	err = out_buffer_send(end->out, end->fd);
	return err == -EAGAIN ? 0 : err;
}

/*
 * OpenSSL sends close_notify and nothing else on request, so any other alert is sealed here with
 * the keys that its next record would have had. It is the last record of its direction: a TLS 1.2
 * GCM nonce that is not the next of OpenSSL's row (which starts at random) is as good, and nothing
 * follows that could clash with it.
 */
static int seal_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	const uint8_t alert[2] = {level, description};
	uint8_t record[sizeof(alert) + TLS_RECORD_SEAL_OVERHEAD];
	struct tls_session *session = end->session;
	struct tls_keys keys = {0};
	ssize_t n;
	int err = key_track_keys(&session->track, session->ssl, KTLS_TX, &keys);

	if (err)
		return err;
	n = tls_record_seal(&keys, TLS_CT_ALERT, alert, sizeof(alert), record, sizeof(record));
	tls_keys_wipe(&keys);
	if (n < 0)
		return (int)n;
	return out_buffer_append(end->out, record, (size_t)n);
}

static int user_send_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	struct key_track *track = &end->session->track;
	int err = 0;

	ERR_clear_error();
	/* Asked for a certificate, OpenSSL would say nothing else before it has answered. */
	if (description == ALERT_CLOSE_NOTIFY && !SSL_want_x509_lookup(end->session->ssl)) {
		if (SSL_shutdown(end->session->ssl) < 0)
			err = sock_bio_errno(end->session->bio) ? -EPIPE : 0;
	} else if (track->alert_sent <= 0) { /* OpenSSL may have sent its own */
		err = seal_alert(end, level, description);
	}
	if (!err)
		track->alert_sent = description;
	if (!err)
		err = out_buffer_send(end->out, end->fd);
	return err == -EAGAIN ? 0 : err;
}

static int user_renew_key(struct relay_end *end)
{
	struct tls_session *session = end->session;

	if (relay_end_mid_message(end))
		return -EAGAIN;
	if (!end->record_limit || session->track.records[KTLS_TX] < end->record_limit)
		return 0;
	stats_add(end->stats, STAT_RECORD_LIMITS, 1);
	/* Goes out ahead of the next write and resets the count. */
	if (!SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) ||
	    SSL_do_handshake(session->ssl) != 1)
		return -EKEYEXPIRED;
	stats_add(end->stats, STAT_REKEYS, 1);
	return 0;
}

const struct relay_rx_ops relay_rx_user = {.read = user_read, .has_pending = user_has_pending};
const struct relay_tx_ops relay_tx_user = {
	.write = user_write, .send_alert = user_send_alert, .renew_key = user_renew_key};
