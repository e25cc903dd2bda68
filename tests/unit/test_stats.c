// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "observe/stats.h"

#define WORKERS 3
#define ROUNDS  20000

static void test_sum(void **state)
{
	struct stats *workers = calloc(WORKERS, sizeof(*workers));
	struct stats_sum sum = {0};

	(void)state;
	assert_non_null(workers);
	for (int i = 0; i < WORKERS; i++) {
		stats_add(&workers[i], STAT_ACCEPTED, 10);
		stats_add(&workers[i], STAT_ACCESS_LOG_DROPPED, (uint64_t)i);
		stats_add(&workers[i], STAT_BYTES_SPLICED, UINT64_C(1) << 40);
		stats_count_reason(&workers[i], KSPLIT_CLOSED);
	}
	stats_count_reason(&workers[1], KSPLIT_CLOSED);
	for (int i = 0; i < WORKERS; i++)
		stats_sum_add(&sum, &workers[i]);
	assert_int_equal(sum.counters[STAT_ACCEPTED], 30);
	assert_int_equal(sum.counters[STAT_ACCESS_LOG_DROPPED], 3);
	assert_int_equal(sum.counters[STAT_BYTES_SPLICED], UINT64_C(3) << 40);
	assert_int_equal(sum.counters[STAT_PASSED], 0);
	assert_int_equal(sum.reasons[KSPLIT_CLOSED], 4);
	assert_int_equal(sum.reasons[KSPLIT_INTERNAL], 0);
	free(workers);
}

static void *count(void *arg)
{
	struct stats *stats = arg;

	for (int i = 0; i < ROUNDS; i++) {
		stats_add(stats, STAT_ACCEPTED, 1);
		stats_count_reason(stats, KSPLIT_CLOSED);
	}
	return NULL;
}

/* A reader beside the writer sees a count that only grows, and in the end all of it. */
static void test_reader_beside_writer(void **state)
{
	static struct stats stats;
	uint64_t last = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, count, &stats), 0);
	for (int i = 0; i < 1000; i++) {
		struct stats_sum sum = {0};

		stats_sum_add(&sum, &stats);
		assert_true(sum.counters[STAT_ACCEPTED] >= last);
		last = sum.counters[STAT_ACCEPTED];
	}
	pthread_join(writer, NULL);
	assert_int_equal(stats.counters[STAT_ACCEPTED], ROUNDS);
	assert_int_equal(stats.reasons[KSPLIT_CLOSED], ROUNDS);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(stats_group(STAT_ACCEPTED), "connections");
	assert_string_equal(stats_name(STAT_ACCEPTED), "accepted");
	assert_string_equal(stats_group(STAT_ACCESS_LOG_DROPPED), "access_log");
	assert_string_equal(stats_name(STAT_ACCESS_LOG_DROPPED), "dropped");
	assert_string_equal(stats_group(STAT_COUNT), "unknown");
	assert_string_equal(stats_name(STAT_COUNT), "unknown");
	for (int i = 0; i < STAT_COUNT; i++) {
		assert_non_null(stats_group((enum stats_counter)i));
		assert_non_null(stats_name((enum stats_counter)i));
		for (int j = 0; j < i; j++)
			assert_true(strcmp(stats_group((enum stats_counter)i),
					   stats_group((enum stats_counter)j)) ||
				    strcmp(stats_name((enum stats_counter)i),
					   stats_name((enum stats_counter)j)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_reader_beside_writer),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
