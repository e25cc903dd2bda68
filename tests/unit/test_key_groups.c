// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/objects.h>

#include "tls/client_hello.h"
#include "tls/key_groups.h"
#include "tls/openssl_compat.h"

enum { P256 = 23, P384 = 24, X25519 = 29, X448 = 30, ML_KEM = 0x11ec, KEY_SHARE = 51 };

static SSL *client(SSL_CTX **ctx, const char *list)
{
	SSL *ssl;

	*ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(*ctx);
	assert_int_equal(SSL_CTX_set1_groups_list(*ctx, list), 1);
	ssl = SSL_new(*ctx);
	assert_non_null(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	return ssl;
}

/* The first key share (RFC 8446 4.2.8): behind the extension's code, its length and the list's. */
static int shared(const uint8_t *hello, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i++)
		if (hello[i] == 0 && hello[i + 1] == KEY_SHARE &&
		    (hello[i + 2] << 8 | hello[i + 3]) == (hello[i + 4] << 8 | hello[i + 5]) + 2)
			return hello[i + 6] << 8 | hello[i + 7];
	return -1;
}

static void assert_hello(SSL *ssl, int share, size_t offered)
{
	struct client_hello hello;
	uint8_t *bytes;
	size_t need, len;

	assert_int_equal(SSL_do_handshake(ssl), -1);
	len = (size_t)BIO_get_mem_data(SSL_get_wbio(ssl), (char **)&bytes);
	assert_int_equal(client_hello_parse(bytes, len, &hello, &need), 1);
	assert_int_equal(hello.groups.at[0], share);
	assert_int_equal(hello.groups.len, offered);
	assert_int_equal(shared(bytes, len), share);
}

struct row {
	const char *list;
	int group, share;
	size_t offered;
};

static void check(const struct row *row)
{
	SSL_CTX *ctx;
	SSL *ssl = client(&ctx, row->list);

	key_groups_put_first(ssl, row->list, row->group);
	assert_hello(ssl, row->share, row->offered);
	assert_int_equal(key_groups_used(ssl), 0); /* no answer yet */
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void test_put_first(void **state)
{
	const size_t all = strstr(TLS_GROUPS, "MLKEM") ? 6 : 5;
	const struct row rows[] = {
		{TLS_GROUPS, 0, X25519, all},
		{TLS_GROUPS, NID_X25519, X25519, all},
		{TLS_GROUPS, NID_secp384r1, P384, all},
		{TLS_GROUPS, NID_X448, X448, all},
		{TLS_GROUPS, NID_X9_62_prime256v1, P256, all},
		{TLS_GROUPS, NID_ffdhe2048, X25519, all}, /* not one of the list */
		{TLS_GROUPS, NID_sha256, X25519, all},    /* none at all */
		{TLS_GROUPS, TLSEXT_nid_unknown | 0x7f7f, X25519, all},
		{"X25519:secp256r1", NID_X9_62_prime256v1, P256, 2},
		{"X25519:prime256v1", NID_X9_62_prime256v1, P256, 2},
		{"secp384r1:P-256", NID_secp384r1, P384, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

/* What has no NID, where OpenSSL has it. */
static void test_put_ml_kem_first(void **state)
{
	const struct row row = {TLS_GROUPS, TLSEXT_nid_unknown | ML_KEM, ML_KEM, 6};

	(void)state;
	if (strstr(TLS_GROUPS, "MLKEM"))
		check(&row);
}

/* A list that says itself which shares are sent. */
static void test_own_shares_stay(void **state)
{
	const struct row row = {"*X25519:P-256", NID_X9_62_prime256v1, X25519, 2};

	(void)state;
	if (strstr(TLS_GROUPS, "MLKEM"))
		check(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_first),
		cmocka_unit_test(test_put_ml_kem_first),
		cmocka_unit_test(test_own_shares_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
