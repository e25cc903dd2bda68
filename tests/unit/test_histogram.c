// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/types.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/histogram.h>

#include "observe/histogram.h"

#define MANY 20000

/* xorshift64: the same values in every run. */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* All magnitudes alike. */
static uint64_t random_magnitude(uint64_t *seed)
{
	uint64_t value = next_random(seed);

	return value >> (next_random(seed) % 64);
}

static void add(struct histogram *h, uint64_t value)
{
	assert_int_equal(histogram_add(h, value), 0);
}

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%f is not %f +- %f", value, expected, tolerance);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_buckets_are_in_order_and_without_gap(void **state)
{
	(void)state;
	for (uint32_t bucket = 0; bucket < 976; bucket++) {
		uint64_t low = ksplit_histogram_floor(bucket, HISTOGRAM_BITS);
		uint64_t high = ksplit_histogram_floor(bucket + 1, HISTOGRAM_BITS) - 1;

		assert_true(low <= high);
		assert_int_equal(ksplit_histogram_bucket(low, HISTOGRAM_BITS), bucket);
		assert_int_equal(ksplit_histogram_bucket(high, HISTOGRAM_BITS), bucket);
	}
	assert_int_equal(ksplit_histogram_bucket(UINT64_MAX, HISTOGRAM_BITS), 975);
}

static void test_empty(void **state)
{
	struct histogram h = {0}, other;

	(void)state;
	assert_near(histogram_average(&h), 0, 0);
	assert_near(histogram_std_dev(&h), 0, 0);
	assert_near(histogram_quantile(&h, 0.5), 0, 0);
	assert_int_equal(histogram_count_up_to(&h, UINT64_MAX), 0);
	assert_int_equal(histogram_memory(&h), 0);
	assert_int_equal(histogram_copy(&other, &h), 0);
	assert_int_equal(histogram_merge(&other, &h), 0);
	assert_int_equal(other.count, 0);
	histogram_free(&other);
}

static void test_figures_of_few_values(void **state)
{
	static const uint64_t values[] = {2, 4, 4, 4, 5, 5, 7, 9};
	struct histogram h;

	(void)state;
	histogram_init(&h);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		add(&h, values[i]);
	assert_int_equal(h.count, 8);
	assert_int_equal(h.sum, 40);
	assert_int_equal(h.min, 2);
	assert_int_equal(h.max, 9);
	assert_near(histogram_average(&h), 5, 1e-9);
	assert_near(histogram_std_dev(&h), 2, 1e-9);
	assert_near(histogram_quantile(&h, 0), 2, 0);
	assert_near(histogram_quantile(&h, 0.5), 4, 1e-9);
	assert_near(histogram_quantile(&h, 0.75), 5, 1e-9);
	assert_near(histogram_quantile(&h, 1), 9, 0);
	assert_near(histogram_quantile(&h, NAN), 2, 0);
	assert_int_equal(histogram_count_up_to(&h, 1), 0);
	assert_int_equal(histogram_count_up_to(&h, 4), 4);
	assert_int_equal(histogram_count_up_to(&h, 9), 8);
	histogram_free(&h);
}

static void test_one_value_has_no_deviation(void **state)
{
	struct histogram h = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		add(&h, 1234567);
	assert_near(histogram_std_dev(&h), 0, 0.1);
	assert_near(histogram_quantile(&h, 0.01), 1234567, 0);
	assert_near(histogram_quantile(&h, 0.99), 1234567, 0);
	histogram_free(&h);
}

/* Against the value of that rank in a sorted array. */
static void check_quantiles(uint64_t *values, size_t len)
{
	static const double quantiles[] = {0.0001, 0.01, 0.1,  0.25,  0.5,
					   0.75,   0.9,  0.99, 0.999, 0.9999};
	struct histogram h = {0};

	for (size_t i = 0; i < len; i++)
		add(&h, values[i]);
	qsort(values, len, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		size_t rank = (size_t)ceil(quantiles[i] * (double)len);
		double exact = (double)values[rank ? rank - 1 : 0];

		assert_near(histogram_quantile(&h, quantiles[i]), exact,
			    exact * (1 / 32.0 + 1e-12) + 1e-6);
	}
	histogram_free(&h);
}

static void test_quantile_error(void **state)
{
	uint64_t *values = calloc(MANY, sizeof(*values));
	uint64_t seed = 42;

	(void)state;
	assert_non_null(values);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < MANY; i++)
			values[i] = random_magnitude(&seed);
		check_quantiles(values, MANY);
		for (size_t i = 0; i < MANY; i++)
			values[i] = 200000 + next_random(&seed) % (1 + 1000 * (uint64_t)round);
		check_quantiles(values, MANY);
		check_quantiles(values, 1 + next_random(&seed) % 100);
	}
	free(values);
}

/* The worst that a bucket can hold: all at one end of it, one value at the other. */
static void test_quantile_error_at_the_ends_of_a_bucket(void **state)
{
	uint64_t values[101];

	(void)state;
	for (uint32_t bucket = 0; bucket < 976; bucket++) {
		uint64_t low = ksplit_histogram_floor(bucket, HISTOGRAM_BITS);
		uint64_t high = ksplit_histogram_floor(bucket + 1, HISTOGRAM_BITS) - 1;

		for (int i = 0; i < 100; i++)
			values[i] = low;
		values[100] = high;
		check_quantiles(values, 101);
		for (int i = 0; i < 100; i++)
			values[i] = high;
		values[100] = low;
		check_quantiles(values, 101);
	}
}

