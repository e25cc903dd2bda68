// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>

#include "session_shake.h"
#include "tls/ticket_feed.h"
#include "tls_pair.h"

#define RECORD_MAX (16384 + 512)
#define SMALL_MAX  2000
#define FRESH_MAX  8

/* A client whose records somebody else opens, and its origin. */
struct rig {
	SSL_CTX *client_ctx, *server_ctx;
	struct tls_session session;
	SSL *server;
	BIO *wire;
	struct tls_kdf *kdf;
	struct tls_keys keys; /* what the kernel would read with */
	SSL_SESSION *fresh[FRESH_MAX];
	size_t fresh_len;
};

static void on_fresh(struct tls_session *session, SSL_SESSION *fresh)
{
	struct rig *rig = (void *)((char *)session - offsetof(struct rig, session));

	assert_true(rig->fresh_len < FRESH_MAX);
	SSL_SESSION_up_ref(fresh);
	rig->fresh[rig->fresh_len++] = fresh;
}

static void open_rig(struct rig *rig, const struct tls_suite *suite, size_t tickets)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(tls_kdf_new(&rig->kdf), 0);
	rig->client_ctx = SSL_CTX_new(TLS_client_method());
	rig->server_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_ciphersuites(rig->client_ctx, suite->name);
	key_track_prepare(rig->client_ctx);
	tls_session_prepare_upstream_side(rig->client_ctx);
	tls_pair_certify(rig->server_ctx);
	SSL_CTX_set_num_tickets(rig->server_ctx, tickets);
	rig->session.ssl = SSL_new(rig->client_ctx);
	rig->session.on_fresh = on_fresh;
	rig->server = SSL_new(rig->server_ctx);
	key_track_attach(&rig->session.track, rig->session.ssl, false, rig->kdf);
	session_shake(rig->session.ssl, rig->server, &rig->wire);
	assert_int_equal(key_track_keys(&rig->session.track, rig->session.ssl, KTLS_RX, &rig->keys),
			 0);
	assert_int_equal(rig->keys.seq, 0);
	/* The wire is the kernel's from here on; SSL_set0_rbio would free it. */
	BIO_up_ref(rig->wire);
}

static void close_rig(struct rig *rig)
{
	const struct ktls_support support = {0};

	tls_ticket_feed_end(&rig->session, &support);
	assert_null(rig->session.ssl);
	assert_int_equal(rig->session.track.secret[KTLS_RX].len, 0);
	tls_session_free(&rig->session);
	for (size_t i = 0; i < rig->fresh_len; i++)
		SSL_SESSION_free(rig->fresh[i]);
	BIO_free(rig->wire);
	SSL_free(rig->server);
	SSL_CTX_free(rig->client_ctx);
	SSL_CTX_free(rig->server_ctx);
	tls_kdf_free(rig->kdf);
}

/* What the kernel would give: the content of the next record. */
static size_t take_content(struct rig *rig, uint8_t *content)
{
	uint8_t record[SMALL_MAX], type;
	size_t len = tls_pair_take_record(rig->wire, record, sizeof(record));
	int n = tls_pair_open_record(&rig->keys, record, len, content, &type);

	assert_true(n > 0);
	assert_int_equal(type, 22);
	return (size_t)n;
}

static void assert_resumes(struct rig *rig, SSL_SESSION *session, bool expected)
{
	SSL *client = SSL_new(rig->client_ctx), *server = SSL_new(rig->server_ctx);

	assert_int_equal(SSL_set_session(client, session), 1);
	session_shake(client, server, NULL);
	assert_int_equal(SSL_session_reused(client), expected);
	SSL_free(client);
	SSL_free(server);
}

static void test_each_ticket_becomes_a_session(void **state)
{
	uint8_t content[SMALL_MAX];

	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct rig rig;

		if (tls_suites[i].version != 0x0304)
			continue;
		open_rig(&rig, &tls_suites[i], 4);
		assert_true(tls_ticket_feed_begin(&rig.session));
		for (size_t n = 1; n <= 4; n++) {
			size_t len = take_content(&rig, content);

			assert_int_equal(tls_ticket_feed(&rig.session, content, len), 0);
			assert_int_equal(rig.fresh_len, n);
		}
		for (size_t n = 0; n < 4; n++)
			assert_resumes(&rig, rig.fresh[n], true);
		close_rig(&rig);
	}
}

