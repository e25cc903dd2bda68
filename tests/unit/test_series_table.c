// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aggregate_rig.h"

static void assert_totals(const struct aggregate_snapshot *snapshot, const struct totals *expected)
{
	struct totals totals = add_up(snapshot);

	assert_int_equal(totals.count, expected->count);
	assert_int_equal(totals.failures, expected->failures);
	assert_int_equal(totals.request_bytes, expected->request_bytes);
	assert_int_equal(totals.response_bytes, expected->response_bytes);
	assert_int_equal(totals.response_body, expected->response_body);
	assert_int_equal(totals.first_bytes, expected->first_bytes);
	assert_int_equal(totals.last_bytes, expected->last_bytes);
	assert_int_equal(totals.first_byte_sum, expected->first_byte_sum);
	assert_int_equal(totals.last_byte_sum, expected->last_byte_sum);
	assert_int_equal(snapshot->requests, expected->count);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*seed >> 33);
}

static void add_random(struct rig *rig, uint64_t *seed, uint32_t uris, struct totals *totals)
{
	struct observe_request *request = &rig->request;
	/* Some are far heavier than others. */
	uint32_t uri = next_random(seed) % (1 + next_random(seed) % uris);

	name_path(uri, request->path);
	request->status = next_random(seed) % 10 ? 200 : 500;
	request->request_bytes = next_random(seed) % 1000;
	request->response_bytes = next_random(seed);
	request->response_body = request->response_bytes / 2;
	request->has_first_byte = next_random(seed) % 10;
	request->first_byte_us = next_random(seed);
	request->complete = next_random(seed) % 10;
	request->last_byte_us = next_random(seed);
	rig_add(rig);
	totals->count++;
	totals->failures += request->status == 500;
	totals->request_bytes += request->request_bytes;
	totals->response_bytes += request->response_bytes;
	totals->response_body += request->response_body;
	totals->first_bytes += request->has_first_byte;
	totals->last_bytes += request->complete;
	totals->first_byte_sum += request->has_first_byte ? request->first_byte_us : 0;
	totals->last_byte_sum += request->complete ? request->last_byte_us : 0;
}

static void check_sums(uint32_t max_series, uint32_t uris, bool evicts)
{
	struct aggregate_snapshot snapshot;
	struct totals totals = {0};
	uint64_t seed = 5;
	struct rig rig;

	rig_init(&rig, max_series, 10);
	for (int i = 0; i < 50000; i++) {
		add_random(&rig, &seed, uris, &totals);
		rig_sleep(&rig, i % 100 == 0 ? 2000 : 1); /* ages, too */
	}
	snapshot = rig_snapshot(&rig);
	assert_totals(&snapshot, &totals);
	assert_true(snapshot.series_len <= (size_t)max_series + 1);
	assert_int_equal(other_series(&snapshot) != NULL, 2 * uris > max_series);
	assert_int_equal(snapshot.series_evicted > 0, evicts);
	assert_int_equal(snapshot.endpoints[0].requests, totals.count);
	assert_int_equal(snapshot.endpoints[0].failures, totals.failures);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_sums_below_the_cap(void **state)
{
	(void)state;
	check_sums(1000, 400, false);
}

static void test_sums_beyond_the_cap(void **state)
{
	(void)state;
	check_sums(100, 3000, true);
	check_sums(1, 50, true);
}

static void test_no_series_at_all(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 0, 0);
	rig_get(&rig, "/a", 50);
	aggregate_open(rig.aggregate, &rig.conn);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, 1);
	assert_int_equal(other_series(&snapshot)->count, 50);
	assert_int_equal(snapshot.endpoints_len, 1);
	assert_true(snapshot.endpoints[0].other);
	assert_int_equal(snapshot.endpoints[0].connections, 1);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_heavy_makes_light_leave(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 3, 10);
	rig_get(&rig, "/heavy", 100);
	rig_get(&rig, "/middle", 50);
	rig_get(&rig, "/light", 10);
	rig_get(&rig, "/new", 10); /* not heavier than the lightest */
	snapshot = rig_snapshot(&rig);
	assert_null(find_series(&snapshot, "/new"));
	assert_int_equal(find_series(&snapshot, "/light")->count, 10);
	assert_int_equal(other_series(&snapshot)->count, 10);
	assert_int_equal(snapshot.series_evicted, 0);
	aggregate_snapshot_free(&snapshot);

	rig_get(&rig, "/new", 30);
	snapshot = rig_snapshot(&rig);
	assert_null(find_series(&snapshot, "/light"));
	assert_int_equal(find_series(&snapshot, "/heavy")->count, 100);
	assert_int_equal(find_series(&snapshot, "/middle")->count, 50);
	assert_int_equal(snapshot.series_evicted, 1);
	/* What came before it had a series stays in "other", with all of "/light". */
	assert_int_equal(find_series(&snapshot, "/new")->count + other_series(&snapshot)->count,
			 50);
	assert_in_range(find_series(&snapshot, "/new")->count, 20, 30);
	assert_int_equal(add_up(&snapshot).count, 200);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/* Yesterday's weight does not count for ever. */
