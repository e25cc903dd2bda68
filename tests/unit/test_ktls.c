// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "tcp_pair.h"
#include "tls/ktls.h"
#include "tls/record_seal.h"

/*
 * Needs nothing: what ktls_probe finds decides between two branches, with and without kernel TLS,
 * and the branch is printed.
 */
static struct ktls_support support;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(ktls_probe(&support), 0);
	printf("kernel TLS: %s%s\n", support.ulp ? "yes" : "no", support.rekey ? ", rekey" : "");
	return 0;
}

static const struct tls_keys test_keys = {
	.version = 0x0304,
	.aead = TLS_AEAD_AES128_GCM,
	.key = {1, 2, 3, 4, 5, 6, 7, 8, 9},
	.iv = {11, 12, 13, 14, 0, 0, 0, 0, 0, 0, 0, 1},
	.seq = 1,
};

/* Wait for what another socket sent, so that a non-blocking read is not too early. */
static ssize_t recv_record(int fd, void *buf, size_t len, uint8_t *type)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, 5000), 1);
	return ktls_recv_record(fd, buf, len, type);
}

static void test_probe(void **state)
{
	bool any = false;

	(void)state;
	for (int version = 0; version < 2; version++) {
		assert_false(support.tx[version][TLS_AEAD_NONE]);
		assert_false(support.rx[version][TLS_AEAD_NONE]);
		for (int aead = 0; aead < 4; aead++)
			any = any || support.tx[version][aead] || support.rx[version][aead];
	}
	if (support.ulp) {
		assert_int_equal(support.ulp_errno, 0);
		assert_true(any);
		assert_true(support.tx[0][TLS_AEAD_AES128_GCM]);
		assert_true(support.rx[1][TLS_AEAD_AES128_GCM]);
	} else {
		assert_int_equal(support.ulp_errno, ENOENT);
		assert_false(any || support.rekey);
	}
}

static void test_ulp(void **state)
{
	struct tcp_pair pair;
	int unconnected;

	(void)state;
	tcp_pair_open(&pair, TCP_PAIR_V4);
	unconnected = socket(AF_INET, SOCK_STREAM, 0);
	if (support.ulp) {
		assert_int_equal(ktls_install_ulp(pair.client), 0);
		assert_int_equal(ktls_install_ulp(pair.client), -EEXIST);
		assert_int_equal(ktls_install_ulp(unconnected), -ENOTCONN);
	} else {
		assert_int_equal(ktls_install_ulp(pair.client), -ENOENT);
	}
	assert_int_equal(ktls_install_ulp(-1), -EBADF);
	close(unconnected);
	tcp_pair_close(&pair);
}

/* A socket without the ULP takes no keys and stays a plain socket. */
static void test_without_ulp(void **state)
{
	struct tls_keys none = test_keys;
	struct tcp_pair pair;
	uint8_t type = 99;
	char buf[8];

	(void)state;
	tcp_pair_open(&pair, TCP_PAIR_V4);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &test_keys), -ENOPROTOOPT);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_RX, &test_keys), -ENOPROTOOPT);
	none.aead = TLS_AEAD_NONE;
	assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &none), -EINVAL);
	assert_int_equal(ktls_recv_record(pair.server, buf, sizeof(buf), &type), -EAGAIN);
	assert_int_equal(type, 0);
	assert_int_equal(send(pair.client, "raw", 3, 0), 3);
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 3);
	assert_memory_equal(buf, "raw", 3);
	assert_int_equal(type, 0);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 0);
	assert_int_equal(type, 0);
	tcp_pair_close(&pair);
}

/* A connection whose client sends and whose server receives under these keys. */
static void open_sealed(struct tcp_pair *pair, const struct tls_keys *keys)
{
	tcp_pair_open(pair, TCP_PAIR_V4);
	assert_int_equal(ktls_install_ulp(pair->client), 0);
	assert_int_equal(ktls_install_ulp(pair->server), 0);
	assert_int_equal(ktls_push_keys(pair->client, KTLS_TX, keys), 0);
	assert_int_equal(ktls_push_keys(pair->server, KTLS_RX, keys), 0);
}

static void exchange(const struct tls_keys *keys)
{
	static const uint8_t alert[] = {1, 0};
	struct tcp_pair pair;
	uint8_t buf[64], type;

	open_sealed(&pair, keys);
	assert_int_equal(ktls_recv_record(pair.server, buf, sizeof(buf), &type), -EAGAIN);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(pair.client, "data", 4, 0), 4);
		assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 4);
		assert_int_equal(type, TLS_CT_DATA);
		assert_memory_equal(buf, "data", 4);
	}
	assert_int_equal(ktls_send_record(pair.client, TLS_CT_ALERT, alert, 2), 2);
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 2);
	assert_int_equal(type, TLS_CT_ALERT);
	assert_memory_equal(buf, alert, 2);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 0);
	assert_int_equal(type, 0);
	tcp_pair_close(&pair);
}

