// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/timed_wait.h"

#define LONG_MS 600000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool happened;

static int64_t ns_of(const struct timespec *moment)
{
	return (int64_t)moment->tv_sec * 1000000000 + moment->tv_nsec;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ns_of(&now);
}

static void test_moment_is_so_far_from_now(void **state)
{
	/* 999 ms: seconds are nearly always carried */
	static const uint64_t waits[] = {0, 1, 500, 999, 1000, 4500, LONG_MS};

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		const int64_t before = now_ns(), wait = (int64_t)waits[i] * 1000000;
		const struct timespec moment = timed_wait_moment(waits[i]);

		assert_true(moment.tv_nsec >= 0 && moment.tv_nsec < 1000000000);
		assert_true(ns_of(&moment) >= before + wait);
		assert_true(ns_of(&moment) <= now_ns() + wait);
	}
}

static void test_wait_ends_at_its_moment(void **state)
{
	const struct timespec until = timed_wait_moment(20);
	int err = 0;

	(void)state;
	pthread_mutex_lock(&lock);
	while (!err)
		err = timed_wait(&cond, &lock, &until);
	pthread_mutex_unlock(&lock);
	assert_int_equal(err, ETIMEDOUT);
	assert_true(now_ns() >= ns_of(&until));
}

static void *make_happen(void *arg)
{
	pthread_mutex_lock(&lock);
	happened = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
	return arg;
}

/* On the wall clock such a moment passed long ago: a wait that went by it would end at once. */
static void test_wait_goes_by_the_monotonic_clock(void **state)
{
	const struct timespec until = timed_wait_moment(LONG_MS);
	pthread_t thread;
	int err = 0;

	(void)state;
	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&thread, NULL, make_happen, NULL), 0);
	while (!happened && !err)
		err = timed_wait(&cond, &lock, &until);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	assert_int_equal(err, 0);
	assert_true(happened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moment_is_so_far_from_now),
		cmocka_unit_test(test_wait_ends_at_its_moment),
		cmocka_unit_test(test_wait_goes_by_the_monotonic_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
