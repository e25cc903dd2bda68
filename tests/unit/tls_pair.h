/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_TLS_PAIR_H
#define KSPLIT_TESTS_TLS_PAIR_H

/*
 * An OpenSSL client and an OpenSSL server that shake hands in memory, and their secrets: what the
 * tests of keys and records compare with. Include after cmocka.h.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/key_schedule.h"

#define TLS_PAIR_TICKETS 2 /* TLS 1.3 session tickets, records 0 and 1 of the server */

/* One protocol version and AEAD, by OpenSSL's names. */
struct tls_suite {
	uint16_t version;
	enum tls_aead aead;
	const char *name;
};

static const struct tls_suite tls_suites[] = {
	{0x0303, TLS_AEAD_AES128_GCM, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{0x0303, TLS_AEAD_AES256_GCM, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{0x0303, TLS_AEAD_CHACHA20_POLY1305, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{0x0304, TLS_AEAD_AES128_GCM, "TLS_AES_128_GCM_SHA256"},
	{0x0304, TLS_AEAD_AES256_GCM, "TLS_AES_256_GCM_SHA384"},
	{0x0304, TLS_AEAD_CHACHA20_POLY1305, "TLS_CHACHA20_POLY1305_SHA256"},
};

#define TLS_SUITES (sizeof(tls_suites) / sizeof(tls_suites[0]))

struct tls_pair {
	const struct tls_suite *suite;
	SSL *client, *server;
	BIO *to_client, *to_server; /* what is on the wire; owned by the SSL objects */
	struct tls_secret client_secret, server_secret; /* TLS 1.3 application traffic secrets */
	struct tls_keys client_write, server_write; /* what their next records are sealed with */
	int client_alert, server_alert; /* received by: level << 8 | description; -1: none */
};

/* A self-signed P-256 certificate for this context. */
static inline void tls_pair_certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	assert_non_null(key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* A line of the key log: label, client random, secret, the latter two in hex. */
static inline void tls_pair_keylog(const SSL *ssl, const char *line)
{
	struct tls_pair *pair = SSL_get_app_data(ssl);
	struct tls_secret *secret = NULL;
	const char *hex = strrchr(line, ' ') + 1;
	unsigned int byte;

	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		secret = &pair->client_secret;
	if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		secret = &pair->server_secret;
	if (!secret)
		return;
	for (secret->len = 0; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		secret->bytes[secret->len++] = (uint8_t)byte;
}

static inline void tls_pair_info(const SSL *ssl, int where, int value)
{
	struct tls_pair *pair = SSL_get_app_data(ssl);

	if (where != SSL_CB_READ_ALERT)
		return;
	if (ssl == pair->client)
		pair->client_alert = value;
	else
		pair->server_alert = value;
}

static inline SSL *tls_pair_new_end(struct tls_pair *pair, const SSL_METHOD *method, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	SSL *ssl;

	assert_non_null(ctx);
	if (server)
		tls_pair_certify(ctx);
	SSL_CTX_set_min_proto_version(ctx, pair->suite->version);
	SSL_CTX_set_max_proto_version(ctx, pair->suite->version);
	SSL_CTX_set_num_tickets(ctx, TLS_PAIR_TICKETS);
	SSL_CTX_set_keylog_callback(ctx, tls_pair_keylog);
	SSL_CTX_set_info_callback(ctx, tls_pair_info);
	if (pair->suite->version == 0x0304)
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, pair->suite->name), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, pair->suite->name), 1);
	ssl = SSL_new(ctx);
	assert_non_null(ssl);
	SSL_CTX_free(ctx);
	SSL_set_app_data(ssl, pair);
	BIO_up_ref(pair->to_client);
	BIO_up_ref(pair->to_server);
	SSL_set_bio(ssl, server ? pair->to_server : pair->to_client,
		    server ? pair->to_client : pair->to_server);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* The other half of the test's subject: keys from what the handshake left behind. */
static inline void tls_pair_derive(struct tls_pair *pair, struct tls_kdf *kdf)
{
	uint8_t master[48], client_random[32], server_random[32];
	const SSL_CIPHER *cipher = SSL_get_current_cipher(pair->client);
	enum tls_aead aead = tls_aead_by_suite((uint16_t)SSL_CIPHER_get_protocol_id(cipher));

	assert_int_equal(aead, pair->suite->aead);
	if (pair->suite->version == 0x0304) {
		assert_int_equal(
			tls13_derive_keys(kdf, &pair->client_secret, aead, &pair->client_write), 0);
		assert_int_equal(
			tls13_derive_keys(kdf, &pair->server_secret, aead, &pair->server_write), 0);
		pair->server_write.seq = TLS_PAIR_TICKETS;
		return;
	}
	assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(pair->client), master, 48), 48);
	assert_int_equal(SSL_get_client_random(pair->client, client_random, 32), 32);
	assert_int_equal(SSL_get_server_random(pair->client, server_random, 32), 32);
	assert_int_equal(
		tls12_derive_keys(kdf, master, client_random, server_random,
				  (size_t)EVP_MD_get_size(SSL_CIPHER_get_handshake_digest(cipher)),
				  aead, &pair->client_write, &pair->server_write),
		0);
}

/* Shake hands, let the client read the tickets, derive the keys; nothing is on the wire then. */
static inline void tls_pair_open(struct tls_pair *pair, const struct tls_suite *suite)
{
	struct tls_kdf *kdf;
	uint8_t byte;

	memset(pair, 0, sizeof(*pair));
	pair->suite = suite;
	pair->client_alert = pair->server_alert = -1;
	pair->to_client = BIO_new(BIO_s_mem());
	pair->to_server = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(pair->to_client, -1);
	BIO_set_mem_eof_return(pair->to_server, -1);
	pair->client = tls_pair_new_end(pair, TLS_client_method(), false);
	pair->server = tls_pair_new_end(pair, TLS_server_method(), true);
	BIO_free(pair->to_client);
	BIO_free(pair->to_server);
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(pair->client);
		SSL_do_handshake(pair->server);
	}
	assert_true(SSL_is_init_finished(pair->client));
	assert_true(SSL_is_init_finished(pair->server));
	assert_int_equal(SSL_read(pair->client, &byte, 1), -1);
	assert_int_equal(BIO_ctrl_pending(pair->to_client), 0);
	assert_int_equal(BIO_ctrl_pending(pair->to_server), 0);
	ERR_clear_error();
	assert_int_equal(tls_kdf_new(&kdf), 0);
	tls_pair_derive(pair, kdf);
	tls_kdf_free(kdf);
}

