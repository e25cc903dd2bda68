// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/metrics_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ksplit/histogram.h>

#include "export/attribute.h"
#include "export/json_add.h"

static bool add_double(cJSON *to, const char *name, double value)
{
	return json_add_item(to, name, cJSON_CreateNumber(value));
}

static bool add_string(cJSON *to, const char *name, const char *text)
{
	return json_add_foreign(to, name, text, strlen(text));
}

/* The daemon */

static bool add_daemon(cJSON *to, const struct metrics_moment *moment)
{
	const struct control_summary *summary = &moment->summary;
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	return add_string(to, "host", host) && json_add_text(to, "version", summary->version) &&
	       json_add_u64(to, "pid", (uint64_t)summary->pid) &&
	       json_add_u64(to, "start_ms", (uint64_t)summary->start_ms) &&
	       json_add_u64(to, "time_ms", (uint64_t)moment->aggregate.time_ms) &&
	       json_add_bool(to, "draining", summary->draining) &&
	       json_add_text(to, "degraded", summary->degraded);
}

static bool add_connections(cJSON *data, const struct metrics_moment *moment)
{
	cJSON *to = cJSON_AddObjectToObject(data, "connections");
	const uint64_t *counters = moment->stats.counters;
	uint64_t open = 0;

	for (int i = 0; i < CONN_STATES; i++)
		open += moment->summary.open_by_state[i];
	return to && json_add_u64(to, "open", open) &&
	       json_add_u64(to, "accepted", counters[STAT_ACCEPTED]) &&
	       json_add_u64(to, "intercepted", counters[STAT_INTERCEPTED]) &&
	       json_add_u64(to, "passed", counters[STAT_PASSED]);
}

/* Directions of TLS since the start, of which in the kernel. */
static bool add_ktls(cJSON *data, const struct stats_sum *stats)
{
	cJSON *to = cJSON_AddObjectToObject(data, "ktls");
	const uint64_t *c = stats->counters;
	uint64_t kernel = c[STAT_KTLS_CLIENT_RX] + c[STAT_KTLS_CLIENT_TX] +
			  c[STAT_KTLS_UPSTREAM_RX] + c[STAT_KTLS_UPSTREAM_TX];
	uint64_t user = c[STAT_USER_CLIENT_RX] + c[STAT_USER_CLIENT_TX] + c[STAT_USER_UPSTREAM_RX] +
			c[STAT_USER_UPSTREAM_TX];

	return to && json_add_u64(to, "kernel", kernel) &&
	       json_add_u64(to, "directions", kernel + user);
}

static bool add_bytes(cJSON *data, const struct stats_sum *stats)
{
	cJSON *to = cJSON_AddObjectToObject(data, "bytes");

	return to && json_add_u64(to, "to_origin", stats->counters[STAT_BYTES_TO_ORIGIN]) &&
	       json_add_u64(to, "to_client", stats->counters[STAT_BYTES_TO_CLIENT]);
}

static bool add_sampler(cJSON *data, const struct observer_status *observer)
{
	cJSON *to = cJSON_AddObjectToObject(data, "sampler");
	uint64_t troubles = 0;

	for (int i = HTTP_TROUBLE_NONE + 1; i < HTTP_TROUBLES; i++)
		troubles += observer->troubles[i];
	return to && json_add_text(to, "kernel_tls", observer_sampler_name(observer->kernel_tls)) &&
	       json_add_text(to, "plain", observer_sampler_name(observer->plain)) &&
	       json_add_text(to, "user", observer_sampler_name(observer->user)) &&
	       add_string(to, "why", observer->why) &&
	       json_add_u64(to, "dropped", observer->ring_dropped + observer->queue_dropped) &&
	       json_add_u64(to, "lost_bytes", observer->lost_bytes) &&
	       json_add_u64(to, "troubles", troubles) &&
	       json_add_u64(to, "not_http", observer->not_http);
}

/* Latencies of everything */

static bool add_bucket(cJSON *array, const struct histogram *h, uint32_t i)
{
	const double bucket[3] = {
		(double)ksplit_histogram_floor(h->first + i, HISTOGRAM_BITS),
		(double)ksplit_histogram_floor(h->first + i + 1, HISTOGRAM_BITS),
		h->counts[i],
	};
	cJSON *item = cJSON_CreateDoubleArray(bucket, 3);

	return item && cJSON_AddItemToArray(array, item);
}

