// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "snapshot_maker.h"
#include "otlp_reader.h"

static void test_endpoints(void **state)
{
	struct made_input m;
	struct endpoint *e;
	cJSON *root, *point, *points;

	(void)state;
	made_init(&m, 0, 2);
	e = &m.snapshot.endpoints[1];
	e->connections = 7;
	e->open = 2;
	e->bytes_to_origin = 11;
	e->bytes_to_client = 22;
	e->retransmits = 3;
	made_times(&e->rtt_us, 200, 0, 5);
	root = request_parse(&m, 0);
	points = points_of(root, "ksplit.connections");
	assert_int_equal(cJSON_GetArraySize(points), 2);
	assert_int_equal(u64(cJSON_GetArrayItem(points, 1), "asInt"), 7);
	point = cJSON_GetArrayItem(points_of(root, "ksplit.connection.open"), 1);
	assert_int_equal(u64(point, "asInt"), 2);
	assert_true(cJSON_IsFalse(
		member(member(metric_find(root, "ksplit.connection.open"), "sum"), "isMonotonic")));
	points = points_of(root, "ksplit.connection.io");
	assert_int_equal(cJSON_GetArraySize(points), 4);
	assert_int_equal(u64(cJSON_GetArrayItem(points, 1), "asInt"), 11);
	assert_string_equal(attribute(cJSON_GetArrayItem(points, 1), "ksplit.flow"), "to_origin");
	assert_int_equal(u64(cJSON_GetArrayItem(points, 3), "asInt"), 22);
	assert_string_equal(attribute(cJSON_GetArrayItem(points, 3), "ksplit.flow"), "to_client");
	points = points_of(root, "ksplit.tcp.rtt");
	assert_int_equal(cJSON_GetArraySize(points), 1); /* the other one has none yet */
	assert_int_equal(u64(cJSON_GetArrayItem(points, 0), "count"), 5);
	assert_null(metric_find(root, "ksplit.leaf.duration"));
	cJSON_Delete(root);
	made_free(&m);
}

static void test_the_daemon_s_own_figures(void **state)
{
	struct made_input m;
	cJSON *root, *points;

	(void)state;
	made_init(&m, 0, 0);
	m.stats.counters[STAT_BYTES_SPLICED] = 12345;
	m.stats.reasons[1] = 6;
	m.observer.ring_dropped = 77;
	m.observer.events[KSPLIT_SAMPLER_USER] = 9;
	root = request_parse(&m, 0);
	points = points_of(root, "ksplit.daemon.bytes");
	assert_string_equal(attribute(cJSON_GetArrayItem(points, 2), "ksplit.counter"), "spliced");
	assert_int_equal(u64(cJSON_GetArrayItem(points, 2), "asInt"), 12345);
	points = points_of(root, "ksplit.daemon.reasons");
	assert_int_equal(cJSON_GetArraySize(points), 1);
	assert_string_equal(attribute(points->child, "ksplit.reason"), ksplit_reason_name(1));
	assert_int_equal(u64(points_of(root, "ksplit.sampler.dropped")->child, "asInt"), 77);
	points = points_of(root, "ksplit.sampler.events");
	assert_string_equal(attribute(cJSON_GetArrayItem(points, 2), "ksplit.sampler"), "user");
	assert_int_equal(u64(cJSON_GetArrayItem(points, 2), "asInt"), 9);
	cJSON_Delete(root);
	made_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_the_daemon_s_own_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
