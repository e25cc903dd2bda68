// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conn_maker.h"
#include "export/figure_json.h"
#include "export/series_json.h"
#include "series_maker.h"

/* Names have dots, so a member is asked for by its whole name. */
static const cJSON *member(const cJSON *json, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!value)
		fail_msg("no member %s", name);
	return value;
}

static void check_member(const cJSON *json, const char *name, const char *expected)
{
	char *text = cJSON_PrintUnformatted(member(json, name));

	if (strcmp(text, expected) != 0)
		fail_msg("%s is %s, not %s", name, text, expected);
	cJSON_free(text);
}

struct expectation {
	const char *name, *value;
};

static void check_members(const cJSON *json, const struct expectation *expected)
{
	int count = 0;

	for (; expected->name; expected++, count++)
		check_member(json, expected->name, expected->value);
	assert_int_equal(cJSON_GetArraySize(json), count);
}

static void free_series(struct series *series)
{
	histogram_free(&series->first_byte_us);
	histogram_free(&series->last_byte_us);
}

static void a_series_has_epochs_names(void **state)
{
	static const struct expectation expected[] = {
		{"other", "false"},
		{"http.uri", "\"/users/{number}?page&q\""},
		{"http.request_method", "\"GET\""},
		{"http.status_code", "200"},
		{"http.version", "\"1.1\""},
		{"url.scheme", "\"https\""},
		{"rpc.grpc.status_code", "null"},
		{"direction", "\"outgoing\""},
		{"server.name", "\"www.origin.test\""},
		{"server.address", "\"192.0.2.9:443\""},
		{"tls.version", "\"TLSv1.3\""},
		{"tls.cipher", "\"TLS_AES_128_GCM_SHA256\""},
		{"process.command", "\"curl\""},
		{"process.pid", "42"},
		{"process.unit", "\"app.service\""},
		{"http.request_response.count", "8"},
		{"http.request_response.failures", "3"},
		{"http.request_response.throughput", "1.250"},
		{"http.request.bytes", "{\"sum\":1000,\"avg\":125.000,\"min\":10,\"max\":300}"},
		{"http.request.body_bytes", "{\"sum\":0,\"avg\":0.000,\"min\":0,\"max\":0}"},
		{"http.response.body_bytes", "{\"sum\":500,\"avg\":62.500,\"min\":5,\"max\":50}"},
		{"http.response.bytes", "{\"sum\":18446744073709551615,"
					"\"avg\":2305843009213693952.000,\"min\":1,\"max\":9}"},
		{"first_seen", "\"2026-01-01T12:00:00.123Z\""},
		{"last_seen", "\"2026-01-01T12:00:01.000Z\""},
		{NULL, NULL},
	};
	struct series series = make_series(8);
	cJSON *json = series_json(&series);

	(void)state;
	for (const struct expectation *e = expected; e->name; e++)
		check_member(json, e->name, e->value);
	/* and the two histograms */
	assert_int_equal(cJSON_GetArraySize(json), sizeof(expected) / sizeof(expected[0]) - 1 + 2);
	cJSON_Delete(json);
	free_series(&series);
}

static void check_near(const cJSON *json, const char *name, double expected)
{
	const double value = strtod(member(json, name)->valuestring, NULL); /* written as text */

	if (value < expected * 31 / 32 || value > expected * 33 / 32)
		fail_msg("%s is %f, not near %f", name, value, expected);
}

/* 1 ... 10 ms. */
static void latency_is_in_milliseconds(void **state)
{
	struct series series = make_series(8);
	cJSON *json = series_json(&series);
	const cJSON *latency = member(json, "http.request_response.latency");
	const cJSON *first = member(json, "http.request_response.first_byte");

	(void)state;
	check_member(latency, "count", "10");
	check_member(latency, "sum", "55.000");
	check_member(latency, "avg", "5.500");
	check_member(latency, "min", "1.000");
	check_member(latency, "max", "10.000");
	check_near(latency, "std_dev", 2.872);
	check_near(latency, "p50", 5);
	check_near(latency, "p90", 9);
	check_near(latency, "p99", 10);
	check_near(latency, "p99_9", 10);
	assert_int_equal(cJSON_GetArraySize(latency), 10);
	check_member(first, "count", "4");
	check_member(first, "sum", "10.000");
	cJSON_Delete(json);
	free_series(&series);
}

static void what_is_not_known_is_null(void **state)
{
	struct series series = {.key.grpc_status = -1, .count = 1};
	cJSON *json = series_json(&series);

	(void)state;
	check_member(json, "http.status_code", "null");
	check_member(json, "http.version", "null");
	check_member(json, "server.address", "null");
	check_member(json, "server.name", "null");
	check_member(json, "tls.version", "null");
	check_member(json, "tls.cipher", "null");
	check_member(json, "process.pid", "null");
	check_member(json, "process.command", "null");
	check_member(json, "rpc.grpc.status_code", "null");
	check_near(member(json, "http.request_response.latency"), "p99", 0);
	cJSON_Delete(json);
}