static void test_a_ticket_in_pieces(void **state)
{
	uint8_t content[SMALL_MAX];
	struct rig rig;
	size_t len;

	(void)state;
	open_rig(&rig, &tls_suites[3], 2);
	assert_true(tls_ticket_feed_begin(&rig.session));
	len = take_content(&rig, content);
	for (size_t at = 0; at < len; at++) {
		assert_int_equal(rig.fresh_len, 0);
		assert_int_equal(tls_ticket_feed(&rig.session, content + at, 1), 0);
	}
	assert_int_equal(rig.fresh_len, 1);
	assert_resumes(&rig, rig.fresh[0], true);
	close_rig(&rig);
}

static void test_sessions_outlive_the_ssl_object(void **state)
{
	const struct ktls_support support = {.rekey = true};
	uint8_t content[SMALL_MAX];
	struct rig rig;
	size_t len;

	(void)state;
	open_rig(&rig, &tls_suites[4], 1);
	assert_true(tls_ticket_feed_begin(&rig.session));
	len = take_content(&rig, content);
	assert_int_equal(tls_ticket_feed(&rig.session, content, len), 0);
	/* A KeyUpdate may still have to be followed. */
	tls_ticket_feed_end(&rig.session, &support);
	assert_null(rig.session.ssl);
	assert_false(rig.session.awaits_tickets);
	assert_int_equal(rig.session.track.secret[KTLS_RX].len, 48);
	assert_true(SSL_SESSION_is_resumable(rig.fresh[0]));
	assert_resumes(&rig, rig.fresh[0], true);
	close_rig(&rig);
}

static void test_the_largest_record(void **state)
{
	static uint8_t content[RECORD_MAX];
	struct rig rig;

	(void)state;
	open_rig(&rig, &tls_suites[3], 1);
	assert_true(tls_ticket_feed_begin(&rig.session));
	/* A message of 64 KB begins; the rest of it may come. */
	memcpy(content, (const uint8_t[]){4, 0, 0xff, 0xff}, 4);
	assert_int_equal(tls_ticket_feed(&rig.session, content, 16384), 0);
	assert_int_equal(tls_ticket_feed(&rig.session, content, 16385), -EINVAL);
	close_rig(&rig);
}

static void test_nonsense(void **state)
{
	static const uint8_t short_ticket[] = {4, 0, 0, 3, 1, 2, 3}, finished[] = {20, 0, 0, 1, 0};
	struct rig rig;

	(void)state;
	open_rig(&rig, &tls_suites[3], 0);
	assert_true(tls_ticket_feed_begin(&rig.session));
	assert_int_equal(tls_ticket_feed(&rig.session, short_ticket, sizeof(short_ticket)),
			 -EPROTO);
	close_rig(&rig);
	open_rig(&rig, &tls_suites[3], 0);
	assert_true(tls_ticket_feed_begin(&rig.session));
	assert_int_equal(tls_ticket_feed(&rig.session, finished, sizeof(finished)), -EPROTO);
	assert_int_equal(rig.fresh_len, 0);
	close_rig(&rig);
}

static void test_of_no_use(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, &tls_suites[3], 0);
	rig.session.on_fresh = NULL;
	assert_false(tls_ticket_feed_begin(&rig.session));
	rig.session.on_fresh = on_fresh;
	key_track_wipe(&rig.session.track, KTLS_RX);
	assert_false(tls_ticket_feed_begin(&rig.session));
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_ticket_becomes_a_session),
		cmocka_unit_test(test_a_ticket_in_pieces),
		cmocka_unit_test(test_sessions_outlive_the_ssl_object),
		cmocka_unit_test(test_the_largest_record),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_of_no_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
