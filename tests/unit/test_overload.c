// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/overload.h"

#define SECOND 1000000

static void test_shares(void **state)
{
	(void)state;
	assert_int_equal(overload_share(0, 4), 0);
	assert_int_equal(overload_share(100, 4), 25);
	assert_int_equal(overload_share(3, 4), 1);
	assert_int_equal(overload_share(7, 4), 1);
}

static enum overload_cause judge(struct overload *overload, size_t intercepted, size_t handshakes)
{
	return overload_judge(
		overload,
		&(struct overload_load){.intercepted = intercepted, .handshakes = handshakes},
		SECOND);
}

static void test_counts(void **state)
{
	struct overload *overload;

	(void)state;
	assert_int_equal(overload_new(&(struct overload_limits){.intercepted = 10, .handshakes = 2},
				      &overload),
			 0);
	assert_int_equal(judge(overload, 9, 1), OVERLOAD_NONE);
	assert_int_equal(judge(overload, 10, 1), OVERLOAD_DESCRIPTORS);
	assert_int_equal(judge(overload, 9, 2), OVERLOAD_HANDSHAKES);
	overload_free(overload);
	assert_int_equal(overload_new(&(struct overload_limits){0}, &overload), 0);
	assert_int_equal(judge(overload, 1000000, 1000000), OVERLOAD_NONE);
	overload_free(overload);
	overload_free(NULL);
}

static void test_memory(void **state)
{
	const struct overload_load load = {0};
	struct overload *overload;

	(void)state;
	assert_int_equal(overload_new(&(struct overload_limits){.memory = 1 << 20}, &overload), 0);
	assert_int_equal(overload_judge(overload, &load, SECOND), OVERLOAD_MEMORY);
	assert_int_equal(overload_judge(overload, &load, SECOND + 1), OVERLOAD_MEMORY);
	overload_free(overload);
	assert_int_equal(overload_new(&(struct overload_limits){.memory = 1ULL << 50}, &overload),
			 0);
	assert_int_equal(overload_judge(overload, &load, SECOND), OVERLOAD_NONE);
	overload_free(overload);
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(overload_text(OVERLOAD_NONE), "");
	assert_non_null(strstr(overload_text(OVERLOAD_DESCRIPTORS), "RLIMIT_NOFILE"));
	assert_non_null(strstr(overload_text(OVERLOAD_MEMORY), "limits.memory"));
	assert_non_null(strstr(overload_text(OVERLOAD_HANDSHAKES), "limits.handshakes"));
}

/* Descriptors that are open already are no connection's. */
static void test_descriptors(void **state)
{
	struct rlimit before, limit;
	size_t all, fewer;
	int fd;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	all = overload_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur == limit.rlim_max); /* raised */
	assert_true(all < limit.rlim_max && all > limit.rlim_max / 4);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fewer = overload_descriptors();
	assert_int_equal(fewer, all - 1);
	close(fd);
	setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares), cmocka_unit_test(test_counts),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_texts),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
