/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_REQUEST_MAKER_H
#define KSPLIT_TESTS_REQUEST_MAKER_H

/* A request and its connection for the unit tests of export/. Include after conn_maker.h. */

#include <time.h>

#include "observe/request.h"

static inline struct observe_conn make_observed_conn(void)
{
	struct observe_conn conn = {
		.id = 7,
		.direction = OBSERVE_OUTGOING,
		.server_name = "www.origin.test",
		.tls_version = 0x0304,
		.tls_suite = 0x1301,
		.process = {.pid = 42, .uid = 1000, .command = "curl", .unit = "app.service"},
	};

	conn.endpoint = make_address("2001:db8::1", 443);
	conn.client = make_address("192.0.2.1", 40000);
	return conn;
}

/* Begun a second ago. */
static inline struct observe_request make_request(void)
{
	struct observe_request request = {
		.version = OBSERVE_HTTP_1_1,
		.method = "POST",
		.host = "www.origin.test:8443",
		.content_type = "application/json",
		.path = "/users/4711/notes?page",
		.status = 201,
		.grpc_status = -1,
		.request_bytes = 1200,
		.request_body = 1000,
		.response_bytes = 5000000000,
		.response_body = 4999999900,
		.has_first_byte = true,
		.first_byte_us = 1234,
		.complete = true,
		.last_byte_us = 5006,
	};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	request.time_ns = (uint64_t)(now.tv_sec - 1) * 1000000000 + (uint64_t)now.tv_nsec;
	return request;
}

#endif
