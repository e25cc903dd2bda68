// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process_count.h"
#include "relay/pipe_pool.h"

#define MANY 24 /* more than the pool keeps */

static int bytes_inside(const struct relay_pipe *pipe)
{
	int n = -1;

	assert_int_equal(ioctl(pipe->read_fd, FIONREAD, &n), 0);
	return n;
}

static void put(struct relay_pipe *pipe, size_t len)
{
	static const uint8_t bytes[4096];

	assert_int_equal(write(pipe->write_fd, bytes, len), (ssize_t)len);
	pipe->len += len;
}

static void test_take(void **state)
{
	struct pipe_pool pool = {0};
	struct relay_pipe *pipe;
	int fds = count_fds();

	(void)state;
	assert_int_equal(pipe_pool_take(&pool, &pipe), 0);
	assert_int_equal(pool.lent, 1);
	assert_int_equal(pipe->len, 0);
	assert_true(pipe->capacity >= PIPE_POOL_MIN_CAPACITY);
	assert_int_equal(fcntl(pipe->read_fd, F_GETPIPE_SZ), (int)pipe->capacity);
	assert_true(fcntl(pipe->read_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(pipe->write_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(pipe->read_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(pipe->write_fd, F_GETFD) & FD_CLOEXEC);
	pipe_pool_give(&pool, pipe);
	assert_int_equal(pool.lent, 0);
	pipe_pool_free(&pool);
	assert_int_equal(count_fds(), fds);
}

/* An emptied pipe is lent again; one that still holds another connection's bytes never is. */
static void test_only_empty_ones_come_back(void **state)
{
	struct pipe_pool pool = {0};
	struct relay_pipe *pipe, *again;
	int fds = count_fds();
	char buf[4096];

	(void)state;
	assert_int_equal(pipe_pool_take(&pool, &pipe), 0);
	put(pipe, 1000);
	assert_int_equal(read(pipe->read_fd, buf, sizeof(buf)), 1000);
	pipe->len = 0;
	pipe_pool_give(&pool, pipe);
	assert_int_equal(pool.free_len, 1);
	assert_int_equal(pipe_pool_take(&pool, &again), 0);
	assert_ptr_equal(again, pipe);
	assert_int_equal(pool.free_len, 0);
	assert_int_equal(bytes_inside(again), 0);

	put(again, 1);
	pipe_pool_give(&pool, again);
	assert_int_equal(pool.free_len, 0);
	assert_int_equal(pool.lent, 0);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(pipe_pool_take(&pool, &pipe), 0);
	assert_int_equal(pipe->len, 0);
	assert_int_equal(bytes_inside(pipe), 0);
	pipe_pool_give(&pool, pipe);
	pipe_pool_free(&pool);
	assert_int_equal(count_fds(), fds);
}

/* A burst does not leave its descriptors behind. */
static void test_bound(void **state)
{
	struct pipe_pool pool = {0};
	struct relay_pipe *pipes[MANY];
	int fds = count_fds();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(pipe_pool_take(&pool, &pipes[i]), 0);
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(pipes[i], pipes[k]);
	}
	assert_int_equal(pool.lent, MANY);
	assert_int_equal(count_fds(), fds + 2 * MANY);
	for (int i = 0; i < MANY; i++)
		pipe_pool_give(&pool, pipes[i]);
	assert_int_equal(pool.lent, 0);
	assert_true(pool.free_len > 0 && pool.free_len < MANY);
	assert_int_equal(count_fds(), fds + 2 * (int)pool.free_len);
	pipe_pool_free(&pool);
	assert_int_equal(pool.free_len, 0);
	assert_null(pool.free);
	assert_int_equal(count_fds(), fds);
	pipe_pool_free(&pool); /* nothing there: nothing happens */
}

/* Descriptors run out in the middle of a pipe, before one, and are there again. */
static void test_no_descriptors(void **state)
{
	struct pipe_pool pool = {0};
	struct relay_pipe *pipe, *kept = NULL;
	struct rlimit limit, low;
	int fds = count_fds(), spare = dup(0);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	for (rlim_t left = 0; left < 2; left++) {
		low.rlim_cur = (rlim_t)spare + 1 + left;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		assert_int_equal(pipe_pool_take(&pool, &pipe), -EMFILE);
		assert_int_equal(pool.lent, 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(count_fds(), fds + 1);
	}
	assert_int_equal(pipe_pool_take(&pool, &kept), 0);
	pipe_pool_give(&pool, kept);
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(pipe_pool_take(&pool, &pipe), 0); /* a free one needs none */
	assert_int_equal(pipe_pool_take(&pool, &kept), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(pool.lent, 1);
	pipe_pool_give(&pool, pipe);
	pipe_pool_free(&pool);
	close(spare);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_only_empty_ones_come_back),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