static bool add_latency(cJSON *data, const struct aggregate_snapshot *aggregate)
{
	cJSON *array = cJSON_AddArrayToObject(data, "latency");
	struct histogram sum;
	bool ok = array != NULL;

	histogram_init(&sum);
	for (size_t i = 0; ok && i < aggregate->series_len; i++)
		ok = histogram_merge(&sum, &aggregate->series[i].last_byte_us) == 0;
	for (uint32_t i = 0; ok && i < sum.len; i++) {
		if (sum.counts[i])
			ok = add_bucket(array, &sum, i);
	}
	histogram_free(&sum);
	return ok;
}

/* All failures, as `requests` of the snapshot is all requests. */
static uint64_t count_failures(const struct aggregate_snapshot *aggregate)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < aggregate->series_len; i++)
		sum += aggregate->series[i].failures;
	return sum;
}

/* Series and endpoints */

static bool add_quantiles(cJSON *to, const struct histogram *h)
{
	if (h->count == 0)
		return true;
	return add_double(to, "p50_us", histogram_quantile(h, 0.5)) &&
	       add_double(to, "p90_us", histogram_quantile(h, 0.9)) &&
	       add_double(to, "p99_us", histogram_quantile(h, 0.99));
}

static bool add_server(cJSON *to, const char *name, size_t max, const union conn_address *address)
{
	struct attribute_address peer;

	attribute_address(address, &peer);
	return json_add_foreign(to, "server", name, max) && add_string(to, "address", peer.host) &&
	       add_string(to, "port", peer.port);
}

static bool add_key(cJSON *to, const struct series_key *key)
{
	char text[ATTRIBUTE_NUMBER_MAX];

	return json_add_text(to, "direction", attribute_direction(key->direction)) &&
	       add_server(to, key->server_name, sizeof(key->server_name), &key->endpoint) &&
	       json_add_foreign(to, "method", key->method, sizeof(key->method)) &&
	       add_string(to, "scheme", attribute_scheme(!key->tls_version)) &&
	       json_add_foreign(to, "uri", key->uri, sizeof(key->uri)) &&
	       json_add_u64(to, "status", key->status > 0 ? (uint64_t)key->status : 0) &&
	       add_string(to, "grpc", attribute_grpc_status(key->grpc_status, text)) &&
	       add_string(to, "http", attribute_http_version(key->version)) &&
	       add_string(to, "tls", attribute_tls_version(key->tls_version, text)) &&
	       json_add_foreign(to, "command", key->command, sizeof(key->command)) &&
	       json_add_foreign(to, "unit", key->unit, sizeof(key->unit));
}

static bool add_series(cJSON *array, const struct series *series)
{
	cJSON *to = cJSON_CreateObject();

	if (to && (series->other ? json_add_bool(to, "other", true) : add_key(to, &series->key)) &&
	    json_add_u64(to, "count", series->count) &&
	    json_add_u64(to, "failures", series->failures) &&
	    add_double(to, "per_second", series->per_second) &&
	    json_add_u64(to, "request_bytes", series->request_bytes.sum) &&
	    json_add_u64(to, "response_bytes", series->response_bytes.sum) &&
	    add_quantiles(to, &series->last_byte_us) && cJSON_AddItemToArray(array, to))
		return true;
	cJSON_Delete(to);
	return false;
}

static int compare_heavier(const void *a, const void *b)
{
	const struct series *left = *(const struct series *const *)a;
	const struct series *right = *(const struct series *const *)b;

	if (left->count != right->count)
		return left->count < right->count ? 1 : -1;
	return left < right ? -1 : 1;
}

static bool add_all_series(cJSON *data, const struct aggregate_snapshot *aggregate)
{
	size_t len = aggregate->series_len;
	const struct series **order = calloc(len + 1, sizeof(*order));
	cJSON *array = cJSON_AddArrayToObject(data, "series");
	bool ok = order && array && json_add_u64(data, "series_total", len) &&
		  json_add_u64(data, "series_limit", aggregate->max_series) &&
		  json_add_u64(data, "series_evicted", aggregate->series_evicted);

	for (size_t i = 0; ok && i < len; i++)
		order[i] = &aggregate->series[i];
	if (ok)
		qsort(order, len, sizeof(*order), compare_heavier);
	for (size_t i = 0; ok && i < len && i < METRICS_JSON_SERIES_MAX; i++)
		ok = add_series(array, order[i]);
	free(order);
	return ok;
}

