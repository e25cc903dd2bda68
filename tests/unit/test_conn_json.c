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
#include "export/conn_json.h"

/* As a reader gets it: printed on one line and parsed again. */
static cJSON *reread(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	cJSON *read;

	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	read = cJSON_Parse(text);
	assert_non_null(read);
	free(text);
	cJSON_Delete(json);
	return read;
}

static cJSON *ended(const struct conn_info *info)
{
	return reread(conn_json_ended(info));
}

static void an_ended_connection_field_by_field(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json = ended(&info);

	(void)state;
	check_text(json, "type", "connection");
	check_text(json, "time", "2026-01-01T12:00:00.123Z");
	check_number(json, "id", 7);
	check_text(json, "client", "192.0.2.1:40000");
	check_text(json, "local", "192.0.2.2:443");
	check_text(json, "upstream_local", "[2001:db8::2]:50000");
	check_text(json, "upstream", "[2001:db8::1]:443");
	check_text(json, "mode", "intercept");
	check_null(json, "pass_reason");
	check_text(json, "sni", "www.origin.test");
	check_text(json, "alpn", "h2");
	check_text(json, "client_tls.version", "TLSv1.3");
	check_text(json, "client_tls.cipher", "TLS_AES_128_GCM_SHA256");
	check_bool(json, "client_tls.resumed", true);
	check_bool(json, "client_tls.ktls.rx", true);
	check_bool(json, "client_tls.ktls.tx", true);
	check_text(json, "client_tls.alert_received", "close_notify");
	check_null(json, "client_tls.alert_sent");
	check_text(json, "upstream_tls.version", "TLSv1.2");
	check_text(json, "upstream_tls.cipher", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	check_bool(json, "upstream_tls.resumed", false);
	check_text(json, "upstream_tls.ktls.rx", "ktls_rx_refused");
	check_bool(json, "upstream_tls.ktls.tx", true);
	check_null(json, "upstream_tls.alert_received");
	check_text(json, "upstream_tls.alert_sent", "close_notify");
	check_text(json, "to_origin.relay", "splice");
	check_number(json, "to_origin.bytes", 5000000000);
	check_number(json, "to_origin.spliced", 4999999999);
	check_number(json, "to_origin.records_in", 3);
	check_text(json, "to_client.relay", "user");
	check_number(json, "to_client.bytes", 12);
	check_number(json, "to_client.spliced", 0);
	check_number(json, "phases_ms.peek", 1.5);
	check_number(json, "phases_ms.resolve", 0);
	check_number(json, "phases_ms.connect", 0.02);
	check_number(json, "phases_ms.plain", 0);
	check_number(json, "phases_ms.upstream_handshake", 0);
	check_number(json, "phases_ms.leaf", 0);
	check_number(json, "phases_ms.client_handshake", 0);
	check_number(json, "phases_ms.relay", 3000.001);
	check_number(json, "phases_ms.closing", 0);
	check_number(json, "duration_ms", 3001.521);
	check_text(json, "origin_fingerprint_sha256",
		   "abababababababababababababababababababababababababababababababab");
	check_text(json, "leaf_fingerprint_sha256",
		   "0101010101010101010101010101010101010101010101010101010101010101");
	check_text(json, "reason", "closed");
	assert_null(cJSON_GetObjectItem(json, "state"));
	cJSON_Delete(json);
}

static void one_that_began_in_plain(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json = ended(&info);

	(void)state;
	check_null(json, "starttls");
	cJSON_Delete(json);
	info.upgrade = CONN_UPGRADE_POSTGRESQL;
	info.upgrade_bytes[FLOW_TO_ORIGIN] = 8;
	info.upgrade_bytes[FLOW_TO_CLIENT] = 1;
	json = ended(&info);
	check_text(json, "mode", "intercept");
	check_text(json, "starttls.protocol", "postgresql");
	check_number(json, "starttls.to_origin_bytes", 8);
	check_number(json, "starttls.to_client_bytes", 1);
	cJSON_Delete(json);
	info.state = CONN_PLAIN;
	json = ended(&info);
	check_text(json, "mode", "plain");
	cJSON_Delete(json);
}

static void a_passed_connection(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json;

	(void)state;
	info.passed = true;
	info.pass_reason = KSPLIT_PASS_NOT_TLS;
	info.sni[0] = info.alpn[0] = '\0';
	info.has_origin_fp = info.has_leaf_fp = false;
	for (int i = 0; i < SIDES; i++)
		info.side[i] = (struct conn_side_info){.alert_received = -1, .alert_sent = -1};
	info.flow[FLOW_TO_CLIENT].relay = CONN_RELAY_RAW;
	json = ended(&info);
	check_text(json, "mode", "pass");
	check_text(json, "pass_reason", "not_tls");
	check_null(json, "sni");
	check_null(json, "alpn");
	check_null(json, "client_tls");
	check_null(json, "upstream_tls");
	check_null(json, "origin_fingerprint_sha256");
	check_null(json, "leaf_fingerprint_sha256");
	check_text(json, "to_client.relay", "raw");
	cJSON_Delete(json);
}

/* A client that refuses the leaf: an alert, and no handshake that ended. */
static void an_alert_without_a_handshake(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json;

	(void)state;
	info.side[SIDE_CLIENT] = (struct conn_side_info){.alert_received = 48, .alert_sent = 255};
	info.end_reason = KSPLIT_LEAF_REJECTED;
	json = ended(&info);
	check_null(json, "client_tls.version");
	check_null(json, "client_tls.cipher");
	check_bool(json, "client_tls.ktls.rx", false);
	check_text(json, "client_tls.alert_received", "unknown_ca");
	check_text(json, "client_tls.alert_sent", "alert_255");
	check_text(json, "reason", "leaf_rejected");
	cJSON_Delete(json);
}

static void what_is_not_known_is_null_or_a_number(void **state)
{
	struct conn_info info = {0};
	cJSON *json;

	(void)state;
	info.side[SIDE_CLIENT].suite = 0xfefe;
	json = ended(&info);
	check_text(json, "time", "1970-01-01T00:00:00.000Z");
	check_null(json, "client");
	check_null(json, "upstream");
	check_text(json, "client_tls.cipher", "0xfefe");
	check_text(json, "to_origin.relay", "none");
	cJSON_Delete(json);
}

static void large_numbers_are_exact(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json;
	char *text;

	(void)state;
	info.id = UINT64_MAX;
	info.flow[FLOW_TO_ORIGIN].bytes = 9007199254740993; /* 2^53 + 1 */
	json = conn_json_ended(&info);
	text = cJSON_PrintUnformatted(json);
	assert_non_null(strstr(text, "\"id\":18446744073709551615,"));
	assert_non_null(strstr(text, "\"bytes\":9007199254740993,"));
	free(text);
	cJSON_Delete(json);
}

/* Names from the network cannot end the line, the string, or the encoding. */
static void foreign_names_are_made_harmless(void **state)
{
	static const struct {
		const char *sni, *expected;
	} rows[] = {
		{"a\"b\\c", "a\"b\\c"},     {"a\nb\x1b[31m", "a\\x0ab\\x1b[31m"},
		{"b\xc3\xbc", "b\xc3\xbc"}, {"\xff\xfe", "\\xff\\xfe"},
		{"\xc3", "\\xc3"},          {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
	};
	struct conn_info info = make_conn();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cJSON *json;

		strcpy(info.sni, rows[i].sni);
		strcpy(info.alpn, rows[i].sni);
		json = ended(&info);
		check_text(json, "sni", rows[i].expected);
		check_text(json, "alpn", rows[i].expected);
		cJSON_Delete(json);
	}
}

/* A name that fills its field to the last byte, all of it to be escaped. */
static void a_name_without_its_end_is_cut(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json;

	(void)state;
	memset(info.sni, 0xff, sizeof(info.sni));
	memset(info.alpn, 'h', sizeof(info.alpn));
	json = ended(&info);
	assert_int_equal(strlen(json_at(json, "sni")->valuestring), 4 * sizeof(info.sni));
	assert_int_equal(strlen(json_at(json, "alpn")->valuestring), sizeof(info.alpn));
	cJSON_Delete(json);
}

static void an_open_connection(void **state)
{
	struct conn_info info = make_conn();
	cJSON *json;

	(void)state;
	info.end_reason = KSPLIT_NONE;
	json = reread(conn_json_open(&info, info.start_ms + 2500));
	check_text(json, "state", "relay");
	check_number(json, "age_ms", 2500);
	check_text(json, "client", "192.0.2.1:40000");
	assert_null(cJSON_GetObjectItem(json, "type"));
	assert_null(cJSON_GetObjectItem(json, "reason"));
	assert_null(cJSON_GetObjectItem(json, "duration_ms"));
	cJSON_Delete(json);
	/* a wall clock that was set back */
	json = reread(conn_json_open(&info, info.start_ms - 1));
	check_number(json, "age_ms", 0);
	cJSON_Delete(json);
}

/* cJSON's allocator fails at the n-th call, for every n: NULL, no leak, no half object. */
static int allocations_left;

static void *failing_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void without_memory_there_is_no_object(void **state)
{
	cJSON_Hooks hooks = {.malloc_fn = failing_malloc, .free_fn = free};
	struct conn_info info = make_conn();
	cJSON *json = NULL;
	int n = 0;

	(void)state;
	cJSON_InitHooks(&hooks);
	for (; n < 1000 && !json; n++) {
		allocations_left = n;
		json = conn_json_ended(&info);
	}
	cJSON_InitHooks(NULL);
	assert_in_range(n, 50, 999);
	json = reread(json);
	check_text(json, "reason", "closed");
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ended_connection_field_by_field),
		cmocka_unit_test(one_that_began_in_plain),
		cmocka_unit_test(a_passed_connection),
		cmocka_unit_test(an_alert_without_a_handshake),
		cmocka_unit_test(what_is_not_known_is_null_or_a_number),
		cmocka_unit_test(large_numbers_are_exact),
		cmocka_unit_test(foreign_names_are_made_harmless),
		cmocka_unit_test(a_name_without_its_end_is_cut),
		cmocka_unit_test(an_open_connection),
		cmocka_unit_test(without_memory_there_is_no_object),
	};

	return cmocka_run_group_tests_name("conn_json", tests, NULL, NULL);
}
