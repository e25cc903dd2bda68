// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "aggregate_rig.h"

static void test_empty(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 5);
	rig_sleep(&rig, 1500);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, 0);
	assert_int_equal(snapshot.endpoints_len, 0);
	assert_int_equal(snapshot.requests, 0);
	assert_int_equal(snapshot.max_series, 10);
	assert_int_equal(snapshot.max_endpoints, 5);
	assert_int_equal(snapshot.start_ms, RIG_START_MS);
	assert_int_equal(snapshot.time_ms, RIG_START_MS + 1500);
	assert_true(snapshot.memory > 0);
	aggregate_snapshot_free(&snapshot);
	aggregate_snapshot_free(&snapshot); /* harmless */
	rig_free(&rig);
	aggregate_free(NULL);
}

static void check_key(const struct series_key *key)
{
	char address[64];

	conn_address_print(&key->endpoint, address, sizeof(address));
	assert_int_equal(key->direction, OBSERVE_INCOMING);
	assert_string_equal(key->server_name, "shop.example");
	assert_string_equal(address, "192.0.2.1:443");
	assert_string_equal(key->method, "POST");
	assert_string_equal(key->uri, "/cart/{number}?item");
	assert_int_equal(key->status, 503);
	assert_int_equal(key->grpc_status, 14);
	assert_int_equal(key->version, OBSERVE_HTTP_2);
	assert_int_equal(key->tls_version, 0x0304);
	assert_int_equal(key->tls_suite, 0x1301);
	assert_string_equal(key->command, "curl");
	assert_string_equal(key->unit, "user.slice");
}