static void grpc_and_http2(void **state)
{
	struct series series = {
		.key = {.grpc_status = 0, .version = OBSERVE_HTTP_2, .status = 200}};
	cJSON *json = series_json(&series);

	(void)state;
	check_member(json, "rpc.grpc.status_code", "0");
	check_member(json, "http.version", "\"2\"");
	cJSON_Delete(json);
	series.key.grpc_status = 13;
	series.key.version = OBSERVE_HTTP_1_0;
	series.key.direction = OBSERVE_INCOMING;
	series.key.tls_suite = 0xfafa;
	json = series_json(&series);
	check_member(json, "rpc.grpc.status_code", "13");
	check_member(json, "http.version", "\"1.0\"");
	check_member(json, "direction", "\"incoming\"");
	check_member(json, "tls.cipher", "\"0xfafa\"");
	cJSON_Delete(json);
}

/* Its attributes are no combination that there was. */
static void other_has_no_attributes(void **state)
{
	struct series series = {.other = true, .count = 5, .failures = 2};
	cJSON *json = series_json(&series);

	(void)state;
	check_member(json, "other", "true");
	check_member(json, "http.request_response.count", "5");
	check_member(json, "direction", "null");
	check_member(json, "http.uri", "null");
	check_member(json, "rpc.grpc.status_code", "null");
	cJSON_Delete(json);
}

/* Peers chose them: nothing of a name is trusted to be text. */
static void names_are_made_printable(void **state)
{
	struct series series = make_series(1);
	cJSON *json;

	(void)state;
	strcpy(series.key.server_name, "a\x1b[2J\xff\xe2\x80\xae");
	memset(series.key.unit, 'u', sizeof(series.key.unit)); /* no NUL */
	json = series_json(&series);
	check_member(json, "server.name", "\"a\\\\x1b[2J\\\\xff\\\\xe2\\\\x80\\\\xae\"");
	assert_int_equal(strlen(member(json, "process.unit")->valuestring), 128);
	cJSON_Delete(json);
	free_series(&series);
}

static void an_endpoint_has_everything(void **state)
{
	static const struct expectation expected[] = {
		{"other", "false"},
		{"server.address", "\"[2001:db8::1]:8443\""},
		{"server.name", "\"www.origin.test\""},
		{"direction", "\"incoming\""},
		{"connections", "{\"total\":9,\"open\":2,\"passed\":3,\"failed\":4,"
				"\"per_second\":0.500}"},
		{"requests", "500"},
		{"failures", "6"},
		{"bytes", "{\"to_origin\":7,\"to_client\":18446744073709551615}"},
		{"relays", "{\"none\":0,\"splice\":10,\"copy\":0,\"user\":0,\"raw\":1}"},
		{"ktls", "{\"directions\":40,\"kernel\":30,\"share\":0.750}"},
		{"upstream_handshake_ms", "{\"count\":0,\"avg\":0.000,\"min\":0.000,\"max\":0.000,"
					  "\"p50\":0.000,\"p90\":0.000,\"p99\":0.000}"},
		{"retransmits", "8"},
		{"first_seen", "\"2026-01-01T12:00:00.123Z\""},
		{"last_seen", "\"2026-01-01T12:00:01.000Z\""},
		{NULL, NULL},
	};
	static const char *const times[] = {"connect_ms", "client_handshake_ms", "leaf_ms",
					    "lifetime_ms", "rtt_ms"};
	struct endpoint endpoint = make_endpoint(9);
	cJSON *json = series_json_endpoint(&endpoint);

	(void)state;
	for (const struct expectation *e = expected; e->name; e++)
		check_member(json, e->name, e->value);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_int_equal(cJSON_GetArraySize(member(json, times[i])), 7);
	check_member(member(json, "connect_ms"), "count", "10");
	check_near(member(json, "connect_ms"), "p90", 9);
	check_member(member(json, "rtt_ms"), "max", "2.000");
	assert_int_equal(cJSON_GetArraySize(json), 14 + 5);
	cJSON_Delete(json);
	histogram_free(&endpoint.connect_us);
	histogram_free(&endpoint.rtt_us);
}

static void no_connection_has_no_share(void **state)
{
	struct endpoint endpoint = {.other = true};
	cJSON *json = series_json_endpoint(&endpoint);

	(void)state;
	check_member(json, "ktls", "{\"directions\":0,\"kernel\":0,\"share\":null}");
	check_member(json, "direction", "null");
	cJSON_Delete(json);
}

/* JSON has no word for them, and a reader would lose the whole answer. */
static void what_is_no_number_is_null(void **state)
{
	static const struct expectation expected[] = {
		{"a", "null"}, {"b", "null"}, {"c", "-0.500"}, {NULL, NULL}};
	cJSON *json = cJSON_CreateObject();

	(void)state;
	assert_true(figure_json_real(json, "a", (double)NAN));
	assert_true(figure_json_real(json, "b", -(double)INFINITY));
	assert_true(figure_json_real(json, "c", -0.5));
	check_members(json, expected);
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_series_has_epochs_names),
		cmocka_unit_test(latency_is_in_milliseconds),
		cmocka_unit_test(what_is_not_known_is_null),
		cmocka_unit_test(grpc_and_http2),
		cmocka_unit_test(other_has_no_attributes),
		cmocka_unit_test(names_are_made_printable),
		cmocka_unit_test(an_endpoint_has_everything),
		cmocka_unit_test(no_connection_has_no_share),
		cmocka_unit_test(what_is_no_number_is_null),
	};

	return cmocka_run_group_tests_name("series_json", tests, NULL, NULL);
}
