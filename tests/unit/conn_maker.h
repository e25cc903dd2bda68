/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CONN_MAKER_H
#define KSPLIT_TESTS_CONN_MAKER_H

/* A connection for the unit tests of export/. Include after cmocka.h. */

#include <arpa/inet.h>
#include <cJSON.h>
#include <string.h>

#include "observe/conn_info.h"

static inline union conn_address make_address(const char *ip, int port)
{
	union conn_address address = {0};

	if (strchr(ip, ':')) {
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET6, ip, &address.in6.sin6_addr), 1);
	} else {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET, ip, &address.in.sin_addr), 1);
	}
	return address;
}

/* Intercepted, TLS 1.3 in the kernel at the client's side, TLS 1.2 half so at the origin's; closed
 * in order. */
static inline struct conn_info make_conn(void)
{
	struct conn_info info = {
		.id = 7,
		.start_ms = 1767268800123, /* 2026-01-01T12:00:00.123Z */
		.state = CONN_RELAY,
		.end_reason = KSPLIT_CLOSED,
		.sni = "www.origin.test",
		.alpn = "h2",
		.has_origin_fp = true,
		.has_leaf_fp = true,
	};

	info.client = make_address("192.0.2.1", 40000);
	info.local = make_address("192.0.2.2", 443);
	info.upstream_local = make_address("2001:db8::2", 50000);
	info.upstream = make_address("2001:db8::1", 443);
	info.side[SIDE_CLIENT] = (struct conn_side_info){.version = 0x0304,
							 .suite = 0x1301,
							 .resumed = true,
							 .rx_kernel = true,
							 .tx_kernel = true,
							 .alert_received = 0,
							 .alert_sent = -1};
	info.side[SIDE_UPSTREAM] = (struct conn_side_info){.version = 0x0303,
							   .suite = 0xc02f,
							   .tx_kernel = true,
							   .rx_reason = KSPLIT_KTLS_RX_REFUSED,
							   .alert_received = -1,
							   .alert_sent = 0};
	info.flow[FLOW_TO_ORIGIN] = (struct conn_flow_info){.relay = CONN_RELAY_SPLICE,
							    .bytes = 5000000000,
							    .spliced = 4999999999,
							    .records_in = 3};
	info.flow[FLOW_TO_CLIENT] = (struct conn_flow_info){.relay = CONN_RELAY_USER, .bytes = 12};
	info.phase_us[CONN_PEEK] = 1500;
	info.phase_us[CONN_CONNECT] = 20;
	info.phase_us[CONN_RELAY] = 3000001;
	memset(info.origin_fp, 0xab, sizeof(info.origin_fp));
	memset(info.leaf_fp, 0x01, sizeof(info.leaf_fp));
	return info;
}

/* The value at "a.b.c"; it must be there. */
static inline const cJSON *json_at(const cJSON *json, const char *path)
{
	char name[64];

	while (*path) {
		size_t len = strcspn(path, ".");

		assert_true(len < sizeof(name));
		memcpy(name, path, len);
		name[len] = '\0';
		json = cJSON_GetObjectItemCaseSensitive(json, name);
		if (!json)
			fail_msg("no member %s", path);
		path += len + (path[len] == '.');
	}
	return json;
}

static inline void check_text(const cJSON *json, const char *path, const char *expected)
{
	const cJSON *value = json_at(json, path);

	assert_true(cJSON_IsString(value));
	assert_string_equal(value->valuestring, expected);
}

static inline void check_number(const cJSON *json, const char *path, double expected)
{
	const cJSON *value = json_at(json, path);

	assert_true(cJSON_IsNumber(value));
	if (value->valuedouble < expected || value->valuedouble > expected)
		fail_msg("%s is %f, not %f", path, value->valuedouble, expected);
}

static inline void check_bool(const cJSON *json, const char *path, bool expected)
{
	const cJSON *value = json_at(json, path);

	assert_true(cJSON_IsBool(value));
	assert_int_equal(cJSON_IsTrue(value), expected);
}

static inline void check_null(const cJSON *json, const char *path)
{
	assert_true(cJSON_IsNull(json_at(json, path)));
}

#endif