static inline void tls_pair_close(struct tls_pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	ERR_clear_error();
}

/* Take one record off the wire. Returns its length with the header. */
static inline size_t tls_pair_take_record(BIO *wire, uint8_t *record, size_t cap)
{
	size_t body;

	assert_int_equal(BIO_read(wire, record, 5), 5);
	body = (size_t)record[3] << 8 | record[4];
	assert_true(body + 5 <= cap);
	assert_int_equal(BIO_read(wire, record + 5, (int)body), (int)body);
	return body + 5;
}

/*
 * Open a record with a textbook receiver and count the keys on. Returns the plaintext's length and
 * the content type; -1 when the tag is wrong.
 */
static inline int tls_pair_open_record(struct tls_keys *keys, const uint8_t *record, size_t len,
				       uint8_t *plain, uint8_t *type)
{
	bool tls13 = keys->version == 0x0304;
	bool chacha = keys->aead == TLS_AEAD_CHACHA20_POLY1305;
	size_t explicit_len = tls13 || chacha ? 0 : 8;
	const uint8_t *body = record + 5 + explicit_len;
	int body_len = (int)(len - 5 - explicit_len) - 16;
	const EVP_CIPHER *cipher = chacha ? EVP_chacha20_poly1305() : EVP_aes_256_gcm();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12], seq[8], aad[13], tag[16];
	int n, ok;

	for (int i = 0; i < 8; i++)
		seq[i] = (uint8_t)(keys->seq >> (56 - 8 * i));
	memcpy(nonce, keys->iv, 12);
	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] = explicit_len ? record[5 + i] : nonce[4 + i] ^ seq[i];
	memcpy(aad, tls13 ? record : seq, tls13 ? 5 : 8);
	if (!tls13)
		memcpy(aad + 8,
		       (uint8_t[]){record[0], 3, 3, (uint8_t)(body_len >> 8), (uint8_t)body_len},
		       5);
	memcpy(tag, body + body_len, 16);
	if (keys->aead == TLS_AEAD_AES128_GCM)
		cipher = EVP_aes_128_gcm();
	ok = EVP_DecryptInit_ex(ctx, cipher, NULL, keys->key, nonce) &&
	     EVP_DecryptUpdate(ctx, NULL, &n, aad, tls13 ? 5 : 13) &&
	     EVP_DecryptUpdate(ctx, plain, &n, body, body_len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) &&
	     EVP_DecryptFinal_ex(ctx, plain + n, &n) > 0;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return -1;
	keys->seq++;
	*type = tls13 ? plain[--body_len] : record[0];
	return body_len;
}

#endif