/* What user space sealed opens in the kernel, and a flipped bit is told. */
static void open_in_kernel(const struct tls_keys *keys)
{
	static const uint8_t alert[] = {2, 40};
	uint8_t record[128], buf[64], type;
	struct tls_keys sender = *keys;
	struct tcp_pair pair;
	ssize_t len;

	tcp_pair_open(&pair, TCP_PAIR_V4);
	assert_int_equal(ktls_install_ulp(pair.server), 0);
	assert_int_equal(ktls_push_keys(pair.server, KTLS_RX, keys), 0);
	for (int i = 0; i < 2; i++) {
		len = tls_record_seal(&sender, TLS_CT_ALERT, alert, 2, record, sizeof(record));
		assert_int_equal(send(pair.client, record, (size_t)len, 0), len);
		assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 2);
		assert_int_equal(type, TLS_CT_ALERT);
		assert_memory_equal(buf, alert, 2);
	}
	len = tls_record_seal(&sender, TLS_CT_ALERT, alert, 2, record, sizeof(record));
	record[len - 1] ^= 1;
	assert_int_equal(send(pair.client, record, (size_t)len, 0), len);
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), -EBADMSG);
	tcp_pair_close(&pair);
}

static void test_exchange(void **state)
{
	struct tls_keys keys = test_keys;
	int done = 0;

	(void)state;
	for (int version = 0; version < 2; version++) {
		for (int aead = TLS_AEAD_AES128_GCM; aead <= TLS_AEAD_CHACHA20_POLY1305; aead++) {
			if (!support.tx[version][aead] || !support.rx[version][aead])
				continue;
			keys.version = (uint16_t)(0x0303 + version);
			keys.aead = (enum tls_aead)aead;
			exchange(&keys);
			open_in_kernel(&keys);
			done++;
		}
	}
	printf("exchanged under %d of 6 versions and ciphers\n", done);
	assert_int_equal(done > 0, support.ulp);
}

static void test_second_keys(void **state)
{
	struct tls_keys keys = test_keys;
	struct tcp_pair pair;
	int again = support.rekey ? 0 : -EBUSY;

	(void)state;
	if (!support.ulp) {
		printf("not run: no kernel TLS\n");
		return;
	}
	open_sealed(&pair, &keys);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &keys), again);
	assert_int_equal(ktls_push_keys(pair.server, KTLS_RX, &keys), again);
	tcp_pair_close(&pair);
	keys.version = 0x0303; /* TLS 1.2 has no key update */
	open_sealed(&pair, &keys);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &keys), -EBUSY);
	assert_int_equal(ktls_push_keys(pair.server, KTLS_RX, &keys), -EBUSY);
	tcp_pair_close(&pair);
}

/* KeyUpdate: the record is given, what follows waits for new keys or is lost. */
static void test_key_update(void **state)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 0};
	struct tls_keys next = test_keys;
	struct pollfd ready = {.events = POLLIN};
	struct tcp_pair pair;
	uint8_t buf[64], type;

	(void)state;
	if (!support.ulp) {
		printf("not run: no kernel TLS\n");
		return;
	}
	open_sealed(&pair, &test_keys);
	assert_int_equal(
		ktls_send_record(pair.client, TLS_CT_HANDSHAKE, key_update, sizeof(key_update)),
		sizeof(key_update));
	assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), sizeof(key_update));
	assert_int_equal(type, TLS_CT_HANDSHAKE);
	assert_memory_equal(buf, key_update, sizeof(key_update));
	if (support.rekey) {
		ready.fd = pair.server;
		next.key[0] ^= 0xff;
		next.seq = 0;
		assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &next), 0);
		assert_int_equal(send(pair.client, "new", 3, 0), 3);
		/* Nothing makes this socket readable now: it wants keys, and says so if asked. */
		assert_int_equal(poll(&ready, 1, 100), 0);
		assert_int_equal(ktls_recv_record(pair.server, buf, sizeof(buf), &type),
				 -EKEYEXPIRED);
		assert_int_equal(ktls_push_keys(pair.server, KTLS_RX, &next), 0);
		assert_int_equal(recv_record(pair.server, buf, sizeof(buf), &type), 3);
		assert_int_equal(type, TLS_CT_DATA);
		assert_memory_equal(buf, "new", 3);
	}
	tcp_pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),       cmocka_unit_test(test_ulp),
		cmocka_unit_test(test_without_ulp), cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_second_keys), cmocka_unit_test(test_key_update),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
