// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "export/otlp_json.h"
#include "export/otlp_point.h"
#include "snapshot_maker.h"
#include "otlp_reader.h"

/* -- tests --------------------------------------------------------------------------------------
 */

static void test_a_client_call_has_the_names_of_the_conventions(void **state)
{
	struct made_input m;
	cJSON *root, *resource, *metric, *point;

	(void)state;
	made_init(&m, 1, 0);
	made_times(&m.snapshot.series[0].last_byte_us, 1000, 1000, 10);
	root = request_parse(&m, 0);
	resource = member(cJSON_GetArrayItem(member(root, "resourceMetrics"), 0), "resource");
	assert_string_equal(attribute(resource, "service.name"), "ksplit");
	assert_string_equal(attribute(resource, "service.version"), "9.8.7");
	assert_string_equal(attribute(resource, "service.instance.id"), "box:4321");
	assert_string_equal(attribute(resource, "host.name"), "box");
	assert_string_equal(attribute(resource, "process.pid"), "4321");

	metric = metric_find(root, "http.client.request.duration");
	assert_string_equal(member(metric, "unit")->valuestring, "s");
	assert_int_equal(member(member(metric, "histogram"), "aggregationTemporality")->valueint,
			 2);
	point = cJSON_GetArrayItem(points_of(root, "http.client.request.duration"), 0);
	assert_string_equal(attribute(point, "server.address"), "shop.example");
	assert_string_equal(attribute(point, "server.port"), "8443");
	assert_string_equal(attribute(point, "network.peer.address"), "192.0.2.7");
	assert_string_equal(attribute(point, "http.request.method"), "GET");
	assert_string_equal(attribute(point, "url.template"), "/users/{number}?page");
	assert_string_equal(attribute(point, "http.route"), "");
	assert_string_equal(attribute(point, "url.scheme"), "https");
	assert_string_equal(attribute(point, "http.response.status_code"), "200");
	assert_string_equal(attribute(point, "network.protocol.version"), "1.1");
	assert_string_equal(attribute(point, "tls.protocol.version"), "1.3");
	assert_string_equal(attribute(point, "tls.cipher"), "TLS_AES_128_GCM_SHA256");
	assert_string_equal(attribute(point, "error.type"), "");
	assert_string_equal(attribute(point, "rpc.grpc.status_code"), "");
	assert_string_equal(attribute(point, "process.command"), "curl");
	assert_string_equal(attribute(point, "ksplit.process.unit"), "shop.service");
	assert_null(metric_find(root, "http.server.request.duration"));
	cJSON_Delete(root);
	made_free(&m);
}

static void test_an_incoming_call_is_the_server_s(void **state)
{
	struct made_input m;
	cJSON *root, *point;

	(void)state;
	made_init(&m, 1, 0);
	m.snapshot.series[0].key.direction = OBSERVE_INCOMING;
	made_times(&m.snapshot.series[0].last_byte_us, 1000, 1000, 10);
	root = request_parse(&m, 0);
	assert_null(metric_find(root, "http.client.request.duration"));
	assert_null(metric_find(root, "http.client.response.body.size"));
	point = cJSON_GetArrayItem(points_of(root, "http.server.request.duration"), 0);
	assert_string_equal(attribute(point, "http.route"), "/users/{number}?page");
	assert_string_equal(attribute(point, "url.template"), "");
	cJSON_Delete(root);
	made_free(&m);
}

/* Bounds are those of the conventions; what is on a bound belongs below it. */
static void test_buckets_add_up_to_the_count(void **state)
{
	struct made_input m;
	struct histogram *h;
	cJSON *root, *point, *counts, *count, *bounds;
	uint64_t sum = 0;

	(void)state;
	made_init(&m, 1, 0);
	h = &m.snapshot.series[0].last_byte_us;
	made_times(h, 1000, 0, 3);     /* 1 ms */
	made_times(h, 30000, 0, 4);    /* 30 ms: up to 50 ms */
	made_times(h, 60000000, 0, 5); /* a minute: above all bounds */
	root = request_parse(&m, 0);
	point = cJSON_GetArrayItem(points_of(root, "http.client.request.duration"), 0);
	counts = member(point, "bucketCounts");
	bounds = member(point, "explicitBounds");
	assert_int_equal(cJSON_GetArraySize(bounds), 14);
	assert_int_equal(cJSON_GetArraySize(counts), 15);
	assert_true(cJSON_GetArrayItem(bounds, 0)->valuedouble == 0.005);
	assert_true(cJSON_GetArrayItem(bounds, 13)->valuedouble == 10);
	cJSON_ArrayForEach(count, counts) sum += u64_of(count);
	assert_int_equal(u64(point, "count"), 12);
	assert_int_equal(sum, 12);
	assert_int_equal(u64_of(cJSON_GetArrayItem(counts, 0)), 3);
	assert_int_equal(u64_of(cJSON_GetArrayItem(counts, 3)), 4);
	assert_int_equal(u64_of(cJSON_GetArrayItem(counts, 14)), 5);
	assert_true(member(point, "min")->valuedouble == 0.001);
	assert_true(member(point, "max")->valuedouble == 60);
	assert_true(member(point, "sum")->valuedouble == 300.123);
	assert_int_equal(u64(point, "startTimeUnixNano"), (MADE_START + 1000) * 1000000);
	assert_int_equal(u64(point, "timeUnixNano"), MADE_TIME * 1000000);
	cJSON_Delete(root);
	made_free(&m);
}