static void test_weight_fades(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 2, 10);
	rig_get(&rig, "/morning", 1000);
	rig_get(&rig, "/always", 100);
	for (int i = 0; i < 24; i++) {
		rig_sleep(&rig, 300 * 1000);
		rig_get(&rig, "/always", 100);
		rig_get(&rig, "/evening", 5);
	}
	snapshot = rig_snapshot(&rig);
	assert_null(find_series(&snapshot, "/morning"));
	assert_int_equal(find_series(&snapshot, "/always")->count, 2500);
	assert_in_range(find_series(&snapshot, "/evening")->count, 50, 119);
	assert_int_equal(add_up(&snapshot).count, 1000 + 2500 + 120);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/* ... and so does that of a candidate: one that is rare does not add up for hours. */
static void test_weight_of_candidates_fades(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 10);
	for (int i = 0; i < 200; i++) {
		rig_get(&rig, "/always", 10);
		rig_get(&rig, "/rare", 1);
		rig_sleep(&rig, 300 * 1000);
	}
	snapshot = rig_snapshot(&rig);
	assert_null(find_series(&snapshot, "/rare"));
	assert_int_equal(find_series(&snapshot, "/always")->count, 2000);
	assert_int_equal(other_series(&snapshot)->count, 200);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/*
 * A million URIs within a minute, each once, with a few requests for the known ones between: memory
 * stays below 4 KiB a series, and who was heavy stays with exact counts.
 */
static void test_flood(void **state)
{
	enum { MAX = 500, HEAVY = 100, FLOOD = 1000000 };
	struct aggregate_snapshot snapshot;
	uint32_t heavy[HEAVY];
	struct rig rig;
	char path[16];

	(void)state;
	rig_init(&rig, MAX, 10);
	for (uint32_t i = 0; i < HEAVY; i++) {
		name_path(i, path);
		heavy[i] = 20 + i;
		rig_get(&rig, path, (int)heavy[i]);
	}
	for (uint32_t i = 0; i < FLOOD; i++) {
		rig.request.first_byte_us = i * 977 % 10000000;
		rig.request.last_byte_us = rig.request.first_byte_us + i;
		name_path(HEAVY + i, path);
		rig_get(&rig, path, 1);
		if (i % 1000 == 0) {
			name_path(i / 1000 % HEAVY, path);
			rig_get(&rig, path, 1);
			heavy[i / 1000 % HEAVY]++;
			rig_sleep(&rig, 60);
		}
	}
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, MAX + 1);
	assert_true(snapshot.memory < MAX * 4096);
	for (uint32_t i = 0; i < HEAVY; i++) {
		name_path(i, path);
		assert_non_null(find_series(&snapshot, path));
		assert_int_equal(find_series(&snapshot, path)->count, heavy[i]);
	}
	assert_int_equal(add_up(&snapshot).count, snapshot.requests);
	assert_int_equal(other_series(&snapshot)->count, FLOOD - (MAX - HEAVY));
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/* In the midst of a flood a newcomer that is heavier than most gets its series. */
static void test_newcomer_in_a_flood(void **state)
{
	enum { MAX = 200, FLOOD = 200000 };
	struct aggregate_snapshot snapshot;
	struct rig rig;
	char path[16];

	(void)state;
	rig_init(&rig, MAX, 10);
	for (uint32_t i = 0; i < FLOOD; i++) {
		name_path(i, path);
		rig_get(&rig, path, 1);
		if (i > 1000 && i % 100 == 0)
			rig_get(&rig, "/newcomer", 1);
	}
	snapshot = rig_snapshot(&rig);
	assert_non_null(find_series(&snapshot, "/newcomer"));
	assert_in_range(find_series(&snapshot, "/newcomer")->count, 1900, 1990);
	assert_int_equal(add_up(&snapshot).count, snapshot.requests);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/* The rate of a series that leaves goes with it. */
static void test_rate_of_other(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 10);
	rig_get(&rig, "/a", 10);
	rig_sleep(&rig, 3000);
	rig_get(&rig, "/b", 40);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_evicted, 1);
	assert_about(add_up(&snapshot).per_second, 5);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_below_the_cap),
		cmocka_unit_test(test_sums_beyond_the_cap),
		cmocka_unit_test(test_no_series_at_all),
		cmocka_unit_test(test_heavy_makes_light_leave),
		cmocka_unit_test(test_weight_fades),
		cmocka_unit_test(test_weight_of_candidates_fades),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_newcomer_in_a_flood),
		cmocka_unit_test(test_rate_of_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
