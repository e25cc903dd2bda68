// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "tcp_pair.h"
#include "tls/out_buffer.h"

#define MANY 12 /* more blocks than the pool keeps */

static uint8_t pattern[OUT_BUFFER_BLOCK];

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_DFL); /* a send that raises it ends the test */
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + (i >> 8));
	return 0;
}

/* A connection whose buffers hold much less than a block. */
static void open_narrow(struct tcp_pair *pair)
{
	int size = 4096;

	tcp_pair_listen(pair, TCP_PAIR_V4, 0);
	setsockopt(pair->listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	tcp_pair_connect(pair, tcp_pair_port(pair));
	setsockopt(pair->client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void test_empty(void **state)
{
	struct out_pool pool = {0};
	struct out_buffer out;

	(void)state;
	out_buffer_init(&out, &pool);
	assert_true(out_buffer_empty(&out));
	assert_int_equal(out_buffer_room(&out), OUT_BUFFER_BLOCK);
	assert_int_equal(out_buffer_send(&out, -1), 0);
	out_buffer_reset(&out);
	assert_null(out.block);
	assert_null(pool.free);
}

/* All or nothing, to the last byte. */
static void test_room(void **state)
{
	struct out_pool pool = {0};
	struct out_buffer out;

	(void)state;
	out_buffer_init(&out, &pool);
	assert_int_equal(out_buffer_append(&out, pattern, OUT_BUFFER_BLOCK - 1), 0);
	assert_int_equal(out_buffer_room(&out), 1);
	assert_int_equal(out_buffer_append(&out, pattern, 2), -ENOSPC);
	assert_int_equal(out_buffer_room(&out), 1);
	assert_int_equal(out_buffer_append(&out, pattern, 1), 0);
	assert_int_equal(out_buffer_room(&out), 0);
	assert_int_equal(out_buffer_append(&out, pattern, 0), 0);
	assert_int_equal(out_buffer_append(&out, pattern, 1), -ENOSPC);
	assert_false(out_buffer_empty(&out));
	out_buffer_reset(&out);
	assert_true(out_buffer_empty(&out));
	assert_int_equal(pool.free_len, 1);
	assert_int_equal(out_buffer_append(&out, pattern, OUT_BUFFER_BLOCK + 1), -ENOSPC);
	assert_int_equal(pool.free_len, 1); /* nothing was taken for it */
	out_pool_free(&pool);
}

/* An idle connection holds no memory, and the pool no more than a few blocks. */
static void test_memory_goes_back(void **state)
{
	struct out_pool pool = {0};
	struct out_buffer outs[MANY];
	struct tcp_pair pair;

	(void)state;
	tcp_pair_open(&pair, TCP_PAIR_V4);
	out_buffer_init(&outs[0], &pool);
	assert_int_equal(out_buffer_append(&outs[0], "abc", 3), 0);
	assert_non_null(outs[0].block);
	assert_int_equal(out_buffer_send(&outs[0], pair.client), 0);
	assert_null(outs[0].block);
	assert_int_equal(pool.free_len, 1);
	for (int i = 0; i < MANY; i++) {
		out_buffer_init(&outs[i], &pool);
		assert_int_equal(out_buffer_append(&outs[i], "abc", 3), 0);
	}
	assert_int_equal(pool.free_len, 0);
	for (int i = 0; i < MANY; i++)
		out_buffer_reset(&outs[i]);
	assert_true(pool.free_len > 0 && pool.free_len < MANY);
	out_pool_free(&pool);
	assert_null(pool.free);
	assert_int_equal(pool.free_len, 0);
	tcp_pair_close(&pair);
}

static size_t read_some(int fd, uint8_t *to, size_t max)
{
	ssize_t n = recv(fd, to, max, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

/*
 * A socket that takes a little at a time, while more is appended: the bytes come out in order, and
 * the room that was sent is used again.
 */
static void test_full_socket(void **state)
{
	static uint8_t sent[1 << 20], got[1 << 20];
	size_t appended = 0, received = 0;
	struct out_pool pool = {0};
	struct out_buffer out;
	struct tcp_pair pair;
	int again = 0;

	(void)state;
	srandom(3);
	open_narrow(&pair);
	out_buffer_init(&out, &pool);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)random();
	while (received < sizeof(sent)) {
		size_t want = 1 + (size_t)random() % 40000;
		int err;

		if (want > sizeof(sent) - appended)
			want = sizeof(sent) - appended;
		if (want <= out_buffer_room(&out)) {
			assert_int_equal(out_buffer_append(&out, sent + appended, want), 0);
			appended += want;
		} else {
			assert_int_equal(out_buffer_append(&out, sent + appended, want), -ENOSPC);
		}
		err = out_buffer_send(&out, pair.client);
		assert_true(err == 0 || err == -EAGAIN);
		assert_int_equal(err == 0, out_buffer_empty(&out));
		again += err == -EAGAIN;
		received += read_some(pair.server, got + received, 1 + (size_t)random() % 30000);
	}
	assert_true(again > 0);
	assert_memory_equal(sent, got, sizeof(sent));
	assert_int_equal(appended, sizeof(sent));
	out_buffer_reset(&out);
	out_pool_free(&pool);
	tcp_pair_close(&pair);
}

/* What a peer that is gone did not take stays until it is forgotten; no signal is raised. */
static void test_gone(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct out_pool pool = {0};
	struct out_buffer out;
	struct tcp_pair pair;
	int err = 0;

	(void)state;
	tcp_pair_open(&pair, TCP_PAIR_V4);
	out_buffer_init(&out, &pool);
	setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(pair.server);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(out_buffer_append(&out, "abc", 3), 0);
		err = out_buffer_send(&out, pair.client);
		assert_true(err == -ECONNRESET || err == -EPIPE);
		assert_int_equal(out.len - out.off, 3 * (size_t)(i + 1));
	}
	assert_int_equal(err, -EPIPE);
	assert_int_equal(out_buffer_send(&out, -1), -EBADF);
	out_buffer_reset(&out);
	assert_true(out_buffer_empty(&out));
	out_pool_free(&pool);
	close(pair.client);
	close(pair.listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_memory_goes_back),
		cmocka_unit_test(test_full_socket),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
