// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tls_pair.h"

static int setup(void **state)
{
	struct tls_kdf *kdf;

	assert_int_equal(tls_kdf_new(&kdf), 0);
	*state = kdf;
	return 0;
}

static int teardown(void **state)
{
	tls_kdf_free(*state);
	tls_kdf_free(NULL);
	return 0;
}

static size_t unhex(const char *hex, uint8_t *out)
{
	unsigned int byte;
	size_t n = 0;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

struct rfc8448_vector {
	const char *secret, *key, *iv;
};

/* RFC 8448 section 3, "Simple 1-RTT Handshake", TLS_AES_128_GCM_SHA256. */
static const struct rfc8448_vector rfc8448[] = {
	/* client handshake */
	{"b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
	 "dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f"},
	/* server handshake */
	{"b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
	 "3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30"},
	/* client application data */
	{"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
	 "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
	/* server application data */
	{"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
	 "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
};

static void test_rfc8448(void **state)
{
	for (size_t i = 0; i < sizeof(rfc8448) / sizeof(rfc8448[0]); i++) {
		struct tls_secret secret = {{0}, 0};
		struct tls_keys keys;
		uint8_t key[16], iv[12];

		secret.len = (uint8_t)unhex(rfc8448[i].secret, secret.bytes);
		unhex(rfc8448[i].key, key);
		unhex(rfc8448[i].iv, iv);
		assert_int_equal(tls13_derive_keys(*state, &secret, TLS_AEAD_AES128_GCM, &keys), 0);
		assert_memory_equal(keys.key, key, sizeof(key));
		assert_memory_equal(keys.iv, iv, sizeof(iv));
		assert_int_equal(keys.version, 0x0304);
		assert_int_equal(keys.aead, TLS_AEAD_AES128_GCM);
		assert_int_equal(keys.seq, 0);
	}
}

/* A record that OpenSSL sealed opens with the keys that we derived: key, iv and sequence fit. */
static void expect_data(SSL *from, BIO *wire, struct tls_keys *keys, const char *text)
{
	uint8_t record[256], plain[256], type;
	int len = (int)strlen(text);
	size_t record_len;

	assert_int_equal(SSL_write(from, text, len), len);
	record_len = tls_pair_take_record(wire, record, sizeof(record));
	assert_int_equal(tls_pair_open_record(keys, record, record_len, plain, &type), len);
	assert_int_equal(type, 23);
	assert_memory_equal(plain, text, (size_t)len);
	assert_int_equal(BIO_ctrl_pending(wire), 0);
}

static void test_openssl_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tls_pair pair;

		tls_pair_open(&pair, &tls_suites[i]);
		expect_data(pair.client, pair.to_server, &pair.client_write, "GET / HTTP/1.1");
		expect_data(pair.client, pair.to_server, &pair.client_write, "again");
		expect_data(pair.server, pair.to_client, &pair.server_write, "HTTP/1.1 200 OK");
		expect_data(pair.server, pair.to_client, &pair.server_write, "and again");
		tls_pair_close(&pair);
	}
}

/* The test's own receiver must not open everything: one bit of key or iv, or seq, is told. */
static void test_wrong_keys_do_not_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		uint8_t record[256], plain[256], type;
		struct tls_pair pair;
		struct tls_keys keys;
		size_t len;

		tls_pair_open(&pair, &tls_suites[i]);
		assert_int_equal(SSL_write(pair.client, "x", 1), 1);
		len = tls_pair_take_record(pair.to_server, record, sizeof(record));
		keys = pair.client_write;
		keys.key[15] ^= 1;
		assert_int_equal(tls_pair_open_record(&keys, record, len, plain, &type), -1);
		keys = pair.client_write;
		keys.iv[0] ^= 1;
		assert_int_equal(tls_pair_open_record(&keys, record, len, plain, &type), -1);
		keys = pair.client_write;
		keys.seq++;
		assert_int_equal(tls_pair_open_record(&keys, record, len, plain, &type), -1);
		tls_pair_close(&pair);
	}
}

/* KeyUpdate goes out under the old keys, what follows under the new ones, from sequence 0. */
static void expect_key_update(struct tls_kdf *kdf, SSL *from, BIO *wire, struct tls_secret *secret,
			      struct tls_keys *keys, int request)
{
	uint8_t record[256], plain[256], type;
	const uint8_t message[] = {24, 0, 0, 1, (uint8_t)request};
	enum tls_aead aead = keys->aead;
	size_t len;

	assert_int_equal(SSL_key_update(from, request), 1);
	assert_int_equal(SSL_do_handshake(from), 1);
	len = tls_pair_take_record(wire, record, sizeof(record));
	assert_int_equal(tls_pair_open_record(keys, record, len, plain, &type), sizeof(message));
	assert_int_equal(type, 22);
	assert_memory_equal(plain, message, sizeof(message));
	assert_int_equal(tls13_update_secret(kdf, secret), 0);
	assert_int_equal(tls13_derive_keys(kdf, secret, aead, keys), 0);
	expect_data(from, wire, keys, "under new keys");
}

static void test_key_update(void **state)
{
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tls_pair pair;

		if (tls_suites[i].version != 0x0304)
			continue;
		tls_pair_open(&pair, &tls_suites[i]);
		expect_data(pair.client, pair.to_server, &pair.client_write, "under old keys");
		for (int round = 0; round < 3; round++) {
			expect_key_update(*state, pair.client, pair.to_server, &pair.client_secret,
					  &pair.client_write, SSL_KEY_UPDATE_NOT_REQUESTED);
			expect_key_update(*state, pair.server, pair.to_client, &pair.server_secret,
					  &pair.server_write, SSL_KEY_UPDATE_REQUESTED);
		}
		tls_pair_close(&pair);
	}
}