static void test_one_series(void **state)
{
	struct aggregate_snapshot snapshot;
	const struct series *series;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	rig.conn.direction = OBSERVE_INCOMING;
	strcpy(rig.conn.server_name, "Shop.Example");
	strcpy(rig.request.method, "POST");
	rig.request.version = OBSERVE_HTTP_2;
	rig.request.status = 503;
	rig.request.grpc_status = 14;
	rig_get(&rig, "/cart/1?item=shoe", 1);
	rig_sleep(&rig, 250);
	rig.conn.process.pid = 78; /* the first one is told */
	rig.request.request_bytes = 300;
	rig.request.response_bytes = 10;
	rig.request.has_first_byte = false;
	rig.request.last_byte_us = 5000;
	rig_get(&rig, "/cart/2?item=hat", 1);

	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, 1);
	series = &snapshot.series[0];
	check_key(&series->key);
	assert_false(series->other);
	assert_int_equal(series->pid, 77);
	assert_int_equal(series->count, 2);
	assert_int_equal(series->failures, 2);
	assert_int_equal(series->request_bytes.sum, 400);
	assert_int_equal(series->request_bytes.min, 100);
	assert_int_equal(series->request_bytes.max, 300);
	assert_int_equal(series->response_bytes.sum, 1010);
	assert_int_equal(series->response_bytes.min, 10);
	assert_int_equal(series->response_bytes.max, 1000);
	assert_int_equal(series->request_body.sum, 0);
	assert_int_equal(series->response_body.sum, 1800);
	assert_int_equal(series->first_byte_us.count, 1);
	assert_int_equal(series->last_byte_us.count, 2);
	assert_int_equal(series->last_byte_us.sum, 8000);
	assert_int_equal(series->first_seen_ms, RIG_START_MS);
	assert_int_equal(series->last_seen_ms, RIG_START_MS + 250);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_failures(void **state)
{
	static const struct {
		int status, grpc_status;
		uint64_t failures;
	} cases[] = {{200, -1, 0}, {404, -1, 0}, {499, -1, 0}, {500, -1, 1},
		     {599, -1, 1}, {0, -1, 1},   {200, 0, 0},  {200, 13, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aggregate_snapshot snapshot;
		struct rig rig;

		rig_init(&rig, 10, 10);
		rig.request.status = cases[i].status;
		rig.request.grpc_status = cases[i].grpc_status;
		rig_add(&rig);
		snapshot = rig_snapshot(&rig);
		assert_int_equal(snapshot.series[0].failures, cases[i].failures);
		assert_int_equal(snapshot.endpoints[0].failures, cases[i].failures);
		assert_int_equal(snapshot.endpoints[0].requests, 1);
		aggregate_snapshot_free(&snapshot);
		rig_free(&rig);
	}
}

static void test_rate(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	for (int i = 0; i < 1000; i++) {
		rig_get(&rig, "/a", 1);
		rig_sleep(&rig, 50);
	}
	snapshot = rig_snapshot(&rig);
	assert_about(snapshot.series[0].per_second, 20);
	aggregate_snapshot_free(&snapshot);

	rig_sleep(&rig, 5500);
	snapshot = rig_snapshot(&rig);
	assert_about(snapshot.series[0].per_second, 9);
	aggregate_snapshot_free(&snapshot);

	rig_sleep(&rig, 5500);
	snapshot = rig_snapshot(&rig);
	assert_about(snapshot.series[0].per_second, 0);
	aggregate_snapshot_free(&snapshot);

	rig_get(&rig, "/a", 30);
	rig_sleep(&rig, 9000);
	snapshot = rig_snapshot(&rig);
	assert_about(snapshot.series[0].per_second, 3);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_snapshot_is_independent(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	aggregate_open(rig.aggregate, &rig.conn);
	rig_get(&rig, "/a", 3);
	snapshot = rig_snapshot(&rig);
	rig.request.first_byte_us = 1;
	rig_get(&rig, "/a", 100);
	rig_get(&rig, "/b", 1);
	aggregate_open(rig.aggregate, &rig.conn);
	rig_free(&rig);
	assert_int_equal(snapshot.series_len, 1);
	assert_int_equal(snapshot.series[0].count, 3);
	assert_int_equal(snapshot.series[0].first_byte_us.min, 2000);
	assert_int_equal(histogram_count_up_to(&snapshot.series[0].first_byte_us, 1000), 0);
	assert_int_equal(snapshot.endpoints[0].connections, 1);
	assert_int_equal(snapshot.endpoints[0].requests, 3);
	aggregate_snapshot_free(&snapshot);
}

#define THREAD_REQUESTS 20000

/* What one of two threads does. */
static void *write_many(void *arg)
{
	struct rig *rig = arg;
	struct observe_conn conn = rig->conn;
	struct observe_request *request = calloc(1, sizeof(*request));
	struct conn_info info = {.flow[FLOW_TO_ORIGIN].bytes = 1};

	if (!request)
		return NULL;
	*request = rig->request;
	for (uint32_t i = 0; i < THREAD_REQUESTS; i++) {
		name_path(i % 100, request->path);
		aggregate_open(rig->aggregate, &conn);
		aggregate_add_request(rig->aggregate, &conn, request);
		aggregate_close(rig->aggregate, &conn, &info, NULL, true);
	}
	free(request);
	return rig;
}

static void test_two_threads(void **state)
{
	struct aggregate_snapshot snapshot;
	pthread_t threads[2];
	uint64_t last = 0;
	struct rig rig;
	void *done;

	(void)state;
	rig_init(&rig, 50, 10);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &rig), 0);
	for (int i = 0; i < 50; i++) {
		snapshot = rig_snapshot(&rig);
		assert_true(snapshot.requests >= last);
		last = snapshot.requests;
		assert_int_equal(add_up(&snapshot).count, snapshot.requests);
		aggregate_snapshot_free(&snapshot);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_ptr_equal(done, &rig);
	}
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.requests, 2 * THREAD_REQUESTS);
	assert_int_equal(add_up(&snapshot).count, 2 * THREAD_REQUESTS);
	assert_int_equal(snapshot.endpoints[0].connections, 2 * THREAD_REQUESTS);
	assert_int_equal(snapshot.endpoints[0].open, 0);
	assert_int_equal(snapshot.endpoints[0].bytes_to_origin, 2 * THREAD_REQUESTS);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one_series),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_snapshot_is_independent),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
