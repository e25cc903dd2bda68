// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tls/record_seal.h"
#include "tls_pair.h"

#define ALERT 21
#define DATA  23

static void put_sealed(BIO *wire, struct tls_keys *keys, uint8_t type, const void *in, size_t len)
{
	uint8_t record[256 + TLS_RECORD_SEAL_OVERHEAD];
	ssize_t sealed = tls_record_seal(keys, type, in, len, record, sizeof(record));

	assert_true(sealed > (ssize_t)len);
	assert_true((size_t)sealed <= len + TLS_RECORD_SEAL_OVERHEAD);
	assert_int_equal(BIO_write(wire, record, (int)sealed), (int)sealed);
}

/* The peer's OpenSSL must report the alert that was sealed, not a broken record. */
static void expect_fatal(SSL *reader, const int *seen, int description)
{
	uint8_t byte;
	int got = SSL_read(reader, &byte, 1);

	assert_true(got <= 0);
	assert_int_equal(SSL_get_error(reader, got), SSL_ERROR_SSL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + description);
	assert_int_equal(*seen, 2 << 8 | description);
}

static void test_fatal_alert(void **state)
{
	static const uint8_t to_server[] = {2, SSL_AD_UNKNOWN_CA};
	static const uint8_t to_client[] = {2, SSL_AD_ACCESS_DENIED};

	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		struct tls_pair pair;

		tls_pair_open(&pair, &tls_suites[i]);
		put_sealed(pair.to_server, &pair.client_write, ALERT, to_server, 2);
		expect_fatal(pair.server, &pair.server_alert, SSL_AD_UNKNOWN_CA);
		ERR_clear_error();
		put_sealed(pair.to_client, &pair.server_write, ALERT, to_client, 2);
		expect_fatal(pair.client, &pair.client_alert, SSL_AD_ACCESS_DENIED);
		tls_pair_close(&pair);
	}
}

/* After records of OpenSSL's own, and one after the other: the counting on is right. */
static void test_records_in_a_row(void **state)
{
	static const uint8_t close_notify[] = {1, SSL_AD_CLOSE_NOTIFY};

	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		uint8_t big[256], got[300];
		struct tls_pair pair;

		memset(big, 'b', sizeof(big));
		tls_pair_open(&pair, &tls_suites[i]);
		assert_int_equal(SSL_write(pair.client, "own", 3), 3);
		assert_int_equal(SSL_read(pair.server, got, sizeof(got)), 3);
		pair.client_write.seq++;
		pair.client_write.iv[11] += pair.client_write.version == 0x0303 &&
					    pair.client_write.aead != TLS_AEAD_CHACHA20_POLY1305;
		for (size_t len = 1; len <= sizeof(big); len *= 2) {
			put_sealed(pair.to_server, &pair.client_write, DATA, big, len);
			assert_int_equal(SSL_read(pair.server, got, sizeof(got)), (int)len);
			assert_memory_equal(got, big, len);
		}
		put_sealed(pair.to_server, &pair.client_write, ALERT, close_notify, 2);
		assert_int_equal(SSL_read(pair.server, got, sizeof(got)), 0);
		assert_int_equal(SSL_get_error(pair.server, 0), SSL_ERROR_ZERO_RETURN);
		assert_int_equal(pair.server_alert, 1 << 8 | SSL_AD_CLOSE_NOTIFY);
		tls_pair_close(&pair);
	}
}

/* The explicit nonce carries over all its eight bytes and never into the salt. */
static void test_nonce_carry(void **state)
{
	struct tls_keys keys = {
		.version = 0x0303,
		.aead = TLS_AEAD_AES128_GCM,
		.iv = {1, 2, 3, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.seq = 41,
	};
	static const uint8_t carried[12] = {1, 2, 3, 4, 1};
	static const uint8_t wrapped[12] = {1, 2, 3, 4};
	uint8_t record[128], plain[64], type;
	struct tls_keys reader = keys;
	ssize_t len;

	(void)state;
	len = tls_record_seal(&keys, ALERT, (const uint8_t *)"\2\50", 2, record, sizeof(record));
	assert_int_equal(len, 5 + 8 + 2 + 16);
	assert_memory_equal(keys.iv, carried, 12);
	assert_int_equal(keys.seq, 42);
	assert_int_equal(tls_pair_open_record(&reader, record, (size_t)len, plain, &type), 2);
	memset(keys.iv + 4, 0xff, 8);
	len = tls_record_seal(&keys, ALERT, (const uint8_t *)"\2\50", 2, record, sizeof(record));
	assert_true(len > 0);
	assert_memory_equal(keys.iv, wrapped, 12);
}

static void test_bad_arguments(void **state)
{
	struct tls_keys keys = {.version = 0x0304, .aead = TLS_AEAD_AES128_GCM}, before;
	static uint8_t in[16385], out[16385 + TLS_RECORD_SEAL_OVERHEAD];

	(void)state;
	before = keys;
	assert_int_equal(tls_record_seal(&keys, DATA, in, 16385, out, sizeof(out)), -EINVAL);
	assert_int_equal(tls_record_seal(&keys, DATA, in, 2, out, 2 + TLS_RECORD_SEAL_OVERHEAD - 1),
			 -ENOSPC);
	keys.aead = TLS_AEAD_NONE;
	assert_int_equal(tls_record_seal(&keys, DATA, in, 2, out, sizeof(out)), -EINVAL);
	keys = before;
	keys.version = 0x0302;
	assert_int_equal(tls_record_seal(&keys, DATA, in, 2, out, sizeof(out)), -EINVAL);
	keys = before;
	keys.seq = UINT64_MAX;
	assert_int_equal(tls_record_seal(&keys, DATA, in, 2, out, sizeof(out)), -EINVAL);
	keys = before;
	assert_int_equal(tls_record_seal(&keys, DATA, in, 0, out, sizeof(out)), 5 + 1 + 16);
	assert_int_equal(keys.seq, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fatal_alert),
		cmocka_unit_test(test_records_in_a_row),
		cmocka_unit_test(test_nonce_carry),
		cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
