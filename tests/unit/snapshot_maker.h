/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SNAPSHOT_MAKER_H
#define KSPLIT_TESTS_SNAPSHOT_MAKER_H

/* Figures for exporters, made by hand. Include after cmocka.h. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "export/otlp_json.h"

struct made_input {
	struct aggregate_snapshot snapshot;
	struct stats_sum stats;
	struct control_summary summary;
	struct observer_status observer;
	struct otlp_input input;
};

#define MADE_START 1700000000000
#define MADE_TIME  1700000060000

static inline void made_address(union conn_address *address, const char *text, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->in.sin_family = AF_INET;
	address->in.sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, text, &address->in.sin_addr), 1);
}

static inline void made_times(struct histogram *h, uint64_t least, uint64_t step, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(histogram_add(h, least + step * (uint64_t)i), 0);
}

/* An outgoing GET that went well; tests change what they look at. */
static inline void made_series(struct series *s)
{
	memset(s, 0, sizeof(*s));
	strcpy(s->key.server_name, "shop.example");
	made_address(&s->key.endpoint, "192.0.2.7", 8443);
	strcpy(s->key.method, "GET");
	strcpy(s->key.uri, "/users/{number}?page");
	s->key.status = 200;
	s->key.grpc_status = -1;
	s->key.version = OBSERVE_HTTP_1_1;
	s->key.tls_version = 0x0304;
	s->key.tls_suite = 0x1301;
	strcpy(s->key.command, "curl");
	strcpy(s->key.unit, "shop.service");
	s->count = 10;
	s->request_bytes.sum = 1000;
	s->response_bytes.sum = 1ULL << 60;
	s->response_body = (struct aggregate_sum){5000, 100, 900};
	s->first_seen_ms = MADE_START + 1000;
	s->last_seen_ms = MADE_TIME;
}

static inline void made_init(struct made_input *m, size_t series, size_t endpoints)
{
	memset(m, 0, sizeof(*m));
	m->snapshot.series = calloc(series ? series : 1, sizeof(struct series));
	m->snapshot.endpoints = calloc(endpoints ? endpoints : 1, sizeof(struct endpoint));
	assert_non_null(m->snapshot.series);
	assert_non_null(m->snapshot.endpoints);
	m->snapshot.series_len = series;
	m->snapshot.endpoints_len = endpoints;
	m->snapshot.start_ms = MADE_START;
	m->snapshot.time_ms = MADE_TIME;
	m->summary.version = "9.8.7";
	m->summary.pid = 4321;
	m->summary.start_ms = MADE_START;
	for (size_t i = 0; i < series; i++)
		made_series(&m->snapshot.series[i]);
	for (size_t i = 0; i < endpoints; i++) {
		made_address(&m->snapshot.endpoints[i].address, "192.0.2.7", (uint16_t)(i + 1));
		m->snapshot.endpoints[i].first_seen_ms = MADE_START;
	}
	m->input = (struct otlp_input){&m->snapshot, &m->stats, &m->summary, &m->observer, "box"};
}

static inline void made_free(struct made_input *m)
{
	for (size_t i = 0; i < m->snapshot.series_len; i++) {
		histogram_free(&m->snapshot.series[i].first_byte_us);
		histogram_free(&m->snapshot.series[i].last_byte_us);
	}
	for (size_t i = 0; i < m->snapshot.endpoints_len; i++)
		histogram_free(&m->snapshot.endpoints[i].rtt_us);
	free(m->snapshot.series);
	free(m->snapshot.endpoints);
}

#endif
