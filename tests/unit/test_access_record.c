// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conn_maker.h"
#include "export/access_record.h"
#include "request_maker.h"

/* As a reader of the log has it. */
static cJSON *reparse(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	cJSON *read;

	assert_non_null(text);
	read = cJSON_Parse(text);
	assert_non_null(read);
	cJSON_free(text);
	cJSON_Delete(json);
	return read;
}

/* Through a record that is as long as it says: a byte read behind it is seen by the sanitizer. */
static cJSON *line_of(const struct observe_conn *conn, const struct observe_request *request)
{
	unsigned char record[ACCESS_RECORD_MAX], *exact;
	const size_t len = access_record_request(conn, request, record);
	cJSON *json;

	assert_in_range(len, 1, sizeof(record));
	exact = malloc(len);
	memcpy(exact, record, len);
	json = reparse(access_record_json(exact, len));
	free(exact);
	return json;
}

static void a_request_has_all_members(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	cJSON *json = line_of(&conn, &request);

	(void)state;
	check_text(json, "type", "request");
	check_number(json, "connection", 7);
	check_text(json, "direction", "outgoing");
	check_text(json, "client", "192.0.2.1:40000");
	check_text(json, "upstream", "[2001:db8::1]:443");
	check_text(json, "sni", "www.origin.test");
	check_text(json, "scheme", "https");
	check_text(json, "http_version", "1.1");
	check_text(json, "method", "POST");
	check_text(json, "host", "www.origin.test:8443");
	check_text(json, "uri", "/users/{number}/notes?page");
	check_bool(json, "path_cut", false);
	check_number(json, "status", 201);
	check_null(json, "grpc_status");
	check_text(json, "content_type", "application/json");
	check_number(json, "request_bytes", 1200);
	check_number(json, "request_body_bytes", 1000);
	check_number(json, "response_bytes", 5000000000);
	check_number(json, "response_body_bytes", 4999999900);
	check_number(json, "first_byte_ms", 1.234);
	check_number(json, "last_byte_ms", 5.006);
	check_bool(json, "complete", true);
	check_number(json, "process.pid", 42);
	check_text(json, "process.command", "curl");
	check_text(json, "process.unit", "app.service");
	assert_int_equal(cJSON_GetArraySize(json), 24);
	cJSON_Delete(json);
}

static void the_time_is_that_of_the_first_byte(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	struct timespec before, after;
	char first[40], last[40];
	const char *text;
	cJSON *json;
	struct tm tm;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &before);
	json = line_of(&conn, &request);
	clock_gettime(CLOCK_REALTIME, &after);
	text = json_at(json, "time")->valuestring;
	before.tv_sec -= 2; /* begun a second ago, and rounding */
	strftime(first, sizeof(first), "%Y-%m-%dT%H:%M:%S", gmtime_r(&before.tv_sec, &tm));
	strftime(last, sizeof(last), "%Y-%m-%dT%H:%M:%S", gmtime_r(&after.tv_sec, &tm));
	assert_true(strncmp(text, first, 19) >= 0);
	assert_true(strncmp(text, last, 19) <= 0);
	assert_int_equal(strlen(text), 24);
	cJSON_Delete(json);
}

