// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tls/key_track.h"
#include "tls_pair.h"

#define RECORD_MAX 17000

/* Client and server in memory, both tracked; the wires are looked at between them. */
struct tracked {
	const struct tls_suite *suite;
	SSL *ssl[2]; /* 0: client, 1: server */
	struct key_track track[2];
	BIO *wire[2]; /* to the client, to the server */
	SSL_SESSION *ticket;
};

static struct tls_kdf *kdf;

static int setup(void **state)
{
	(void)state;
	return tls_kdf_new(&kdf);
}

static int teardown(void **state)
{
	(void)state;
	tls_kdf_free(kdf);
	return 0;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct key_track *track = SSL_get_app_data(ssl);
	struct tracked *pair = (void *)((char *)track - offsetof(struct tracked, track));

	SSL_SESSION_free(pair->ticket);
	pair->ticket = ticket;
	return 1;
}

static SSL_CTX *new_context(const struct tls_suite *suite, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_min_proto_version(ctx, suite->version);
	SSL_CTX_set_max_proto_version(ctx, suite->version);
	if (suite->version == 0x0304)
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, suite->name), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, suite->name), 1);
	if (server) {
		tls_pair_certify(ctx);
	} else {
		SSL_CTX_set_session_cache_mode(ctx,
					       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, keep_ticket);
	}
	key_track_prepare(ctx);
	return ctx;
}

/* Shake hands; what the server sends behind its Finished stays on the wire. */
static void connect_in(SSL_CTX *const ctx[2], struct tracked *pair, size_t tickets)
{
	pair->wire[0] = BIO_new(BIO_s_mem());
	pair->wire[1] = BIO_new(BIO_s_mem());
	for (int i = 0; i < 2; i++) {
		BIO_set_mem_eof_return(pair->wire[i], -1);
		pair->ssl[i] = SSL_new(ctx[i]);
		key_track_attach(&pair->track[i], pair->ssl[i], i == 1, kdf);
	}
	for (int i = 0; i < 2; i++) {
		BIO_up_ref(pair->wire[0]);
		BIO_up_ref(pair->wire[1]);
		SSL_set_bio(pair->ssl[i], pair->wire[i], pair->wire[1 - i]);
		BIO_free(pair->wire[i]);
	}
	SSL_set_num_tickets(pair->ssl[1], tickets);
	SSL_set_connect_state(pair->ssl[0]);
	SSL_set_accept_state(pair->ssl[1]);
	if (pair->ticket)
		assert_int_equal(SSL_set_session(pair->ssl[0], pair->ticket), 1);
	for (int i = 0; i < 6; i++)
		SSL_do_handshake(pair->ssl[i % 2]);
	assert_true(SSL_is_init_finished(pair->ssl[0]) && SSL_is_init_finished(pair->ssl[1]));
	ERR_clear_error();
}

static void open_tracked(struct tracked *pair, const struct tls_suite *suite, size_t tickets)
{
	SSL_CTX *ctx[2] = {new_context(suite, false), new_context(suite, true)};

	memset(pair, 0, sizeof(*pair));
	pair->suite = suite;
	connect_in(ctx, pair, tickets);
	SSL_CTX_free(ctx[0]);
	SSL_CTX_free(ctx[1]);
}

static void close_tracked(struct tracked *pair)
{
	for (int i = 0; i < 2; i++) {
		key_track_wipe(&pair->track[i], KTLS_TX);
		key_track_wipe(&pair->track[i], KTLS_RX);
		SSL_free(pair->ssl[i]);
	}
	SSL_SESSION_free(pair->ticket);
	ERR_clear_error();
}

/* Both ends must name the keys of this direction's next record alike, and a textbook receiver must
 * open it with them. */
static void expect_keys(struct tracked *pair, int from)
{
	uint8_t record[RECORD_MAX], plain[RECORD_MAX], type = 0;
	struct tls_keys sender, receiver;
	char got[8];
	size_t len;

	assert_int_equal(key_track_keys(&pair->track[from], pair->ssl[from], KTLS_TX, &sender), 0);
	assert_int_equal(
		key_track_keys(&pair->track[1 - from], pair->ssl[1 - from], KTLS_RX, &receiver), 0);
	assert_memory_equal(&sender, &receiver, sizeof(sender));
	assert_int_equal(sender.version, pair->suite->version);
	assert_int_equal(sender.aead, pair->suite->aead);
	assert_int_equal(SSL_write(pair->ssl[from], "secret", 6), 6);
	len = tls_pair_take_record(pair->wire[1 - from], record, sizeof(record));
	assert_int_equal(tls_pair_open_record(&receiver, record, len, plain, &type), 6);
	assert_int_equal(type, 23);
	assert_memory_equal(plain, "secret", 6);
	/* Put it back: the receiver counts it too. */
	assert_int_equal(BIO_write(pair->wire[1 - from], record, (int)len), (int)len);
	assert_int_equal(SSL_read(pair->ssl[1 - from], got, sizeof(got)), 6);
	tls_keys_wipe(&sender);
	tls_keys_wipe(&receiver);
}