/* One context serves all hashes and functions in any order, and keeps nothing of the last call. */
static void test_contexts_are_reused(void **state)
{
	struct tls_secret sha256 = {.len = 32}, sha384 = {.len = 48};
	struct tls_keys first256, first384, client, server, again, first12 = {0};
	uint8_t master[48] = {1}, randoms[2][32] = {{2}, {3}};

	memset(sha256.bytes, 0xa5, 32);
	memset(sha384.bytes, 0x5a, 48);
	assert_int_equal(tls13_derive_keys(*state, &sha256, TLS_AEAD_AES128_GCM, &first256), 0);
	assert_int_equal(tls13_derive_keys(*state, &sha384, TLS_AEAD_AES256_GCM, &first384), 0);
	assert_memory_not_equal(first256.iv, first384.iv, 12);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tls12_derive_keys(*state, master, randoms[0], randoms[1],
						   i % 2 ? 32 : 48, TLS_AEAD_AES256_GCM, &client,
						   &server),
				 0);
		if (i == 0)
			first12 = server;
		else if (i == 2) /* the same hash, hence the same context */
			assert_memory_equal(&server, &first12, sizeof(server));
		assert_int_equal(tls13_derive_keys(*state, &sha256, TLS_AEAD_AES128_GCM, &again),
				 0);
		assert_memory_equal(&again, &first256, sizeof(again));
		assert_int_equal(tls13_derive_keys(*state, &sha384, TLS_AEAD_AES256_GCM, &again),
				 0);
		assert_memory_equal(&again, &first384, sizeof(again));
	}
}

static void test_tls12_starts_at_one(void **state)
{
	uint8_t master[48] = {1}, randoms[2][32] = {{2}, {3}};
	static const uint8_t one[8] = {0, 0, 0, 0, 0, 0, 0, 1};
	struct tls_keys client, server;

	assert_int_equal(tls12_derive_keys(*state, master, randoms[0], randoms[1], 32,
					   TLS_AEAD_AES128_GCM, &client, &server),
			 0);
	assert_int_equal(client.version, 0x0303);
	assert_int_equal(client.seq, 1);
	assert_int_equal(server.seq, 1);
	assert_memory_equal(client.iv + 4, one, 8);
	assert_memory_equal(server.iv + 4, one, 8);
	assert_memory_not_equal(client.key, server.key, 16);
	assert_memory_not_equal(client.iv, server.iv, 4);
}

static void test_bad_arguments(void **state)
{
	struct tls_secret secret = {.len = 32};
	struct tls_keys keys, other;
	uint8_t bytes[48] = {0};

	assert_int_equal(tls13_derive_keys(*state, &secret, TLS_AEAD_NONE, &keys), -EINVAL);
	assert_int_equal(tls13_derive_keys(*state, &secret, (enum tls_aead)9, &keys), -EINVAL);
	for (unsigned int len = 0; len < 256; len++) {
		int want = len == 32 || len == 48 ? 0 : -EINVAL;

		secret.len = (uint8_t)len;
		assert_int_equal(tls13_derive_keys(*state, &secret, TLS_AEAD_AES128_GCM, &keys),
				 want);
		assert_int_equal(tls13_update_secret(*state, &secret), want);
		assert_int_equal(tls12_derive_keys(*state, bytes, bytes, bytes, len,
						   TLS_AEAD_AES128_GCM, &keys, &other),
				 want);
	}
	assert_int_equal(
		tls12_derive_keys(*state, bytes, bytes, bytes, 32, TLS_AEAD_NONE, &keys, &other),
		-EINVAL);
}

static void test_suites(void **state)
{
	unsigned int known = 0;

	(void)state;
	for (unsigned int suite = 0; suite <= UINT16_MAX; suite++)
		known += tls_aead_by_suite((uint16_t)suite) != TLS_AEAD_NONE;
	assert_int_equal(known, 14);
	assert_int_equal(tls_aead_by_suite(0x1304), TLS_AEAD_NONE); /* CCM */
	assert_int_equal(tls_aead_by_suite(0xc013), TLS_AEAD_NONE); /* CBC */
	assert_int_equal(tls_aead_key_len(TLS_AEAD_NONE), 0);
	assert_int_equal(tls_aead_key_len(TLS_AEAD_AES128_GCM), 16);
	assert_int_equal(tls_aead_key_len(TLS_AEAD_AES256_GCM), 32);
	assert_int_equal(tls_aead_key_len(TLS_AEAD_CHACHA20_POLY1305), 32);
}

static void test_wipe(void **state)
{
	static const struct tls_secret no_secret;
	static const struct tls_keys no_keys;
	struct tls_secret secret;
	struct tls_keys keys;

	(void)state;
	memset(&keys, 0xff, sizeof(keys));
	memset(&secret, 0xff, sizeof(secret));
	tls_keys_wipe(&keys);
	tls_secret_wipe(&secret);
	assert_memory_equal(&keys, &no_keys, sizeof(keys));
	assert_memory_equal(&secret, &no_secret, sizeof(secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8448),
		cmocka_unit_test(test_openssl_records),
		cmocka_unit_test(test_wrong_keys_do_not_open),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_contexts_are_reused),
		cmocka_unit_test(test_tls12_starts_at_one),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_suites),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
