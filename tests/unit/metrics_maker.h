/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_METRICS_MAKER_H
#define KSPLIT_TESTS_METRICS_MAKER_H

/*
 * What exports read, made up: a shop with a few services, an incoming gRPC call, names that
 * somebody chose to break lines and pages, and "other". Counters grow with `step`.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/metrics_source.h"

#define MADE_SERIES    7
#define MADE_ENDPOINTS 4
#define MADE_EVIL_NAME "evil\"\\\n<b>\x01\xff{}\xe2\x80\xae.example"
#define MADE_EVIL_URI  "/<img src=x onerror=alert(1)>\"\\\n\xc3\xa9"

static const struct made_call {
	const char *server, *address, *method, *uri, *command;
	int port, status, grpc_status;
	enum observe_direction direction;
	enum observe_http_version version;
	uint32_t per_step;     /* requests */
	uint64_t us, response; /* typical latency, bytes */
} made_calls[MADE_SERIES - 1] = {
	{"shop.example", "192.0.2.10", "GET", "/items/{number}", "curl", 443, 200, -1,
	 OBSERVE_OUTGOING, OBSERVE_HTTP_2, 40, 4000, 5120},
	{"shop.example", "192.0.2.10", "POST", "/orders?page&q", "python3", 443, 201, -1,
	 OBSERVE_OUTGOING, OBSERVE_HTTP_1_1, 12, 38000, 900},
	{"shop.example", "192.0.2.10", "GET", "/reports/{uuid}", "python3", 443, 503, -1,
	 OBSERVE_OUTGOING, OBSERVE_HTTP_1_1, 2, 820000, 64},
	{"pay.example", "2001:db8::7", "POST", "/bank.Pay/Charge", "", 8443, 200, 0,
	 OBSERVE_INCOMING, OBSERVE_HTTP_2, 9, 90000, 320},
	{MADE_EVIL_NAME, "192.0.2.66", "GET", MADE_EVIL_URI, "a\"b\\c\n", 443, 404, -1,
	 OBSERVE_OUTGOING, OBSERVE_HTTP_1_0, 1, 1500, 1},
	{"slow.example", "192.0.2.77", "GET", "/", "wget", 443, 0, -1, OBSERVE_OUTGOING,
	 OBSERVE_HTTP_1_1, 1, 0, 0},
};

static inline void make_address(union conn_address *address, const char *text, int port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET6, text, &address->in6.sin6_addr) == 1) {
		address->in6.sin6_family = AF_INET6;
		address->in6.sin6_port = htons((uint16_t)port);
		return;
	}
	address->in.sin_family = AF_INET;
	inet_pton(AF_INET, text, &address->in.sin_addr);
	address->in.sin_port = htons((uint16_t)port);
}

/* `count` values around `us`, in waves, one in fifty ten times as long; more only add to fewer. */
static inline void make_durations(struct histogram *h, uint64_t us, uint32_t count)
{
	for (uint32_t i = 0; us && i < count; i++)
		(void)histogram_add(h, i % 50 == 49 ? 10 * us
						    : us - us / 4 + i * 37 % (us / 2) +
							      us * (i / 97 % 7) / 10);
}

static inline struct aggregate_sum make_sum(uint64_t count, uint64_t each)
{
	struct aggregate_sum sum = {count * each, each, each};

	return sum;
}

static inline void make_series(struct series *series, const struct made_call *call, uint32_t step)
{
	struct series_key *key = &series->key;

	key->direction = call->direction;
	strncpy(key->server_name, call->server, sizeof(key->server_name) - 1);
	make_address(&key->endpoint, call->address, call->port);
	strncpy(key->method, call->method, sizeof(key->method) - 1);
	strncpy(key->uri, call->uri, sizeof(key->uri) - 1);
	strncpy(key->command, call->command, sizeof(key->command) - 1);
	strcpy(key->unit, call->command[0] ? "app.service" : "");
	key->status = call->status;
	key->grpc_status = call->grpc_status;
	key->version = call->version;
	key->tls_version = 0x0304;
	key->tls_suite = 0x1301;
	series->pid = 4711;
	series->count = call->per_step * (uint64_t)step;
	series->failures = call->status == 0 || call->status >= 500 ? series->count : 0;
	series->per_second = call->per_step / 2.0;
	series->request_bytes = make_sum(series->count, 300);
	series->response_bytes = make_sum(series->count, call->response);
	series->request_body = make_sum(series->count, 20);
	series->response_body = make_sum(series->count, call->response / 2);
	make_durations(&series->first_byte_us, call->us / 2, (uint32_t)series->count);
	make_durations(&series->last_byte_us, call->us, (uint32_t)series->count);
}