static void expect_nothing_to_read(struct tracked *pair, int at)
{
	char byte;

	assert_int_equal(SSL_read(pair->ssl[at], &byte, 1), -1);
	assert_int_equal(SSL_get_error(pair->ssl[at], -1), SSL_ERROR_WANT_READ);
	ERR_clear_error();
}

/* What the kernel facts say: 1 and 1 for TLS 1.2; TLS 1.3: 0, and the tickets that the server sent.
 */
static void test_counters(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		for (size_t tickets = 0; tickets <= 4; tickets++) {
			bool tls13 = tls_suites[i].version == 0x0304;
			uint64_t sent = tls13 ? tickets : 1;
			struct tracked pair;

			open_tracked(&pair, &tls_suites[i], tickets);
			assert_int_equal(pair.track[0].records[KTLS_TX], tls13 ? 0 : 1);
			assert_int_equal(pair.track[1].records[KTLS_RX], tls13 ? 0 : 1);
			assert_int_equal(pair.track[1].records[KTLS_TX], sent);
			expect_nothing_to_read(&pair, 0);
			assert_int_equal(pair.track[0].records[KTLS_RX], sent);
			for (int round = 0; round < 3; round++) {
				expect_keys(&pair, 0);
				expect_keys(&pair, 1);
			}
			assert_int_equal(pair.track[1].records[KTLS_TX], sent + 3);
			close_tracked(&pair);
		}
	}
}

/* Of an abbreviated handshake as well: other messages, other records before the keys. */
static void test_resumed(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		SSL_CTX *ctx[2] = {new_context(&tls_suites[i], false),
				   new_context(&tls_suites[i], true)};
		struct tracked first = {.suite = &tls_suites[i]};
		struct tracked second = {.suite = &tls_suites[i]};

		connect_in(ctx, &first, 1);
		expect_nothing_to_read(&first, 0);
		assert_non_null(first.ticket);
		second.ticket = first.ticket;
		first.ticket = NULL;
		connect_in(ctx, &second, 1);
		assert_int_equal(SSL_session_reused(second.ssl[0]), 1);
		expect_nothing_to_read(&second, 0);
		expect_keys(&second, 0);
		expect_keys(&second, 1);
		close_tracked(&first);
		close_tracked(&second);
		SSL_CTX_free(ctx[0]);
		SSL_CTX_free(ctx[1]);
	}
}

/* Only the keys that were replaced start at zero; the peer's stay as they are until it replaces
 * them. */
static void test_key_update(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tracked pair;

		if (tls_suites[i].version != 0x0304)
			continue;
		open_tracked(&pair, &tls_suites[i], 2);
		expect_nothing_to_read(&pair, 0);
		for (uint32_t round = 1; round <= 4; round++) {
			int from = round % 2;
			bool ask = round > 2;

			expect_keys(&pair, 0);
			expect_keys(&pair, 1);
			SSL_key_update(pair.ssl[from], ask ? SSL_KEY_UPDATE_REQUESTED
							   : SSL_KEY_UPDATE_NOT_REQUESTED);
			assert_int_equal(SSL_do_handshake(pair.ssl[from]), 1);
			assert_int_equal(pair.track[from].records[KTLS_TX], 0);
			assert_int_not_equal(pair.track[from].records[KTLS_RX], 0);
			expect_nothing_to_read(&pair, 1 - from);
			assert_int_equal(pair.track[1 - from].records[KTLS_RX], 0);
			expect_keys(&pair, from);
			if (ask) {
				char byte;

				/* The answer goes out ahead of the next data. */
				assert_int_equal(SSL_write(pair.ssl[1 - from], "a", 1), 1);
				assert_int_equal(pair.track[1 - from].records[KTLS_TX], 1);
				assert_int_equal(SSL_read(pair.ssl[from], &byte, 1), 1);
				assert_int_equal(pair.track[from].records[KTLS_RX], 1);
			}
			expect_keys(&pair, 1 - from);
		}
		assert_int_equal(pair.track[0].key_updates, 3);
		assert_int_equal(pair.track[1].key_updates, 3);
		close_tracked(&pair);
	}
}

