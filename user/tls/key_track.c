// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/key_track.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define HS_HELLO_REQUEST 0  /* RFC 5246 7.4.1.1 */
#define HS_KEY_UPDATE	 24 /* RFC 8446 4.6.3 */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The third word of a key log line: the secret in hex. */
static void secret_parse(struct tls_secret *secret, const char *hex)
{
	size_t len = 0;

	tls_secret_wipe(secret);
	while (len < sizeof(secret->bytes)) {
		int high = hex_value(hex[2 * len]);
		int low = high < 0 ? -1 : hex_value(hex[2 * len + 1]);

		if (low < 0)
			break;
		secret->bytes[len++] = (uint8_t)(high << 4 | low);
	}
	secret->len = (uint8_t)len;
}

/*
 * "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>": OpenSSL logs it at the moment that it
 * changes the keys of that direction, which is when the record count begins anew.
 */
static void on_keylog(const SSL *ssl, const char *line)
{
	struct key_track *track = SSL_get_app_data(ssl);
	enum ktls_direction direction;
	const char *secret;
	bool by_client;

	if (!track)
		return;
	if (track->log.line)
		track->log.line(track->log.ctx, line);
	if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		by_client = true;
	else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
		by_client = false;
	else
		return;
	secret = strchr(line + 24, ' ');
	if (!secret)
		return;
	direction = by_client == track->is_server ? KTLS_RX : KTLS_TX;
	secret_parse(&track->secret[direction], secret + 1);
	track->records[direction] = 0;
}

/*
 * TLS 1.2 changes keys with this record (RFC 5246 7.1), which OpenSSL tells of by its header alone.
 */
static void count_record(struct key_track *track, const SSL *ssl, enum ktls_direction direction,
			 uint8_t type)
{
	if (type == SSL3_RT_CHANGE_CIPHER_SPEC && SSL_version(ssl) == TLS1_2_VERSION)
		track->records[direction] = 0;
	else
		track->records[direction]++;
}

static void on_handshake(struct key_track *track, const SSL *ssl, enum ktls_direction direction,
			 uint8_t type)
{
	if (type == HS_HELLO_REQUEST && direction == KTLS_RX && !track->is_server)
		track->renegotiation_wanted = true;
	if (type != HS_KEY_UPDATE || SSL_version(ssl) != TLS1_3_VERSION)
		return;
	/* OpenSSL replaces the keys right after this and tells no key log. */
	tls13_update_secret(track->kdf, &track->secret[direction]);
	track->records[direction] = 0;
	if (direction == KTLS_RX)
		track->key_updates++;
}

static void on_message(int write_p, int version, int content_type, const void *buf, size_t len,
		       SSL *ssl, void *arg)
{
	struct key_track *track = arg;
	enum ktls_direction direction = write_p ? KTLS_TX : KTLS_RX;
	const uint8_t *bytes = buf;

	(void)version;
	if (!track)
		return;
	switch (content_type) {
	case SSL3_RT_HEADER: count_record(track, ssl, direction, bytes[0]); break;
	case SSL3_RT_ALERT:
		if (len < 2)
			break;
		if (write_p)
			track->alert_sent = bytes[1];
		else
			track->alert_received = bytes[1];
		break;
	case SSL3_RT_HANDSHAKE:
		if (len > 0)
			on_handshake(track, ssl, direction, bytes[0]);
		break;
	default: break;
	}
}

void key_track_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	SSL_CTX_set_msg_callback(ctx, on_message);
}

void key_track_attach(struct key_track *track, SSL *ssl, bool is_server, struct tls_kdf *kdf)
{
	*track = (struct key_track){
		.kdf = kdf, .is_server = is_server, .alert_received = -1, .alert_sent = -1};
	SSL_set_app_data(ssl, track);
	SSL_set_msg_callback_arg(ssl, track);
}

/* TLS 1.2: both directions come from the master secret at once. */
static int keys_tls12(const struct key_track *track, const SSL *ssl,
		      enum ktls_direction direction, enum tls_aead aead, struct tls_keys *out)
{
	const SSL_SESSION *session = SSL_get_session(ssl);
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
	uint8_t master[48], client_random[32], server_random[32];
	struct tls_keys client_write = {0}, server_write = {0};
	bool want_client = (direction == KTLS_RX) == track->is_server;
	int err = -EIO;

	if (session && md &&
	    SSL_SESSION_get_master_key(session, master, sizeof(master)) == sizeof(master) &&
	    SSL_get_client_random(ssl, client_random, 32) == 32 &&
	    SSL_get_server_random(ssl, server_random, 32) == 32)
		err = tls12_derive_keys(track->kdf, master, client_random, server_random,
					(size_t)EVP_MD_get_size(md), aead, &client_write,
					&server_write);
	if (!err) {
		*out = want_client ? client_write : server_write;
		out->seq = track->records[direction];
		/* The explicit nonce goes with the sequence number (RFC 5288 3). */
		if (aead != TLS_AEAD_CHACHA20_POLY1305)
			for (int i = 0; i < 8; i++)
				out->iv[4 + i] = (uint8_t)(out->seq >> (56 - 8 * i));
	}
	OPENSSL_cleanse(master, sizeof(master));
	tls_keys_wipe(&client_write);
	tls_keys_wipe(&server_write);
	return err;
}

int key_track_keys(const struct key_track *track, const SSL *ssl, enum ktls_direction direction,
		   struct tls_keys *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	enum tls_aead aead =
		cipher ? tls_aead_by_suite(SSL_CIPHER_get_protocol_id(cipher)) : TLS_AEAD_NONE;
	int err;

	if (aead == TLS_AEAD_NONE)
		return -ENOTSUP;
	if (SSL_version(ssl) == TLS1_2_VERSION)
		return keys_tls12(track, ssl, direction, aead, out);
	err = tls13_derive_keys(track->kdf, &track->secret[direction], aead, out);
	if (!err)
		out->seq = track->records[direction];
	return err;
}

void key_track_wipe(struct key_track *track, enum ktls_direction direction)
{
	tls_secret_wipe(&track->secret[direction]);
}