static void assert_same(const struct histogram *a, const struct histogram *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->sum, b->sum);
	assert_int_equal(a->min, b->min);
	assert_int_equal(a->max, b->max);
	assert_near(a->sum_of_squares, b->sum_of_squares, b->sum_of_squares * 1e-9);
	for (uint32_t bucket = 0; bucket < 976; bucket++) {
		uint64_t high = ksplit_histogram_floor(bucket + 1, HISTOGRAM_BITS) - 1;

		assert_int_equal(histogram_count_up_to(a, high), histogram_count_up_to(b, high));
	}
}

static void test_merge_equals_adding_all(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct histogram part[4] = {{0}}, merged = {0}, all = {0};

		for (int i = 0; i < 500; i++) {
			uint64_t value = random_magnitude(&seed) >> 20;

			add(&part[next_random(&seed) % 4], value);
			add(&all, value);
		}
		for (int i = 0; i < 4; i++) {
			assert_int_equal(histogram_merge(&merged, &part[i]), 0);
			histogram_free(&part[i]);
		}
		assert_same(&merged, &all);
		histogram_free(&merged);
		histogram_free(&all);
	}
}

static void test_copy_is_independent(void **state)
{
	struct histogram h = {0}, copy;

	(void)state;
	add(&h, 10);
	add(&h, 1000);
	assert_int_equal(histogram_copy(&copy, &h), 0);
	assert_same(&copy, &h);
	add(&h, 5);
	assert_int_equal(copy.count, 2);
	assert_int_equal(copy.min, 10);
	assert_int_equal(histogram_count_up_to(&copy, 9), 0);
	histogram_free(&h);
	assert_int_equal(histogram_count_up_to(&copy, 2000), 2);
	histogram_free(&copy);
}

static void test_huge_values(void **state)
{
	struct histogram h = {0};

	(void)state;
	add(&h, UINT64_MAX);
	add(&h, UINT64_MAX);
	add(&h, 0);
	assert_int_equal(h.sum, UINT64_MAX); /* saturated */
	assert_int_equal(h.min, 0);
	assert_int_equal(h.max, UINT64_MAX);
	assert_near(histogram_quantile(&h, 1), 0x1p64, 0);
	assert_near(histogram_quantile(&h, 0.9), 0x1p64, 0x1p59);
	assert_true(histogram_std_dev(&h) >= 0);
	assert_int_equal(histogram_count_up_to(&h, UINT64_MAX - (1ULL << 58)),
			 2); /* half a bucket */
	assert_int_equal(histogram_count_up_to(&h, UINT64_MAX), 3);
	assert_int_equal(histogram_memory(&h), 976 * sizeof(uint32_t));
	histogram_free(&h);
}

/* A bucket that has counted to its end stays there; what is exact goes on. */
static void test_saturated_bucket(void **state)
{
	struct histogram h = {0}, twice;

	(void)state;
	add(&h, 100);
	h.counts[ksplit_histogram_bucket(100, HISTOGRAM_BITS) - h.first] = UINT32_MAX - 1;
	h.count = UINT32_MAX - 1;
	add(&h, 100);
	add(&h, 100);
	assert_int_equal(h.count, (uint64_t)UINT32_MAX + 1);
	assert_int_equal(histogram_copy(&twice, &h), 0);
	assert_int_equal(histogram_merge(&twice, &h), 0);
	assert_int_equal(twice.count, 2 * ((uint64_t)UINT32_MAX + 1));
	assert_int_equal(histogram_count_up_to(&twice, 99), 0);
	assert_int_equal(histogram_count_up_to(&twice, 100), UINT32_MAX / 4); /* of 100 to 103 */
	assert_int_equal(histogram_count_up_to(&twice, UINT64_MAX), twice.count);
	assert_near(histogram_quantile(&twice, 0.5), 100, 0);
	histogram_free(&h);
	histogram_free(&twice);
}

/* The count at any value never goes down, whatever is added: exporters show it as a counter. */
static void test_count_up_to_never_goes_down(void **state)
{
	static const uint64_t at[] = {0, 1, 99, 1000, 4999, 5000, 100000, 1000000, 999999999};
	uint64_t last[sizeof(at) / sizeof(at[0])] = {0};
	struct histogram h = {0};
	uint64_t seed = 99;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		uint64_t below = 0;

		add(&h, random_magnitude(&seed) >> 34);
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			uint64_t count = histogram_count_up_to(&h, at[i]);

			assert_true(count >= last[i] && count >= below && count <= h.count);
			last[i] = below = count;
		}
	}
	histogram_free(&h);
}

static void test_memory_is_the_window(void **state)
{
	struct histogram h = {0};

	(void)state;
	for (uint64_t value = 1000; value < 2000; value++)
		add(&h, value);
	assert_true(histogram_memory(&h) <= 24 * sizeof(uint32_t));
	assert_int_equal(histogram_count_up_to(&h, 1023), 24);
	assert_int_equal(histogram_count_up_to(&h, 1500), 501);
	histogram_free(&h);
	assert_int_equal(histogram_memory(&h), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_are_in_order_and_without_gap),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_figures_of_few_values),
		cmocka_unit_test(test_one_value_has_no_deviation),
		cmocka_unit_test(test_quantile_error),
		cmocka_unit_test(test_quantile_error_at_the_ends_of_a_bucket),
		cmocka_unit_test(test_merge_equals_adding_all),
		cmocka_unit_test(test_copy_is_independent),
		cmocka_unit_test(test_huge_values),
		cmocka_unit_test(test_saturated_bucket),
		cmocka_unit_test(test_count_up_to_never_goes_down),
		cmocka_unit_test(test_memory_is_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