/* Large writes are several records. */
static void test_many_records(void **state)
{
	static uint8_t bytes[100000];

	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tracked pair;
		size_t at = 0;

		open_tracked(&pair, &tls_suites[i], 0);
		assert_int_equal(SSL_write(pair.ssl[1], bytes, sizeof(bytes)), sizeof(bytes));
		while (at < sizeof(bytes)) {
			int n = SSL_read(pair.ssl[0], bytes, sizeof(bytes));

			assert_true(n > 0);
			at += (size_t)n;
		}
		assert_true(pair.track[1].records[KTLS_TX] >= 7);
		assert_int_equal(pair.track[1].records[KTLS_TX], pair.track[0].records[KTLS_RX]);
		expect_keys(&pair, 1);
		expect_keys(&pair, 0);
		close_tracked(&pair);
	}
}

static void test_alerts(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tracked pair;
		char byte;

		open_tracked(&pair, &tls_suites[i], 0);
		assert_int_equal(pair.track[0].alert_sent, -1);
		assert_int_equal(pair.track[1].alert_received, -1);
		assert_int_equal(SSL_shutdown(pair.ssl[0]), 0);
		assert_int_equal(pair.track[0].alert_sent, 0);
		assert_int_equal(SSL_read(pair.ssl[1], &byte, 1), 0);
		assert_int_equal(pair.track[1].alert_received, 0);
		assert_int_equal(pair.track[1].alert_sent, -1);
		expect_keys(&pair, 1); /* the other direction is open, and counted */
		close_tracked(&pair);
	}
}

/* A suite that kernel TLS does not have, and a handshake that is not complete. */
static void test_no_keys(void **state)
{
	static const struct tls_suite cbc = {0x0303, TLS_AEAD_NONE, "ECDHE-ECDSA-AES128-SHA"};
	struct tls_keys keys;
	struct tracked pair;
	SSL_CTX *ctx;
	SSL *ssl;

	(void)state;
	open_tracked(&pair, &cbc, 0);
	assert_int_equal(key_track_keys(&pair.track[0], pair.ssl[0], KTLS_TX, &keys), -ENOTSUP);
	assert_int_equal(key_track_keys(&pair.track[1], pair.ssl[1], KTLS_RX, &keys), -ENOTSUP);
	close_tracked(&pair);

	ctx = new_context(&tls_suites[3], false);
	ssl = SSL_new(ctx);
	key_track_attach(&pair.track[0], ssl, false, kdf);
	assert_int_not_equal(key_track_keys(&pair.track[0], ssl, KTLS_TX, &keys), 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* A wiped secret is gone; the other direction's is not. */
static void test_wipe(void **state)
{
	static const struct tls_secret none;
	struct tls_keys keys;
	struct tracked pair;

	(void)state;
	open_tracked(&pair, &tls_suites[4], 0);
	assert_int_equal(pair.track[0].secret[KTLS_TX].len, 48);
	key_track_wipe(&pair.track[0], KTLS_TX);
	assert_memory_equal(&pair.track[0].secret[KTLS_TX], &none, sizeof(none));
	assert_int_not_equal(key_track_keys(&pair.track[0], pair.ssl[0], KTLS_TX, &keys), 0);
	assert_int_equal(key_track_keys(&pair.track[0], pair.ssl[0], KTLS_RX, &keys), 0);
	tls_keys_wipe(&keys);
	close_tracked(&pair);
}

/* Objects of a prepared context that nobody tracks are left alone. */
static void test_untracked(void **state)
{
	SSL_CTX *ctx[2] = {new_context(&tls_suites[3], false), new_context(&tls_suites[3], true)};
	BIO *wire[2] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
	SSL *ssl[2];

	(void)state;
	SSL_CTX_sess_set_new_cb(ctx[0], NULL);
	for (int i = 0; i < 2; i++) {
		BIO_set_mem_eof_return(wire[i], -1);
		ssl[i] = SSL_new(ctx[i]);
		BIO_up_ref(wire[0]);
		BIO_up_ref(wire[1]);
		SSL_set_bio(ssl[i], wire[i], wire[1 - i]);
	}
	SSL_set_connect_state(ssl[0]);
	SSL_set_accept_state(ssl[1]);
	for (int i = 0; i < 6; i++)
		SSL_do_handshake(ssl[i % 2]);
	assert_true(SSL_is_init_finished(ssl[0]) && SSL_is_init_finished(ssl[1]));
	for (int i = 0; i < 2; i++) {
		SSL_free(ssl[i]);
		SSL_CTX_free(ctx[i]);
		BIO_free(wire[i]);
	}
	ERR_clear_error();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),   cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_key_update), cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_alerts),     cmocka_unit_test(test_no_keys),
		cmocka_unit_test(test_wipe),       cmocka_unit_test(test_untracked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
