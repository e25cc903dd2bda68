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
#include "tls/session_cache.h"

#define LIFETIME 300

struct rig {
	SSL_CTX *client, *server;
	struct session_cache *cache;
	SSL_SESSION *sessions[64]; /* what the origin gave, TLS 1.3; owned */
	size_t sessions_len;
	int64_t now;
};

static int on_new(SSL *ssl, SSL_SESSION *session)
{
	struct rig *rig = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	assert_true(rig->sessions_len < 64);
	rig->sessions[rig->sessions_len++] = session;
	return 1;
}

static void certify(SSL_CTX *ctx, long until)
{
	EVP_PKEY *key = make_test_key("P-256");
	X509 *cert = make_test_cert(
		&(struct cert_spec){.cn = "origin.test", .key = key, .from = -DAY, .until = until});

	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void shake(struct rig *rig, int version)
{
	SSL *client = SSL_new(rig->client), *server = SSL_new(rig->server);

	SSL_set_max_proto_version(client, version);
	session_shake(client, server, NULL);
	session_shake_end(client, server);
}

/* With `count` TLS 1.3 tickets (or one session of TLS 1.2) of an origin whose certificate ends
 * then.
 */
static void open_rig(struct rig *rig, size_t max, int version, size_t count, long until)
{
	*rig = (struct rig){.now = time(NULL)};
	rig->client = SSL_CTX_new(TLS_client_method());
	rig->server = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_app_data(rig->client, rig);
	SSL_CTX_set_session_cache_mode(rig->client,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(rig->client, on_new);
	SSL_CTX_set_num_tickets(rig->server, count);
	certify(rig->server, until);
	shake(rig, version);
	assert_int_equal(rig->sessions_len, version == TLS1_3_VERSION ? count : 1);
	assert_int_equal(session_cache_new(max, &rig->cache), 0);
}

static void close_rig(struct rig *rig)
{
	session_cache_free(rig->cache);
	for (size_t i = 0; i < rig->sessions_len; i++)
		SSL_SESSION_free(rig->sessions[i]);
	SSL_CTX_free(rig->client);
	SSL_CTX_free(rig->server);
}

static const struct session_scope plain = {
	.address = "\x7f\0\0\1",
	.address_len = 4,
	.port = 443,
	.sni = "origin.test",
	.verify_name = "origin.test",
	.alpn = (const uint8_t *)"\2h2",
	.alpn_len = 3,
	.profile = 1,
	.generation = 7,
};

static void key_of(uint8_t number, uint8_t key[SESSION_KEY_LEN])
{
	struct session_scope scope = plain;

	scope.profile = number;
	assert_int_equal(session_cache_key(&scope, key), 0);
}

static int put(struct rig *rig, uint8_t number, size_t session, uint32_t lifetime, int64_t now)
{
	const struct session_grant grant = {.session = rig->sessions[session],
					    .born = rig->now,
					    .faults = 0x50 + number,
					    .was_asked = number % 2};
	uint8_t key[SESSION_KEY_LEN];

	key_of(number, key);
	return session_cache_put(rig->cache, key, &grant, lifetime, now);
}

/* Is there one? */
static bool take(struct rig *rig, uint8_t number, int64_t now)
{
	struct session_grant grant;
	uint8_t key[SESSION_KEY_LEN];

	key_of(number, key);
	session_cache_take(rig->cache, key, now, &grant);
	if (!grant.session)
		return false;
	assert_int_equal(grant.faults, 0x50 + number);
	assert_int_equal(grant.was_asked, number % 2);
	assert_int_equal(grant.born, rig->now);
	SSL_SESSION_free(grant.session);
	return true;
}

static struct session_cache_stats kept(const struct rig *rig)
{
	struct session_cache_stats stats;

	session_cache_read_stats(rig->cache, &stats);
	return stats;
}

static void test_all_of_the_scope_is_in_the_key(void **state)
{
	struct session_scope scopes[10];
	uint8_t keys[10][SESSION_KEY_LEN];

	(void)state;
	for (int i = 0; i < 10; i++)
		scopes[i] = plain;
	scopes[1].address = "\x7f\0\0\2";
	scopes[2].port = 444;
	scopes[3].sni = "other.test";
	scopes[4].verify_name = "other.test";
	scopes[5].verify_name = NULL;
	scopes[6].alpn_len = 0;
	scopes[7].profile = 2;
	scopes[8].generation = 8;
	/* no border between two members may be moved */
	scopes[9].sni = "origin.testorigin.test";
	scopes[9].verify_name = "";
	for (int i = 0; i < 10; i++) {
		assert_int_equal(session_cache_key(&scopes[i], keys[i]), 0);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], SESSION_KEY_LEN);
	}
}

static void test_tickets_are_given_out_once(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 100, TLS1_3_VERSION, 2, DAY);
	assert_false(take(&rig, 1, rig.now));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(put(&rig, 1, i, LIFETIME, rig.now), 0);
	assert_int_equal(kept(&rig).entries, 2);
	assert_false(take(&rig, 2, rig.now));
	assert_true(take(&rig, 1, rig.now));
	assert_true(take(&rig, 1, rig.now));
	assert_false(take(&rig, 1, rig.now));
	assert_int_equal(kept(&rig).entries, 0);
	close_rig(&rig);
}