/* Values all around every bound, one after the other: no bucket ever counts less than before. */
static void test_no_bucket_ever_goes_down(void **state)
{
	uint64_t before[15] = {0};
	struct made_input m;

	(void)state;
	made_init(&m, 1, 0);
	for (uint64_t i = 0; i < 400; i++) {
		cJSON *root, *counts;

		made_times(&m.snapshot.series[0].last_byte_us, (i * 7919) % 300 * 37, 0, 1);
		root = request_parse(&m, 0);
		counts = member(
			cJSON_GetArrayItem(points_of(root, "http.client.request.duration"), 0),
			"bucketCounts");
		for (int k = 0; k < 15; k++) {
			uint64_t now = u64_of(cJSON_GetArrayItem(counts, k));

			assert_true(now >= before[k]);
			before[k] = now;
		}
		cJSON_Delete(root);
	}
	made_free(&m);
}

static void test_sums_keep_64_bits(void **state)
{
	struct made_input m;
	cJSON *root, *sum, *point;

	(void)state;
	made_init(&m, 1, 0);
	m.snapshot.series[0].request_bytes.sum = UINT64_MAX >> 1;
	root = request_parse(&m, 0);
	sum = member(metric_find(root, "ksplit.http.request.bytes"), "sum");
	assert_true(cJSON_IsTrue(member(sum, "isMonotonic")));
	assert_int_equal(member(sum, "aggregationTemporality")->valueint, 2);
	point = cJSON_GetArrayItem(member(sum, "dataPoints"), 0);
	assert_string_equal(member(point, "asInt")->valuestring, "9223372036854775807");
	point = cJSON_GetArrayItem(points_of(root, "http.client.response.body.size"), 0);
	assert_int_equal(u64(point, "count"), 10);
	assert_true(member(point, "sum")->valuedouble == 5000);
	assert_null(cJSON_GetObjectItem(point, "bucketCounts"));
	cJSON_Delete(root);
	made_free(&m);
}

static void assert_error_type(const struct series_key *key, const char *wanted)
{
	struct made_input m;
	cJSON *root, *point;

	made_init(&m, 1, 0);
	m.snapshot.series[0].key = *key;
	root = request_parse(&m, 0);
	point = cJSON_GetArrayItem(points_of(root, "ksplit.http.requests"), 0);
	assert_string_equal(attribute(point, "error.type"), wanted);
	if (key->status == 0)
		assert_string_equal(attribute(point, "http.response.status_code"), "");
	cJSON_Delete(root);
	made_free(&m);
}

static void test_error_type_says_what_failed(void **state)
{
	struct series s;

	(void)state;
	made_series(&s);
	s.key.status = 404;
	assert_error_type(&s.key, "404");
	s.key.direction = OBSERVE_INCOMING;
	assert_error_type(&s.key, "");
	s.key.status = 503;
	assert_error_type(&s.key, "503");
	s.key.status = 0;
	assert_error_type(&s.key, "no_response");
	s.key.status = 200;
	s.key.grpc_status = 14;
	assert_error_type(&s.key, "UNAVAILABLE");
	s.key.grpc_status = 99;
	assert_error_type(&s.key, "99");
	s.key.grpc_status = 0;
	assert_error_type(&s.key, "");
}

/* Series that differ in any one member are different streams. */
static void test_every_member_of_the_key_tells_streams_apart(void **state)
{
	struct made_input m;
	struct series *s;
	cJSON *root, *points;
	char *seen[14];
	int n;

	(void)state;
	made_init(&m, 14, 0);
	s = m.snapshot.series;
	s[1].key.direction = OBSERVE_INCOMING;
	strcpy(s[2].key.server_name, "other.example");
	made_address(&s[3].key.endpoint, "192.0.2.8", 8443);
	made_address(&s[4].key.endpoint, "192.0.2.7", 443);
	strcpy(s[5].key.method, "PUT");
	strcpy(s[6].key.uri, "/");
	s[7].key.status = 201;
	s[8].key.grpc_status = 0;
	s[9].key.version = OBSERVE_HTTP_1_0;
	s[10].key.tls_version = 0x0303;
	s[11].key.tls_suite = 0xeeee;
	strcpy(s[12].key.command, "wget");
	s[13].key.unit[0] = '\0';
	root = request_parse(&m, 0);
	points = points_of(root, "ksplit.http.requests");
	n = cJSON_GetArraySize(points);
	assert_int_equal(n, 14);
	for (int i = 0; i < n; i++) {
		seen[i] = cJSON_Print(member(cJSON_GetArrayItem(points, i), "attributes"));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(seen[i], seen[k]);
	}
	for (int i = 0; i < n; i++)
		cJSON_free(seen[i]);
	cJSON_Delete(root);
	made_free(&m);
}

