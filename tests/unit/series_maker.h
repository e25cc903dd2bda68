/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SERIES_MAKER_H
#define KSPLIT_TESTS_SERIES_MAKER_H

/* What was observed, for the unit tests of export/. Include after conn_maker.h. */

#include <stdlib.h>

#include "observe/aggregate.h"

/* 1 ms, 2 ms ... n ms. */
static inline void fill_histogram(struct histogram *h, int n)
{
	for (int i = 1; i <= n; i++)
		assert_int_equal(histogram_add(h, (uint64_t)i * 1000), 0);
}

static inline struct series make_series(uint64_t count)
{
	struct series series = {
		.key = {.direction = OBSERVE_OUTGOING,
			.server_name = "www.origin.test",
			.method = "GET",
			.uri = "/users/{number}?page&q",
			.status = 200,
			.grpc_status = -1,
			.version = OBSERVE_HTTP_1_1,
			.tls_version = 0x0304,
			.tls_suite = 0x1301,
			.command = "curl",
			.unit = "app.service"},
		.pid = 42,
		.count = count,
		.failures = 3,
		.per_second = 1.25,
		.request_bytes = {.sum = 1000, .min = 10, .max = 300},
		.response_bytes = {.sum = 18446744073709551615U, .min = 1, .max = 9},
		.request_body = {.sum = 0, .min = 0, .max = 0},
		.response_body = {.sum = 500, .min = 5, .max = 50},
		.first_seen_ms = 1767268800123,
		.last_seen_ms = 1767268801000,
	};

	series.key.endpoint = make_address("192.0.2.9", 443);
	fill_histogram(&series.last_byte_us, 10);
	fill_histogram(&series.first_byte_us, 4);
	return series;
}

static inline struct endpoint make_endpoint(uint64_t connections)
{
	struct endpoint endpoint = {
		.server_name = "www.origin.test",
		.direction = OBSERVE_INCOMING,
		.connections = connections,
		.open = 2,
		.passed = 3,
		.failed = 4,
		.requests = 500,
		.failures = 6,
		.connections_per_second = 0.5,
		.bytes_to_origin = 7,
		.bytes_to_client = 18446744073709551615U,
		.relayed = {[CONN_RELAY_SPLICE] = 10, [CONN_RELAY_RAW] = 1},
		.kernel_directions = 30,
		.directions = 40,
		.retransmits = 8,
		.first_seen_ms = 1767268800123,
		.last_seen_ms = 1767268801000,
	};

	endpoint.address = make_address("2001:db8::1", 8443);
	fill_histogram(&endpoint.connect_us, 10);
	fill_histogram(&endpoint.rtt_us, 2);
	return endpoint;
}

/* Rows count 1 ... n, the least first; "other", which has more than any, is the last but in want.
 */
static inline int make_snapshot(struct aggregate_snapshot *out, size_t n, bool other)
{
	const size_t len = n + other;

	*out = (struct aggregate_snapshot){
		.series = calloc(len + 1, sizeof(*out->series)),
		.endpoints = calloc(len + 1, sizeof(*out->endpoints)),
		.series_len = len,
		.endpoints_len = len,
		.series_evicted = 77,
		.requests = 123456789012,
		.max_series = 2000,
		.max_endpoints = 1000,
		.memory = 4096,
		.time_ms = 1767268801000,
		.start_ms = 1767268800123,
	};
	assert_non_null(out->series);
	assert_non_null(out->endpoints);
	for (size_t i = 0; i < n; i++) {
		out->series[i] = make_series(i + 1);
		out->endpoints[i] = make_endpoint(i + 1);
	}
	if (other) {
		out->series[n] = (struct series){.other = true, .count = 2 * n, .failures = 1};
		out->endpoints[n] = (struct endpoint){.other = true, .connections = 2 * n};
	}
	return 0;
}

#endif
