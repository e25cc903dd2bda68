// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cert_maker.h"
#include "session_shake.h"
#include "tls/ticket_keys.h"

#define PERIOD 100

/* OpenSSL asks at the present time: tests move the keys' own. */
static int64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

static struct ticket_keys *make_keys(int64_t made)
{
	struct ticket_keys *keys;

	assert_int_equal(ticket_keys_new(PERIOD, made, &keys), 0);
	return keys;
}

static SSL_CTX *make_server(struct ticket_keys *keys)
{
	static EVP_PKEY *key;
	static X509 *cert;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!key) {
		key = make_test_key("P-256");
		cert = make_test_cert(&(struct cert_spec){.cn = "test", .key = key});
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	assert_int_equal(ticket_keys_attach(keys, ctx), 0);
	return ctx;
}

/* One connection, of a server context made for it; is *session resumed? It is what came then. */
static bool call(struct ticket_keys *keys, int version, SSL_SESSION **session)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method()), *server_ctx = make_server(keys);
	SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
	bool resumed;

	SSL_set_max_proto_version(client, version);
	if (*session)
		assert_int_equal(SSL_set_session(client, *session), 1);
	SSL_SESSION_free(*session);
	session_shake(client, server, NULL);
	resumed = SSL_session_reused(server);
	assert_true(SSL_peek(client, &(char){0}, 1) < 0); /* the last ticket is the session's */
	*session = SSL_get1_session(client);
	session_shake_end(client, server);
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	return resumed;
}

static void test_shared_by_contexts(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct ticket_keys *keys = make_keys(clock_now()), *other = make_keys(clock_now());
		SSL_SESSION *session = NULL;

		assert_false(call(keys, version, &session));
		assert_true(call(keys, version, &session));
		assert_true(call(keys, version, &session));
		assert_false(call(other, version, &session));
		SSL_SESSION_free(session);
		ticket_keys_put(keys);
		ticket_keys_put(other);
	}
}

static SSL_SESSION *copy_of(SSL_SESSION *session)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	assert_non_null(copy);
	return copy;
}

static void test_the_key_before_is_still_good(void **state)
{
	int64_t now = clock_now();

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct ticket_keys *keys = make_keys(now);
		SSL_SESSION *first = NULL, *session;

		assert_false(call(keys, version, &first));
		assert_int_equal(ticket_keys_run(keys, now + PERIOD - 1), 1);
		assert_int_equal(ticket_keys_run(keys, now + PERIOD), PERIOD);
		session = copy_of(first);
		assert_true(call(keys, version, &session));
		/* and a ticket of the new key came in its place */
		ticket_keys_run(keys, now + 2 * PERIOD);
		assert_true(call(keys, version, &session));
		SSL_SESSION_free(session);
		session = copy_of(first);
		assert_false(call(keys, version, &session));
		SSL_SESSION_free(session);
		SSL_SESSION_free(first);
		ticket_keys_put(keys);
	}
}

static void test_nobody_was_there_for_long(void **state)
{
	int64_t now = clock_now();
	struct ticket_keys *keys = make_keys(now);
	SSL_SESSION *session = NULL;

	(void)state;
	assert_false(call(keys, TLS1_3_VERSION, &session));
	ticket_keys_run(keys, now + 2 * PERIOD);
	assert_false(call(keys, TLS1_3_VERSION, &session));
	SSL_SESSION_free(session);
	ticket_keys_put(keys);
}

static void test_another_period(void **state)
{
	int64_t now = clock_now();
	struct ticket_keys *keys = make_keys(now);

	(void)state;
	assert_int_equal(ticket_keys_run(keys, now), PERIOD);
	ticket_keys_set_period(keys, 10);
	assert_int_equal(ticket_keys_run(keys, now + 4), 6);
	ticket_keys_put(ticket_keys_get(keys));
	ticket_keys_put(keys);
}

static void test_handed_over(void **state)
{
	int64_t now = clock_now();
	struct ticket_keys *keys = make_keys(now), *next = make_keys(now);
	SSL_SESSION *before = NULL, *present = NULL;
	char text[TICKET_KEYS_TEXT];

	(void)state;
	assert_int_equal(ticket_keys_export(keys, now, text, sizeof(text) - 1), -ENOSPC);
	assert_int_equal(ticket_keys_export(keys, now, text, sizeof(text)), 0);
	assert_non_null(strstr(text, " -"));
	assert_int_equal(ticket_keys_import(next, now, text), 0);
	assert_false(call(keys, TLS1_3_VERSION, &before));
	ticket_keys_run(keys, now + PERIOD);
	assert_false(call(keys, TLS1_3_VERSION, &present));
	assert_int_equal(ticket_keys_export(keys, now + PERIOD + 30, text, sizeof(text)), 0);
	assert_int_equal(ticket_keys_import(next, now + PERIOD + 30, text), 0);
	/* with their age */
	assert_int_equal(ticket_keys_run(next, now + PERIOD + 30), PERIOD - 30);
	assert_true(call(next, TLS1_3_VERSION, &before));
	assert_true(call(next, TLS1_3_VERSION, &present));
	SSL_SESSION_free(before);
	SSL_SESSION_free(present);
	ticket_keys_put(keys);
	ticket_keys_put(next);
}

static void test_nonsense_is_not_taken_over(void **state)
{
	int64_t now = clock_now();
	struct ticket_keys *keys = make_keys(now), *same = make_keys(now);
	char text[TICKET_KEYS_TEXT], after[TICKET_KEYS_TEXT];
	SSL_SESSION *session = NULL;

	(void)state;
	assert_int_equal(ticket_keys_export(same, now, text, sizeof(text)), 0);
	assert_false(call(keys, TLS1_3_VERSION, &session));
	for (size_t len = 0; len < strlen(text); len++) {
		snprintf(after, sizeof(after), "%.*s", (int)len, text);
		assert_int_equal(ticket_keys_import(keys, now, after), -EINVAL);
		snprintf(after, sizeof(after), "%.*sx%s", (int)len, text, text + len + 1);
		assert_int_equal(ticket_keys_import(keys, now, after), -EINVAL);
	}
	assert_int_equal(ticket_keys_import(keys, now, "tickets -1 - -"), -EINVAL);
	assert_true(call(keys, TLS1_3_VERSION, &session));
	SSL_SESSION_free(session);
	ticket_keys_put(keys);
	ticket_keys_put(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_by_contexts),
		cmocka_unit_test(test_the_key_before_is_still_good),
		cmocka_unit_test(test_nobody_was_there_for_long),
		cmocka_unit_test(test_another_period),
		cmocka_unit_test(test_handed_over),
		cmocka_unit_test(test_nonsense_is_not_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
