// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "export/otlp_backoff.h"

#define SEEDS 200

static void test_delays_double_up_to_a_minute(void **state)
{
	static const int64_t wanted[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		struct otlp_backoff backoff;

		otlp_backoff_set_up(&backoff, 10000, seed);
		assert_false(otlp_backoff_is_on(&backoff));
		for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
			int64_t ms = otlp_backoff_next(&backoff, 0);

			assert_in_range(ms, wanted[i] / 2, wanted[i]);
			assert_true(otlp_backoff_is_on(&backoff));
		}
	}
}

/* Two daemons that fail together do not try again together. */
static void test_delays_differ_by_chance(void **state)
{
	struct otlp_backoff backoff;
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		int64_t ms;

		otlp_backoff_set_up(&backoff, 10000, seed);
		ms = otlp_backoff_next(&backoff, 0);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_true(most - least > 250);
}

static void test_success_begins_anew(void **state)
{
	struct otlp_backoff backoff;

	(void)state;
	otlp_backoff_set_up(&backoff, 10000, 1);
	for (int i = 0; i < 5; i++)
		otlp_backoff_next(&backoff, 0);
	otlp_backoff_end(&backoff);
	assert_false(otlp_backoff_is_on(&backoff));
	assert_in_range(otlp_backoff_next(&backoff, 0), 500, 1000);
}

/* Who exports every 20 ms does not wait a second at first. */
static void test_a_short_interval_is_the_first_delay(void **state)
{
	struct otlp_backoff backoff;

	(void)state;
	otlp_backoff_set_up(&backoff, 20, 1);
	assert_in_range(otlp_backoff_next(&backoff, 0), 10, 20);
	assert_in_range(otlp_backoff_next(&backoff, 0), 20, 40);
	otlp_backoff_set_up(&backoff, 1, 1);
	assert_in_range(otlp_backoff_next(&backoff, 0), 0, 1);
}

/* At least, and not for ever. */
static void test_the_collectors_word_counts(void **state)
{
	struct otlp_backoff backoff;

	(void)state;
	otlp_backoff_set_up(&backoff, 10000, 1);
	assert_int_equal(otlp_backoff_next(&backoff, 7), 7000);
	assert_int_equal(otlp_backoff_next(&backoff, 600), 600000);
	assert_int_equal(otlp_backoff_next(&backoff, 601), 600000);
	assert_int_equal(otlp_backoff_next(&backoff, INT64_MAX), 600000);
	/* Less than the own delay, which has come to 16 s, or nonsense: the own one. */
	assert_in_range(otlp_backoff_next(&backoff, 1), 8000, 16000);
	assert_in_range(otlp_backoff_next(&backoff, INT64_MIN), 16000, 32000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delays_double_up_to_a_minute),
		cmocka_unit_test(test_delays_differ_by_chance),
		cmocka_unit_test(test_success_begins_anew),
		cmocka_unit_test(test_a_short_interval_is_the_first_delay),
		cmocka_unit_test(test_the_collectors_word_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