static void test_a_tls12_session_stays(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 100, TLS1_2_VERSION, 0, DAY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(&rig, 1, 0, LIFETIME, rig.now), 0);
	assert_int_equal(kept(&rig).entries, 1);
	for (int i = 0; i < 5; i++)
		assert_true(take(&rig, 1, rig.now));
	close_rig(&rig);
}

static void test_bounds(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 10, TLS1_3_VERSION, 20, DAY);
	/* of one key */
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(put(&rig, 1, i, LIFETIME, rig.now), 0);
	assert_int_equal(kept(&rig).entries, SESSIONS_PER_KEY);
	assert_int_equal(kept(&rig).evicted, 0);
	/* of all: the ones that were kept longest go */
	for (uint8_t i = 2; i < 12; i++)
		assert_int_equal(put(&rig, i, i, LIFETIME, rig.now), 0);
	assert_int_equal(kept(&rig).entries, 10);
	assert_int_equal(kept(&rig).evicted, SESSIONS_PER_KEY);
	assert_false(take(&rig, 1, rig.now));
	for (uint8_t i = 2; i < 12; i++)
		assert_true(take(&rig, i, rig.now));
	close_rig(&rig);
}

static void test_many_keys_stay_within_the_bound(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 512, TLS1_3_VERSION, 1, DAY);
	for (int round = 0; round < 8; round++)
		for (int i = 0; i < 255; i++) {
			assert_int_equal(put(&rig, (uint8_t)i, 0, LIFETIME, rig.now), 0);
			assert_true(kept(&rig).entries <= 512);
		}
	assert_true(kept(&rig).entries > 256);
	close_rig(&rig);
}

static void test_lifetimes(void **state)
{
	struct rig rig;
	uint8_t key[SESSION_KEY_LEN];
	struct session_grant grant;

	(void)state;
	open_rig(&rig, 100, TLS1_3_VERSION, 4, 100);
	key_of(1, key);
	/* as long as it is told */
	assert_int_equal(put(&rig, 1, 0, 10, rig.now), 0);
	assert_int_equal(put(&rig, 2, 1, 10, rig.now), 0);
	assert_true(take(&rig, 2, rig.now + 9));
	assert_int_equal(session_cache_take(rig.cache, key, rig.now + 10, &grant), 1);
	assert_null(grant.session);
	/* from its birth on, whenever it came */
	assert_int_equal(put(&rig, 1, 0, 10, rig.now + 8), 0);
	assert_false(take(&rig, 1, rig.now + 10));
	assert_int_equal(put(&rig, 1, 0, 10, rig.now + 10), -ESTALE);
	/* as long as the certificate, and no longer */
	assert_int_equal(put(&rig, 1, 0, 100000, rig.now), 0);
	assert_int_equal(put(&rig, 2, 1, 100000, rig.now), 0);
	assert_true(take(&rig, 2, rig.now + 90));
	assert_false(take(&rig, 1, rig.now + 102));
	/* a clock that is set back is not trusted */
	assert_int_equal(put(&rig, 1, 0, 10, rig.now + 5), 0);
	assert_false(take(&rig, 1, rig.now + 4));
	close_rig(&rig);
}

static void test_ticket_says_how_long(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 100, TLS1_3_VERSION, 1, 30 * DAY);
	SSL_CTX_set_timeout(rig.server, 20);
	SSL_SESSION_free(rig.sessions[0]);
	rig.sessions_len = 0;
	shake(&rig, TLS1_3_VERSION);
	assert_int_equal(put(&rig, 1, 0, 1000, rig.now), 0);
	assert_false(take(&rig, 1, rig.now + 21));
	close_rig(&rig);
}

static void test_purge_and_drop(void **state)
{
	uint8_t key[SESSION_KEY_LEN];
	struct rig rig;

	(void)state;
	open_rig(&rig, 100, TLS1_3_VERSION, 3, DAY);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(put(&rig, i, i, i ? 100 : 10, rig.now), 0);
	assert_int_equal(session_cache_purge(rig.cache, rig.now + 10), 1);
	assert_int_equal(kept(&rig).entries, 2);
	key_of(1, key);
	session_cache_drop(rig.cache, key);
	assert_false(take(&rig, 1, rig.now));
	assert_true(take(&rig, 2, rig.now));
	close_rig(&rig);
}

static void test_what_cannot_be_resumed_is_not_kept(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 100, TLS1_3_VERSION, 1, DAY);
	assert_int_equal(SSL_CTX_remove_session(rig.client, rig.sessions[0]), 0);
	assert_int_equal(put(&rig, 1, 0, LIFETIME, rig.now), -EINVAL);
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_the_scope_is_in_the_key),
		cmocka_unit_test(test_tickets_are_given_out_once),
		cmocka_unit_test(test_a_tls12_session_stays),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_many_keys_stay_within_the_bound),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_ticket_says_how_long),
		cmocka_unit_test(test_purge_and_drop),
		cmocka_unit_test(test_what_cannot_be_resumed_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