static bool is_of_endpoint(const struct series *series, const struct endpoint *endpoint)
{
	const union conn_address *a = &series->key.endpoint, *b = &endpoint->address;

	if (series->other != endpoint->other)
		return false;
	if (endpoint->other)
		return true;
	if (series->key.direction != endpoint->direction || a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return a->in6.sin6_port == b->in6.sin6_port &&
		       !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

/* Of all requests to it that have a series of their own. */
static bool add_endpoint_latency(cJSON *to, const struct aggregate_snapshot *aggregate,
				 const struct endpoint *endpoint)
{
	struct histogram sum;
	bool ok = true;

	histogram_init(&sum);
	for (size_t i = 0; ok && i < aggregate->series_len; i++) {
		if (is_of_endpoint(&aggregate->series[i], endpoint))
			ok = histogram_merge(&sum, &aggregate->series[i].last_byte_us) == 0;
	}
	ok = ok && add_quantiles(to, &sum);
	histogram_free(&sum);
	return ok;
}

static bool add_median(cJSON *to, const char *name, const struct histogram *h)
{
	return h->count == 0 || add_double(to, name, histogram_quantile(h, 0.5));
}

static bool add_endpoint(cJSON *array, const struct aggregate_snapshot *aggregate,
			 const struct endpoint *endpoint)
{
	cJSON *to = cJSON_CreateObject();
	bool ok = to && json_add_bool(to, "other", endpoint->other) &&
		  json_add_text(to, "direction", attribute_direction(endpoint->direction)) &&
		  add_server(to, endpoint->server_name, sizeof(endpoint->server_name),
			     &endpoint->address) &&
		  json_add_u64(to, "connections", endpoint->connections) &&
		  json_add_u64(to, "open", endpoint->open) &&
		  json_add_u64(to, "passed", endpoint->passed) &&
		  json_add_u64(to, "failed", endpoint->failed) &&
		  json_add_u64(to, "requests", endpoint->requests) &&
		  json_add_u64(to, "failures", endpoint->failures) &&
		  json_add_u64(to, "bytes_to_origin", endpoint->bytes_to_origin) &&
		  json_add_u64(to, "bytes_to_client", endpoint->bytes_to_client) &&
		  json_add_u64(to, "kernel_directions", endpoint->kernel_directions) &&
		  json_add_u64(to, "directions", endpoint->directions) &&
		  json_add_u64(to, "retransmits", endpoint->retransmits);

	ok = ok && add_median(to, "rtt_us", &endpoint->rtt_us) &&
	     add_median(to, "connect_us", &endpoint->connect_us) &&
	     add_median(to, "handshake_us", &endpoint->upstream_handshake_us) &&
	     add_endpoint_latency(to, aggregate, endpoint);
	if (ok && cJSON_AddItemToArray(array, to))
		return true;
	cJSON_Delete(to);
	return false;
}

static bool add_endpoints(cJSON *data, const struct aggregate_snapshot *aggregate)
{
	cJSON *array = cJSON_AddArrayToObject(data, "endpoints");
	bool ok = array != NULL;

	for (size_t i = 0; ok && i < aggregate->endpoints_len; i++)
		ok = add_endpoint(array, aggregate, &aggregate->endpoints[i]);
	return ok;
}

char *metrics_json(const struct metrics_moment *moment)
{
	cJSON *data = cJSON_CreateObject();
	char *text = NULL;

	if (data && add_daemon(data, moment) && add_connections(data, moment) &&
	    add_ktls(data, &moment->stats) && add_bytes(data, &moment->stats) &&
	    add_sampler(data, &moment->observer) &&
	    json_add_u64(data, "requests", moment->aggregate.requests) &&
	    json_add_u64(data, "failures", count_failures(&moment->aggregate)) &&
	    add_latency(data, &moment->aggregate) && add_all_series(data, &moment->aggregate) &&
	    add_endpoints(data, &moment->aggregate))
		text = cJSON_PrintUnformatted(data);
	cJSON_Delete(data);
	return text;
}
