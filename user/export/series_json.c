// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/series_json.h"

#include "export/attribute.h"
#include "export/conn_json.h"
#include "export/figure_json.h"
#include "export/json_add.h"

const char *series_json_http_version(enum observe_http_version version)
{
	switch (version) {
	case OBSERVE_HTTP_1_0: return "1.0";
	case OBSERVE_HTTP_1_1: return "1.1";
	case OBSERVE_HTTP_2: return "2";
	}
	return NULL;
}

const char *series_json_direction(enum observe_direction direction)
{
	return direction == OBSERVE_INCOMING ? "incoming" : "outgoing";
}

#define FOREIGN(to, name, array) json_add_foreign(to, name, array, sizeof(array))

/* A number, or null where there is none. */
static bool add_number_if(cJSON *to, const char *name, bool known, uint64_t value)
{
	return known ? json_add_u64(to, name, value) : json_add_text(to, name, NULL);
}

static bool add_request_key(cJSON *to, const struct series *series)
{
	const struct series_key *key = &series->key;
	const bool other = series->other;

	return FOREIGN(to, "http.uri", key->uri) &&
	       FOREIGN(to, "http.request_method", key->method) &&
	       add_number_if(to, "http.status_code", !other && key->status > 0,
			     (uint64_t)key->status) &&
	       json_add_text(to, "http.version",
			     other ? NULL : series_json_http_version(key->version)) &&
	       json_add_text(to, "url.scheme",
			     other ? NULL : attribute_scheme(!key->tls_version)) &&
	       add_number_if(to, "rpc.grpc.status_code", !other && key->grpc_status >= 0,
			     (uint64_t)key->grpc_status);
}

static bool add_conn_key(cJSON *to, const struct series *series)
{
	const struct series_key *key = &series->key;

	return json_add_text(to, "direction",
			     series->other ? NULL : series_json_direction(key->direction)) &&
	       FOREIGN(to, "server.name", key->server_name) &&
	       conn_json_add_address(to, "server.address", &key->endpoint) &&
	       json_add_text(to, "tls.version",
			     key->tls_version ? conn_version_name(key->tls_version) : NULL) &&
	       conn_json_add_suite(to, "tls.cipher", key->tls_suite) &&
	       FOREIGN(to, "process.command", key->command) &&
	       add_number_if(to, "process.pid", series->pid != 0, series->pid) &&
	       FOREIGN(to, "process.unit", key->unit);
}

static bool add_request_figures(cJSON *to, const struct series *series)
{
	return json_add_u64(to, "http.request_response.count", series->count) &&
	       json_add_u64(to, "http.request_response.failures", series->failures) &&
	       figure_json_real(to, "http.request_response.throughput", series->per_second) &&
	       figure_json_latency(to, "http.request_response.latency", &series->last_byte_us) &&
	       figure_json_latency(to, "http.request_response.first_byte", &series->first_byte_us);
}

static bool add_sizes(cJSON *to, const struct series *series)
{
	const uint64_t count = series->count;

	return figure_json_sum(to, "http.request.bytes", &series->request_bytes, count) &&
	       figure_json_sum(to, "http.response.bytes", &series->response_bytes, count) &&
	       figure_json_sum(to, "http.request.body_bytes", &series->request_body, count) &&
	       figure_json_sum(to, "http.response.body_bytes", &series->response_body, count);
}

static bool add_seen(cJSON *to, int64_t first_ms, int64_t last_ms)
{
	return json_add_time(to, "first_seen", first_ms) && json_add_time(to, "last_seen", last_ms);
}

static cJSON *whole_or_nothing(cJSON *object, bool whole)
{
	if (whole)
		return object;
	cJSON_Delete(object);
	return NULL;
}

cJSON *series_json(const struct series *series)
{
	cJSON *object = cJSON_CreateObject();

	return whole_or_nothing(
		object, json_add_bool(object, "other", series->other) &&
				add_request_key(object, series) && add_conn_key(object, series) &&
				add_request_figures(object, series) && add_sizes(object, series) &&
				add_seen(object, series->first_seen_ms, series->last_seen_ms));
}

static bool add_connections(cJSON *to, const struct endpoint *endpoint)
{
	cJSON *object = cJSON_AddObjectToObject(to, "connections");

	return object && json_add_u64(object, "total", endpoint->connections) &&
	       json_add_u64(object, "open", endpoint->open) &&
	       json_add_u64(object, "passed", endpoint->passed) &&
	       json_add_u64(object, "failed", endpoint->failed) &&
	       figure_json_real(object, "per_second", endpoint->connections_per_second);
}

static bool add_bytes(cJSON *to, const struct endpoint *endpoint)
{
	cJSON *object = cJSON_AddObjectToObject(to, "bytes");

	return object && json_add_u64(object, "to_origin", endpoint->bytes_to_origin) &&
	       json_add_u64(object, "to_client", endpoint->bytes_to_client);
}

static bool add_relays(cJSON *to, const struct endpoint *endpoint)
{
	cJSON *object = cJSON_AddObjectToObject(to, "relays");
	bool ok = object != NULL;

	for (int i = 0; ok && i <= CONN_RELAY_RAW; i++)
		ok = json_add_u64(object, conn_relay_name((enum conn_relay)i),
				  endpoint->relayed[i]);
	return ok;
}

static bool add_ktls_share(cJSON *to, const struct endpoint *endpoint)
{
	cJSON *object = cJSON_AddObjectToObject(to, "ktls");
	const double all = (double)endpoint->directions;

	return object && json_add_u64(object, "directions", endpoint->directions) &&
	       json_add_u64(object, "kernel", endpoint->kernel_directions) &&
	       (endpoint->directions ? figure_json_real(object, "share",
							(double)endpoint->kernel_directions / all)
				     : json_add_text(object, "share", NULL));
}

static bool add_endpoint_times(cJSON *to, const struct endpoint *endpoint)
{
	return figure_json_times(to, "connect_ms", &endpoint->connect_us) &&
	       figure_json_times(to, "upstream_handshake_ms", &endpoint->upstream_handshake_us) &&
	       figure_json_times(to, "client_handshake_ms", &endpoint->client_handshake_us) &&
	       figure_json_times(to, "leaf_ms", &endpoint->leaf_us) &&
	       figure_json_times(to, "lifetime_ms", &endpoint->lifetime_us) &&
	       figure_json_times(to, "rtt_ms", &endpoint->rtt_us) &&
	       json_add_u64(to, "retransmits", endpoint->retransmits);
}

cJSON *series_json_endpoint(const struct endpoint *endpoint)
{
	cJSON *object = cJSON_CreateObject();

	return whole_or_nothing(
		object,
		json_add_bool(object, "other", endpoint->other) &&
			conn_json_add_address(object, "server.address", &endpoint->address) &&
			FOREIGN(object, "server.name", endpoint->server_name) &&
			json_add_text(object, "direction",
				      endpoint->other
					      ? NULL
					      : series_json_direction(endpoint->direction)) &&
			add_connections(object, endpoint) &&
			json_add_u64(object, "requests", endpoint->requests) &&
			json_add_u64(object, "failures", endpoint->failures) &&
			add_bytes(object, endpoint) && add_relays(object, endpoint) &&
			add_ktls_share(object, endpoint) && add_endpoint_times(object, endpoint) &&
			add_seen(object, endpoint->first_seen_ms, endpoint->last_seen_ms));
}
