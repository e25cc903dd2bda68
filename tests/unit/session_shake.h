/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SESSION_SHAKE_H
#define KSPLIT_TESTS_SESSION_SHAKE_H

/* A handshake in memory, of one client and one server. Include after cmocka.h. */

#include <openssl/ssl.h>

/* Both are ready to read and write then; tickets lie in *wire (may be NULL), the client's end. */
static inline void session_shake(SSL *client, SSL *server, BIO **wire)
{
	BIO *a = NULL, *b = NULL;

	assert_int_equal(BIO_new_bio_pair(&a, 1 << 17, &b, 1 << 17), 1);
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	if (wire)
		*wire = a;
}

/* Read the tickets, and leave in order: what was negotiated can be resumed. */
static inline void session_shake_end(SSL *client, SSL *server)
{
	char byte;

	assert_true(SSL_read(client, &byte, 1) < 0);
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_free(server);
}

#endif
