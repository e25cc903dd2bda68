/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_AGGREGATE_RIG_H
#define KSPLIT_TESTS_AGGREGATE_RIG_H

/* An aggregate with a clock of the test's own, and what goes into it. Include after cmocka.h. */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "observe/aggregate.h"
#include "observe/aggregate_clock.h"

#define RIG_START_MS 1767268800000 /* 2026-01-01T12:00:00Z */

struct rig {
	struct aggregate *aggregate;
	struct aggregate_time now;
	struct observe_conn conn;
	struct observe_request request;
};

static inline void rig_read_clock(void *ctx, struct aggregate_time *now)
{
	*now = ((struct rig *)ctx)->now;
}

static inline void rig_sleep(struct rig *rig, uint64_t ms)
{
	rig->now.wall_ms += (int64_t)ms;
	rig->now.monotonic_ms += ms;
}

static inline void rig_init(struct rig *rig, uint32_t max_series, uint32_t max_endpoints)
{
	struct aggregate_limits limits = {.max_series = max_series, .max_endpoints = max_endpoints};

	memset(rig, 0, sizeof(*rig));
	rig->now = (struct aggregate_time){.wall_ms = RIG_START_MS, .monotonic_ms = 5000000};
	assert_int_equal(aggregate_new(&limits, &rig->aggregate), 0);
	aggregate_set_clock(rig->aggregate, rig_read_clock, rig);

	strcpy(rig->conn.server_name, "shop.example");
	rig->conn.endpoint.in.sin_family = AF_INET;
	rig->conn.endpoint.in.sin_port = htons(443);
	rig->conn.endpoint.in.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
	rig->conn.tls_version = 0x0304;
	rig->conn.tls_suite = 0x1301;
	rig->conn.process.pid = 77;
	strcpy(rig->conn.process.command, "curl");
	strcpy(rig->conn.process.unit, "user.slice");

	rig->request.version = OBSERVE_HTTP_1_1;
	strcpy(rig->request.method, "GET");
	strcpy(rig->request.path, "/");
	rig->request.status = 200;
	rig->request.grpc_status = -1;
	rig->request.request_bytes = 100;
	rig->request.response_bytes = 1000;
	rig->request.response_body = 900;
	rig->request.has_first_byte = true;
	rig->request.first_byte_us = 2000;
	rig->request.complete = true;
	rig->request.last_byte_us = 3000;
}

static inline void rig_free(struct rig *rig)
{
	aggregate_free(rig->aggregate);
}

static inline void rig_set_ip(struct rig *rig, uint32_t ip)
{
	rig->conn.endpoint.in.sin_addr.s_addr = htonl(ip);
}

static inline void rig_add(struct rig *rig)
{
	aggregate_add_request(rig->aggregate, &rig->conn, &rig->request);
}

static inline void rig_get(struct rig *rig, const char *path, int times)
{
	strcpy(rig->request.path, path);
	for (int i = 0; i < times; i++)
		rig_add(rig);
}

static inline struct aggregate_snapshot rig_snapshot(struct rig *rig)
{
	struct aggregate_snapshot snapshot;

	assert_int_equal(aggregate_snapshot(rig->aggregate, &snapshot), 0);
	return snapshot;
}

/* NULL: there is none. */
static inline const struct series *find_series(const struct aggregate_snapshot *snapshot,
					       const char *uri)
{
	for (size_t i = 0; i < snapshot->series_len; i++)
		if (!snapshot->series[i].other && strcmp(snapshot->series[i].key.uri, uri) == 0)
			return &snapshot->series[i];
	return NULL;
}

static inline const struct series *other_series(const struct aggregate_snapshot *snapshot)
{
	const struct series *last;

	if (snapshot->series_len == 0)
		return NULL;
	last = &snapshot->series[snapshot->series_len - 1];
	return last->other ? last : NULL;
}

static inline const struct endpoint *find_endpoint(const struct aggregate_snapshot *snapshot,
						   const char *address)
{
	char text[64];

	for (size_t i = 0; i < snapshot->endpoints_len; i++) {
		const struct endpoint *endpoint = &snapshot->endpoints[i];

		conn_address_print(&endpoint->address, text, sizeof(text));
		if (!endpoint->other && strcmp(text, address) == 0)
			return endpoint;
	}
	return NULL;
}

/* A name without digits, which therefore is a series of its own. */
static inline void name_path(uint32_t number, char *path)
{
	*path++ = '/';
	for (int i = 0; i < 5; i++, number /= 26)
		*path++ = (char)('a' + number % 26);
	*path = '\0';
}

/* What all series of a snapshot hold together. */
struct totals {
	uint64_t count, failures, request_bytes, response_bytes, response_body;
	uint64_t first_bytes, last_bytes, first_byte_sum, last_byte_sum;
	double per_second;
};

static inline struct totals add_up(const struct aggregate_snapshot *snapshot)
{
	struct totals totals = {0};

	for (size_t i = 0; i < snapshot->series_len; i++) {
		const struct series *series = &snapshot->series[i];

		totals.count += series->count;
		totals.failures += series->failures;
		totals.request_bytes += series->request_bytes.sum;
		totals.response_bytes += series->response_bytes.sum;
		totals.response_body += series->response_body.sum;
		totals.first_bytes += series->first_byte_us.count;
		totals.last_bytes += series->last_byte_us.count;
		totals.first_byte_sum += series->first_byte_us.sum;
		totals.last_byte_sum += series->last_byte_us.sum;
		totals.per_second += series->per_second;
	}
	return totals;
}

static inline void assert_about(double value, double expected)
{
	if (!(value > expected - 1e-6 && value < expected + 1e-6))
		fail_msg("%f is not %f", value, expected);
}

#endif