static void what_was_not_seen_is_null(void **state)
{
	struct observe_conn conn = {.id = 1};
	struct observe_request request = {.grpc_status = -1, .first_byte_us = 5, .last_byte_us = 6};
	cJSON *json = line_of(&conn, &request);
	static const char *const names[] = {
		"client",      "upstream",      "sni",          "method",       "host",
		"uri",         "status",        "http_version", "content_type", "process",
		"grpc_status", "first_byte_ms", "last_byte_ms"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_null(json, names[i]);
	check_bool(json, "complete", false);
	cJSON_Delete(json);
}

static void grpc(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	cJSON *json;

	(void)state;
	request.grpc_status = 0;
	request.version = OBSERVE_HTTP_2;
	json = line_of(&conn, &request);
	check_number(json, "grpc_status", 0);
	check_text(json, "http_version", "2");
	cJSON_Delete(json);
}

/* It is said, and the last part, which may be a piece of a secret, is not. */
static void a_path_that_was_cut(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	unsigned char record[ACCESS_RECORD_MAX];
	cJSON *json;
	size_t len;

	(void)state;
	request.path_cut = true;
	strcpy(request.path, "/reset/4711/hush");
	len = access_record_request(&conn, &request, record);
	assert_null(memmem(record, len, "hush", 4));
	json = line_of(&conn, &request);
	check_text(json, "uri", "/reset/{number}/{...}");
	check_bool(json, "path_cut", true);
	cJSON_Delete(json);
	request.path_cut = false;
	json = line_of(&conn, &request);
	check_text(json, "uri", "/reset/{number}/hush");
	check_bool(json, "path_cut", false);
	cJSON_Delete(json);
}

/* The longest of everything, and none ends with a NUL. */
static void the_longest_texts_fit(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	cJSON *json;

	(void)state;
	memset(conn.server_name, 's', sizeof(conn.server_name));
	memset(conn.process.command, 'c', sizeof(conn.process.command));
	memset(conn.process.unit, 'u', sizeof(conn.process.unit));
	memset(request.method, 'M', sizeof(request.method));
	memset(request.host, 'h', sizeof(request.host));
	memset(request.content_type, 't', sizeof(request.content_type));
	memset(request.path, '/', sizeof(request.path) - 1);
	json = line_of(&conn, &request);
	assert_int_equal(strlen(json_at(json, "sni")->valuestring), 256);
	assert_int_equal(strlen(json_at(json, "host")->valuestring), 256);
	assert_int_equal(strlen(json_at(json, "method")->valuestring), 24);
	assert_int_equal(strlen(json_at(json, "content_type")->valuestring), 64);
	assert_int_equal(strlen(json_at(json, "process.unit")->valuestring), 128);
	assert_int_equal(strlen(json_at(json, "process.command")->valuestring), 16);
	assert_in_range(strlen(json_at(json, "uri")->valuestring), 1, 255);
	cJSON_Delete(json);
}

static bool holds(const void *bytes, size_t len, const char *word)
{
	return memmem(bytes, len, word, strlen(word)) != NULL;
}

/* Neither the line nor what waits in the queue has them. */
static void raw_paths_never_get_in(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	unsigned char record[ACCESS_RECORD_MAX];
	size_t len;

	(void)state;
	memset(record, 0, sizeof(record));
	strcpy(request.path,
	       "/reset/9f86d081884c7d659a2feaa0c55ad015/someone%40example.com/31337?t");
	len = access_record_request(&conn, &request, record);
	assert_true(holds(record, len, "/reset/"));
	assert_false(holds(record, len, "9f86d081"));
	assert_false(holds(record, len, "someone"));
	assert_false(holds(record, len, "31337"));
}

static void names_are_made_printable(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	cJSON *json;
	char *text;

	(void)state;
	strcpy(request.host, "a\"\x1b[2J\xff");
	strcpy(conn.process.command, "x\ny");
	json = line_of(&conn, &request);
	check_text(json, "host", "a\"\\x1b[2J\\xff");
	check_text(json, "process.command", "x\\x0ay");
	text = cJSON_PrintUnformatted(json);
	assert_null(strpbrk(text, "\n\x1b\xff"));
	cJSON_free(text);
	cJSON_Delete(json);
}

static void a_connection_is_what_it_was(void **state)
{
	struct conn_info info = make_conn();
	unsigned char record[ACCESS_RECORD_MAX];
	const size_t len = access_record_connection(&info, record);
	cJSON *json = reparse(access_record_json(record, len));

	(void)state;
	check_text(json, "type", "connection");
	check_number(json, "id", 7);
	check_text(json, "sni", "www.origin.test");
	cJSON_Delete(json);
	assert_null(access_record_json(record, len - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_all_members),
		cmocka_unit_test(the_time_is_that_of_the_first_byte),
		cmocka_unit_test(what_was_not_seen_is_null),
		cmocka_unit_test(grpc),
		cmocka_unit_test(a_path_that_was_cut),
		cmocka_unit_test(the_longest_texts_fit),
		cmocka_unit_test(raw_paths_never_get_in),
		cmocka_unit_test(names_are_made_printable),
		cmocka_unit_test(a_connection_is_what_it_was),
	};

	return cmocka_run_group_tests_name("access_record", tests, NULL, NULL);
}