static void test_the_rest_is_one_overflow_stream(void **state)
{
	struct made_input m;
	cJSON *root, *point;

	(void)state;
	made_init(&m, 1, 1);
	m.snapshot.series[0].other = true;
	m.snapshot.endpoints[0].other = true;
	made_times(&m.snapshot.series[0].last_byte_us, 1000, 1000, 10);
	root = request_parse(&m, 0);
	point = cJSON_GetArrayItem(points_of(root, "http.client.request.duration"), 0);
	assert_int_equal(cJSON_GetArraySize(member(point, "attributes")), 1);
	assert_string_equal(attribute(point, "otel.metric.overflow"), "true");
	assert_int_equal(u64(point, "startTimeUnixNano"), MADE_START * 1000000);
	point = cJSON_GetArrayItem(points_of(root, "ksplit.connections"), 0);
	assert_string_equal(attribute(point, "otel.metric.overflow"), "true");
	cJSON_Delete(root);
	made_free(&m);
}

/* What peers chose: no control characters, always UTF-8. */
static void test_foreign_text_is_made_printable(void **state)
{
	struct made_input m;
	cJSON *root, *point;

	(void)state;
	made_init(&m, 1, 0);
	strcpy(m.snapshot.series[0].key.server_name, "a\xff\n\"b");
	root = request_parse(&m, 0);
	point = cJSON_GetArrayItem(points_of(root, "ksplit.http.requests"), 0);
	assert_string_equal(attribute(point, "server.address"), "a\\xff\\x0a\"b");
	cJSON_Delete(root);
	made_free(&m);
}

/* Many series: several requests, each series in exactly one, the daemon's figures in the first. */
static void test_many_series_are_several_requests(void **state)
{
	struct made_input m;
	size_t n = 2 * OTLP_PART_SERIES + 3, seen = 0;

	(void)state;
	made_init(&m, n, 1);
	assert_int_equal(otlp_json_parts(&m.snapshot), 3);
	for (size_t i = 0; i < n; i++)
		snprintf(m.snapshot.series[i].key.uri, URI_TEMPLATE_MAX, "/%zu", i);
	for (size_t part = 0; part < 3; part++) {
		cJSON *root = request_parse(&m, part), *point;

		cJSON_ArrayForEach(point, points_of(root, "ksplit.http.requests"))
		{
			char uri[32];

			snprintf(uri, sizeof(uri), "/%zu", seen++);
			assert_string_equal(attribute(point, "url.template"), uri);
		}
		assert_int_equal(metric_find(root, "ksplit.daemon.bytes") != NULL, part == 0);
		assert_int_equal(metric_find(root, "ksplit.connections") != NULL, part == 0);
		cJSON_Delete(root);
	}
	assert_int_equal(seen, n);
	made_free(&m);
}

static long allowed;

static void *scarce_malloc(size_t size)
{
	return allowed-- > 0 ? malloc(size) : NULL;
}

/* Whichever allocation fails: no request, and (with the sanitizer) nothing lost. */
static void test_no_memory_gives_no_request(void **state)
{
	cJSON_Hooks hooks = {scarce_malloc, free};
	struct made_input m;
	char *text = NULL;
	long n;

	(void)state;
	made_init(&m, 2, 1);
	m.snapshot.series[1].other = true;
	made_times(&m.snapshot.series[0].last_byte_us, 1000, 1000, 10);
	cJSON_InitHooks(&hooks);
	for (n = 0; !text && n < 100000; n += n < 300 ? 1 : 7) {
		allowed = n;
		text = otlp_json_request(&m.input, 0);
	}
	assert_non_null(text);
	assert_true(n > 1000);
	cJSON_free(text);
	cJSON_InitHooks(NULL);
	made_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_client_call_has_the_names_of_the_conventions),
		cmocka_unit_test(test_an_incoming_call_is_the_server_s),
		cmocka_unit_test(test_buckets_add_up_to_the_count),
		cmocka_unit_test(test_no_bucket_ever_goes_down),
		cmocka_unit_test(test_sums_keep_64_bits),
		cmocka_unit_test(test_error_type_says_what_failed),
		cmocka_unit_test(test_every_member_of_the_key_tells_streams_apart),
		cmocka_unit_test(test_the_rest_is_one_overflow_stream),
		cmocka_unit_test(test_foreign_text_is_made_printable),
		cmocka_unit_test(test_many_series_are_several_requests),
		cmocka_unit_test(test_no_memory_gives_no_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
