// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "tcp_pair.h"
#include "tls/sock_bio.h"

struct rig {
	struct tcp_pair tcp;
	struct out_pool pool;
	struct out_buffer out;
	BIO_METHOD *method;
	BIO *bio; /* over tcp.client */
};

static void open_rig(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	tcp_pair_open(&rig->tcp, TCP_PAIR_V4);
	out_buffer_init(&rig->out, &rig->pool);
	rig->method = sock_bio_method_new();
	assert_non_null(rig->method);
	rig->bio = sock_bio_new(rig->method, rig->tcp.client, &rig->out);
	assert_non_null(rig->bio);
}

static void close_rig(struct rig *rig)
{
	BIO_free(rig->bio);
	BIO_meth_free(rig->method);
	out_buffer_reset(&rig->out);
	out_pool_free(&rig->pool);
	tcp_pair_close(&rig->tcp);
}

static void await(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, 10000), 1);
}

/* Nothing is sent before it is told; then all of it, in order. */
static void test_gathers(void **state)
{
	struct rig rig;
	char buf[16];

	(void)state;
	open_rig(&rig);
	assert_int_equal(BIO_write(rig.bio, "one", 3), 3);
	assert_int_equal(BIO_write(rig.bio, "two", 3), 3);
	assert_int_equal(BIO_wpending(rig.bio), 6);
	assert_int_equal(recv(rig.tcp.server, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(BIO_flush(rig.bio), 1);
	assert_int_equal(BIO_wpending(rig.bio), 0);
	assert_int_equal(recv(rig.tcp.server, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "onetwo", 6);
	assert_int_equal(sock_bio_errno(rig.bio), 0);
	close_rig(&rig);
}

static void test_reads(void **state)
{
	struct rig rig;
	char buf[16];

	(void)state;
	open_rig(&rig);
	assert_true(BIO_read(rig.bio, buf, 4) <= 0);
	assert_true(BIO_should_retry(rig.bio) && BIO_should_read(rig.bio));
	assert_true(sock_bio_drained(rig.bio));
	assert_int_equal(send(rig.tcp.server, "123456", 6, 0), 6);
	await(rig.tcp.client);
	assert_int_equal(BIO_read(rig.bio, buf, 4), 4);
	assert_false(sock_bio_drained(rig.bio)); /* as much as was asked for: there may be more */
	assert_int_equal(BIO_read(rig.bio, buf + 4, 4), 2);
	assert_true(sock_bio_drained(rig.bio));
	assert_memory_equal(buf, "123456", 6);
	assert_int_equal(BIO_eof(rig.bio), 0);
	shutdown(rig.tcp.server, SHUT_WR);
	await(rig.tcp.client);
	assert_int_equal(BIO_read(rig.bio, buf, 4), 0);
	assert_false(BIO_should_retry(rig.bio));
	assert_int_equal(BIO_eof(rig.bio), 1);
	assert_int_equal(sock_bio_errno(rig.bio), 0); /* an end is no error */
	close_rig(&rig);
}

static void test_reset(void **state)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct rig rig;
	char buf[4];

	(void)state;
	open_rig(&rig);
	setsockopt(rig.tcp.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(rig.tcp.server);
	await(rig.tcp.client);
	assert_true(BIO_read(rig.bio, buf, 4) <= 0);
	assert_false(BIO_should_retry(rig.bio));
	assert_int_equal(sock_bio_errno(rig.bio), ECONNRESET);
	assert_int_equal(BIO_write(rig.bio, "a", 1), 1); /* the buffer takes it ... */
	assert_true(BIO_flush(rig.bio) <= 0);            /* ... the socket does not */
	assert_false(BIO_should_retry(rig.bio));
	assert_int_equal(sock_bio_errno(rig.bio), EPIPE);
	rig.tcp.server = dup(0);
	close_rig(&rig);
}

/* A peer that reads nothing: "try again" only when the buffer is full too; all arrives in the end.
 */
static void test_full(void **state)
{
	static uint8_t piece[16384], got[65536];
	size_t written = 0, received = 0;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (uint8_t)(i * 7 + (i >> 8));
	while (BIO_write(rig.bio, piece, sizeof(piece)) == (int)sizeof(piece)) {
		written += sizeof(piece);
		assert_true(written < 256 << 20);
	}
	assert_true(BIO_should_retry(rig.bio) && BIO_should_write(rig.bio));
	assert_true(BIO_wpending(rig.bio) > 0);
	assert_true(BIO_flush(rig.bio) <= 0);
	assert_true(BIO_should_retry(rig.bio));
	while (received < written) {
		ssize_t n = recv(rig.tcp.server, got, sizeof(got), MSG_DONTWAIT);

		BIO_flush(rig.bio);
		for (ssize_t i = 0; i < n; i++, received++)
			if (got[i] != piece[received % sizeof(piece)])
				fail_msg("byte %zu", received);
	}
	assert_int_equal(BIO_flush(rig.bio), 1);
	assert_int_equal(sock_bio_errno(rig.bio), 0);
	close_rig(&rig);
}

/* Once the kernel seals, nothing of OpenSSL's may reach the wire. */
static void test_forbidden(void **state)
{
	struct rig rig;
	char buf[4];

	(void)state;
	open_rig(&rig);
	sock_bio_forbid_writes(rig.bio);
	assert_true(BIO_write(rig.bio, "a", 1) <= 0);
	assert_false(BIO_should_retry(rig.bio));
	assert_int_equal(BIO_wpending(rig.bio), 0);
	assert_int_equal(BIO_flush(rig.bio), 1);
	assert_int_equal(recv(rig.tcp.server, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(send(rig.tcp.server, "b", 1, 0), 1); /* reading goes on */
	await(rig.tcp.client);
	assert_int_equal(BIO_read(rig.bio, buf, 4), 1);
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gathers),   cmocka_unit_test(test_reads),
		cmocka_unit_test(test_reset),     cmocka_unit_test(test_full),
		cmocka_unit_test(test_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
