// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aggregate_rig.h"

/* Each attribute by itself makes another series. */
static void test_attributes(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 100);
	rig_add(&rig);
	rig.conn.direction = OBSERVE_INCOMING;
	rig_add(&rig);
	strcpy(rig.conn.server_name, "other.example");
	rig_add(&rig);
	rig_set_ip(&rig, 0xc0000202);
	rig_add(&rig);
	rig.conn.endpoint.in.sin_port = htons(8443);
	rig_add(&rig);
	rig.conn.tls_version = 0x0303;
	rig_add(&rig);
	rig.conn.tls_suite = 0xc02f;
	rig_add(&rig);
	strcpy(rig.conn.process.command, "wget");
	rig_add(&rig);
	strcpy(rig.conn.process.unit, "cron.service");
	rig_add(&rig);
	strcpy(rig.request.method, "HEAD");
	rig_add(&rig);
	strcpy(rig.request.path, "/x");
	rig_add(&rig);
	rig.request.status = 404;
	rig_add(&rig);
	rig.request.grpc_status = 0;
	rig_add(&rig);
	rig.request.version = OBSERVE_HTTP_2;
	rig_add(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, 14);
	for (size_t i = 0; i < snapshot.series_len; i++)
		assert_int_equal(snapshot.series[i].count, 1);
	aggregate_snapshot_free(&snapshot);

	/* Not these: bytes behind a string's end, padding, the client. */
	memset(rig.conn.server_name + 20, 'x', 200);
	memset(rig.conn.endpoint.in.sin_zero, 'x', sizeof(rig.conn.endpoint.in.sin_zero));
	rig.conn.client.in6.sin6_family = AF_INET6;
	rig.conn.id = 99;
	rig_add(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.series_len, 14);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void check_server_name(const char *sni, const char *host, const char *expected)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	rig_init(&rig, 10, 10);
	strcpy(rig.conn.server_name, sni);
	strcpy(rig.request.host, host);
	rig_add(&rig);
	snapshot = rig_snapshot(&rig);
	assert_string_equal(snapshot.series[0].key.server_name, expected);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_server_name(void **state)
{
	(void)state;
	check_server_name("A.Example", "b.example", "a.example");
	check_server_name("", "B.Example:8443", "b.example");
	check_server_name("", "b.example.", "b.example");
	check_server_name("", "[2001:DB8::1]:443", "2001:db8::1");
	check_server_name("", "user:secret@b.example", "b.example");
	check_server_name("", "a\"\xc3\xa9\x01", "a\"???");
	check_server_name("", "", "192.0.2.1");
	check_server_name("", ":80", "192.0.2.1");
}

static void check_uri(const char *method, const char *path, bool cut, const char *expected_method,
		      const char *expected_uri)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	rig_init(&rig, 10, 10);
	strcpy(rig.request.method, method);
	strcpy(rig.request.path, path);
	rig.request.path_cut = cut;
	rig_add(&rig);
	snapshot = rig_snapshot(&rig);
	assert_string_equal(snapshot.series[0].key.method, expected_method);
	assert_string_equal(snapshot.series[0].key.uri, expected_uri);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_method_and_uri(void **state)
{
	(void)state;
	check_uri("PATCH", "/a", false, "PATCH", "/a");
	check_uri("MKCALENDAR", "/a", false, "MKCALENDAR", "/a");
	check_uri("get", "/a", false, "_OTHER", "/a");
	check_uri("S3CR3T", "/a", false, "_OTHER", "/a");
	check_uri("", "", false, "_OTHER", "");
	check_uri("OPTIONS", "*", false, "OPTIONS", "*");
	check_uri("GET", "/a/sec", true, "GET", "/a/{...}");
	check_uri("GET", "/a/b?page&sec", true, "GET", "/a/b?page{...}");
	check_uri("GET", "sec", true, "GET", "{...}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_server_name),
		cmocka_unit_test(test_method_and_uri),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