static inline void make_endpoint(struct endpoint *endpoint, const char *name, const char *address,
				 int port, uint32_t step)
{
	make_address(&endpoint->address, address, port);
	strncpy(endpoint->server_name, name, sizeof(endpoint->server_name) - 1);
	endpoint->connections = 3 * (uint64_t)step;
	endpoint->open = 2;
	endpoint->passed = 1;
	endpoint->failed = 1;
	endpoint->requests = 50 * (uint64_t)step;
	endpoint->failures = step;
	endpoint->bytes_to_origin = 15000 * (uint64_t)step;
	endpoint->bytes_to_client = 200000 * (uint64_t)step;
	endpoint->relayed[CONN_RELAY_SPLICE] = 4 * (uint64_t)step;
	endpoint->relayed[CONN_RELAY_USER] = step;
	endpoint->kernel_directions = 9 * (uint64_t)step;
	endpoint->directions = 12 * (uint64_t)step;
	endpoint->retransmits = step / 3;
	make_durations(&endpoint->connect_us, 900, 3 * step);
	make_durations(&endpoint->rtt_us, 800, 3 * step);
	make_durations(&endpoint->upstream_handshake_us, 4000, 3 * step);
	make_durations(&endpoint->client_handshake_us, 2500, 3 * step);
	make_durations(&endpoint->leaf_us, 300, 3 * step);
	make_durations(&endpoint->lifetime_us, 2000000, 3 * step);
}

/* 0 or -1; freed as every snapshot is. */
static inline int make_snapshot(struct aggregate_snapshot *out, uint32_t step)
{
	struct series *other;

	memset(out, 0, sizeof(*out));
	out->series = calloc(MADE_SERIES, sizeof(*out->series));
	out->endpoints = calloc(MADE_ENDPOINTS, sizeof(*out->endpoints));
	if (!out->series || !out->endpoints)
		return -1;
	out->series_len = MADE_SERIES;
	out->endpoints_len = MADE_ENDPOINTS;
	for (int i = 0; i < MADE_SERIES - 1; i++)
		make_series(&out->series[i], &made_calls[i], step);
	other = &out->series[MADE_SERIES - 1];
	other->other = true;
	other->count = 5 * (uint64_t)step;
	make_durations(&other->last_byte_us, 20000, 5 * step);
	make_endpoint(&out->endpoints[0], "shop.example", "192.0.2.10", 443, step);
	make_endpoint(&out->endpoints[1], MADE_EVIL_NAME, "192.0.2.66", 443, step / 3 + 1);
	make_endpoint(&out->endpoints[2], "pay.example", "2001:db8::7", 8443, step / 2 + 1);
	out->endpoints[2].direction = OBSERVE_INCOMING;
	out->endpoints[3].other = true;
	out->endpoints[3].connections = step;
	for (int i = 0; i < MADE_SERIES; i++)
		out->requests += out->series[i].count;
	out->series_evicted = step;
	out->max_series = 2000;
	out->max_endpoints = 1000;
	out->memory = 123456;
	return 0;
}

static inline void make_observer(struct observer_status *out)
{
	memset(out, 0, sizeof(*out));
	out->kernel_tls = KSPLIT_SAMPLER_FENTRY;
	out->plain = KSPLIT_SAMPLER_SK_MSG;
	out->user = KSPLIT_SAMPLER_USER;
	strcpy(out->why, "fentry on inet_sendmsg works on this \"kernel\"");
	out->timings = true;
	strcpy(out->processes_why, "no cgroup v2");
	out->connections[KSPLIT_SAMPLER_FENTRY] = 9;
	out->events[KSPLIT_SAMPLER_FENTRY] = 99;
	out->ring_bytes = 1 << 20;
	out->ring_dropped = 3;
	out->queue_dropped = 4;
	out->lost_bytes = 5;
	out->troubles[HTTP_TROUBLE_GAP] = 6;
	out->not_http = 7;
}

#define MADE_CERTS 3

