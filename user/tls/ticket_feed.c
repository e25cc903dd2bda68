// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ticket_feed.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "tls/protocol.h"
#include "tls/record_seal.h"

bool tls_ticket_feed_begin(struct tls_session *session)
{
	if (!session->on_fresh || !session->ssl || SSL_version(session->ssl) != TLS1_3_VERSION ||
	    !session->track.secret[KTLS_RX].len)
		return false;
	SSL_free_buffers(session->ssl);
	session->awaits_tickets = true;
	return true;
}

/* Nothing but this record is there to be read. */
static int read_record(SSL *ssl, const uint8_t *record, size_t len)
{
	BIO *bio = BIO_new_mem_buf(record, (int)len);
	uint8_t byte;
	size_t n;
	int result, error;

	if (!bio)
		return -ENOMEM;
	BIO_set_mem_eof_return(bio, -1);
	SSL_set0_rbio(ssl, bio); /* frees the one before */
	ERR_clear_error();
	result = SSL_read_ex(ssl, &byte, 1, &n);
	error = SSL_get_error(ssl, result);
	ERR_clear_error();
	SSL_set0_rbio(ssl, NULL);
	SSL_free_buffers(ssl);
	return error == SSL_ERROR_WANT_READ ? 0 : -EPROTO;
}

int tls_ticket_feed(struct tls_session *session, const uint8_t *content, size_t len)
{
	const size_t cap = len + TLS_RECORD_SEAL_OVERHEAD;
	uint8_t *record = malloc(cap);
	struct tls_keys keys = {0};
	ssize_t n = record ? 0 : -ENOMEM;

	if (!n)
		n = key_track_keys(&session->track, session->ssl, KTLS_RX, &keys);
	if (!n)
		n = tls_record_seal(&keys, TLS_CT_HANDSHAKE, content, len, record, cap);
	tls_keys_wipe(&keys);
	if (n > 0)
		n = read_record(session->ssl, record, (size_t)n);
	free(record);
	return (int)n;
}

void tls_ticket_feed_end(struct tls_session *session, const struct ktls_support *support)
{
	tls_session_release(session);
	if (!support->rekey)
		key_track_wipe(&session->track, KTLS_RX);
}