/* A CA, and a certificate that is listed twice. 0 or -ENOMEM. */
static inline int make_certs(struct control_certs *out)
{
	*out = (struct control_certs){calloc(MADE_CERTS, sizeof(*out->certs)), MADE_CERTS};
	if (!out->certs)
		return -ENOMEM;
	for (size_t i = 0; i < MADE_CERTS; i++) {
		struct control_cert *cert = &out->certs[i];

		cert->kind = i ? "identity" : "ca";
		strcpy(cert->name, i ? MADE_EVIL_NAME : "made CA");
		cert->until_ms = i ? 1900000000999 : 2000000000000;
		memset(cert->fingerprint, i ? 0xab : 0x01, sizeof(cert->fingerprint));
	}
	return 0;
}

static inline void make_summary(struct control_summary *out)
{
	memset(out, 0, sizeof(*out));
	out->version = "0.1.0";
	out->openssl = "OpenSSL 3.0.17 \"test\"";
	out->pid = 4711;
	out->workers = 2;
	out->start_ms = 1700000000123;
	out->open_by_state[CONN_RELAY] = 6;
	out->max_connections = 1000;
	out->relay = out->ktls = "auto";
	out->verify = "mimic";
	out->leaf_cache.hits = 11;
	out->leaf_cache.forged = 12;
	out->session_cache.entries = 13;
	out->session_cache.evicted = 14;
	out->ktls_ulp = true;
	out->has_signer = true;
	out->signer.pid = 815;
	out->signer.issued = 41;
	out->signer.busy = 42;
	out->signer.refused = 43;
	out->signer.failed = 44;
	out->identities = 45;
	out->identity_reloads = 46;
	out->identity_reloads_failed = 47;
	out->capture.state = CAPTURE_OFF;
	out->capture.withdrawn[CAPTURE_BY_KEEPER] = 21;
	out->hook = (struct capture_status){.state = CAPTURE_WITHDRAWN,
					    .loaded = 31,
					    .self_test_failed = 32,
					    .withdrawn = {[CAPTURE_BY_WATCHDOG] = 33}};
	out->hook_wanted = 5;
	out->hook_attached = 4;
}

static inline void make_stats(struct stats_sum *out)
{
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < STAT_COUNT; i++)
		out->counters[i] = 1000 + (uint64_t)i;
	out->reasons[KSPLIT_CLOSED] = 42;
}

static inline void make_otlp(struct otlp_stats *out)
{
	*out = (struct otlp_stats){
		.exported = 71,
		.failed = 72,
		.retried = 73,
		.dropped = 74,
		.unmade = 75,
		.rejected_points = 76,
		.queued = 77,
		.last_error_ms = 1769860800000,
		.last_error = "the collector answers with status 400: what \"is\" this",
		.endpoint = "http://collector.example:4318/v1/metrics",
	};
}

/* A daemon made of the above. */
struct made_source {
	bool empty, growing, no_memory, draining;
	const char *degraded;
	int64_t start_ms;
	uint32_t step;
	uint32_t answers_left; /* 0: no limit; then memory "runs out" */
};

static inline int64_t made_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void made_read_stats(void *ctx, struct stats_sum *out)
{
	(void)ctx;
	make_stats(out);
}

static inline void made_read_summary(void *ctx, struct control_summary *out)
{
	const struct made_source *made = ctx;

	make_summary(out);
	out->start_ms = made->start_ms;
	out->draining = made->draining;
	out->degraded = made->degraded;
}

static inline int made_read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	struct made_source *made = ctx;

	memset(out, 0, sizeof(*out));
	if (made->no_memory)
		return -ENOMEM;
	if (made->answers_left && --made->answers_left == 0)
		made->no_memory = true;
	if (!made->empty && make_snapshot(out, made->step + 3) < 0)
		return -ENOMEM;
	made->step += made->growing;
	out->time_ms = made_now_ms();
	out->start_ms = made->start_ms;
	return 0;
}

static inline void made_read_observer(void *ctx, struct observer_status *out)
{
	(void)ctx;
	make_observer(out);
}

static inline int made_read_certs(void *ctx, struct control_certs *out)
{
	(void)ctx;
	return make_certs(out);
}

static inline bool made_read_otlp(void *ctx, struct otlp_stats *out)
{
	(void)ctx;
	make_otlp(out);
	return true;
}

static inline void make_source(struct made_source *made, struct metrics_source *out)
{
	made->start_ms = made_now_ms();
	out->ctx = made;
	out->read_stats = made_read_stats;
	out->read_summary = made_read_summary;
	out->read_aggregate = made_read_aggregate;
	out->read_observer = made_read_observer;
	out->read_certs = made_read_certs;
	out->read_otlp = made_read_otlp;
}

#endif
