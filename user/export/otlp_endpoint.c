// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "export/otlp_json.h"
#include "export/otlp_point.h"

/* Microseconds. Networks and handshakes are quicker than requests, connections live longer. */
static const uint64_t network_us[] = {50,    100,   250,    500,    1000,   2500,    5000,   10000,
				      25000, 50000, 100000, 250000, 500000, 1000000, 2500000};
static const struct otlp_bounds network_bounds = {network_us,
						  sizeof(network_us) / sizeof(*network_us)};
static const uint64_t lifetime_us[] = {10000,    100000,    1000000,   10000000,
				       60000000, 300000000, 900000000, 3600000000};
static const struct otlp_bounds lifetime_bounds = {lifetime_us,
						   sizeof(lifetime_us) / sizeof(*lifetime_us)};

/* Where a metric has a figure for each of a few values of one more attribute. */
struct endpoint_metric {
	struct otlp_metric metric;
	const char *key, *value; /* the attribute; NULL: none */
	uint64_t (*count)(const struct endpoint *endpoint);
	const struct histogram *(*histogram)(const struct endpoint *endpoint);
	const struct otlp_bounds *bounds;
};

#define COUNT_OF(name, expression)                                                                 \
	static uint64_t count_##name(const struct endpoint *e)                                     \
	{                                                                                          \
		return expression;                                                                 \
	}
COUNT_OF(connections, e->connections)
COUNT_OF(open, e->open)
COUNT_OF(passed, e->passed)
COUNT_OF(failed, e->failed)
COUNT_OF(to_origin, e->bytes_to_origin)
COUNT_OF(to_client, e->bytes_to_client)
COUNT_OF(splice, e->relayed[CONN_RELAY_SPLICE])
COUNT_OF(copy, e->relayed[CONN_RELAY_COPY])
COUNT_OF(user, e->relayed[CONN_RELAY_USER])
COUNT_OF(raw, e->relayed[CONN_RELAY_RAW])
COUNT_OF(kernel, e->kernel_directions)
COUNT_OF(not_kernel,
	 e->directions > e->kernel_directions ? e->directions - e->kernel_directions : 0)
COUNT_OF(retransmits, e->retransmits)

#define HISTOGRAM_OF(name)                                                                         \
	static const struct histogram *histogram_##name(const struct endpoint *e)                  \
	{                                                                                          \
		return &e->name;                                                                   \
	}
HISTOGRAM_OF(connect_us)
HISTOGRAM_OF(upstream_handshake_us)
HISTOGRAM_OF(client_handshake_us)
HISTOGRAM_OF(leaf_us)
HISTOGRAM_OF(lifetime_us)
HISTOGRAM_OF(rtt_us)

#define COUNTER(name, unit, text, ...)                                                             \
	{                                                                                          \
		.metric = {name, unit, text, OTLP_COUNTER}, __VA_ARGS__                            \
	}
#define LEVEL(name, unit, text, ...)                                                               \
	{                                                                                          \
		.metric = {name, unit, text, OTLP_LEVEL}, __VA_ARGS__                              \
	}
#define HISTOGRAM(name, text, ...)                                                                 \
	{                                                                                          \
		.metric = {name, "s", text, OTLP_HISTOGRAM}, __VA_ARGS__                           \
	}
#define WITH(k, v) .key = k, .value = v

/* Rows of one name are neighbours. */
static const struct endpoint_metric endpoint_metrics[] = {
	COUNTER("ksplit.connections", "{connection}", "Connections to this origin.",
		.count = count_connections),
	LEVEL("ksplit.connection.open", "{connection}", "Of these open at present.",
	      .count = count_open),
	COUNTER("ksplit.connection.passed", "{connection}", "Of these passed through unread.",
		.count = count_passed),
	COUNTER("ksplit.connection.failed", "{connection}",
		"Connections that ended before bytes could flow.", .count = count_failed),
	HISTOGRAM("ksplit.connection.duration", "Lifetime of ended connections.",
		  .histogram = histogram_lifetime_us, .bounds = &lifetime_bounds),
	COUNTER("ksplit.connection.io", "By", "Plaintext bytes of ended connections.",
		WITH("ksplit.flow", "to_origin"), .count = count_to_origin),
	COUNTER("ksplit.connection.io", "By", "", WITH("ksplit.flow", "to_client"),
		.count = count_to_client),
	HISTOGRAM("ksplit.tcp.connect.duration", "TCP connect to the origin.",
		  .histogram = histogram_connect_us, .bounds = &network_bounds),
	HISTOGRAM("ksplit.tls.handshake.duration", "TLS handshakes.", WITH("ksplit.side", "origin"),
		  .histogram = histogram_upstream_handshake_us, .bounds = &network_bounds),
	HISTOGRAM("ksplit.tls.handshake.duration", "", WITH("ksplit.side", "client"),
		  .histogram = histogram_client_handshake_us, .bounds = &network_bounds),
	HISTOGRAM("ksplit.leaf.duration", "Wait for a forged leaf certificate.",
		  .histogram = histogram_leaf_us, .bounds = &network_bounds),
	HISTOGRAM("ksplit.tcp.rtt",
		  "Round trip time to the origin, smoothed, at a connection's end.",
		  .histogram = histogram_rtt_us, .bounds = &network_bounds),
	COUNTER("ksplit.tcp.retransmits", "{segment}", "Segments sent again to the origin.",
		.count = count_retransmits),
	COUNTER("ksplit.relay.flows", "{flow}",
		"Flows, two a connection, by how they were relayed.",
		WITH("ksplit.relay", "splice"), .count = count_splice),
	COUNTER("ksplit.relay.flows", "{flow}", "", WITH("ksplit.relay", "copy"),
		.count = count_copy),
	COUNTER("ksplit.relay.flows", "{flow}", "", WITH("ksplit.relay", "user"),
		.count = count_user),
	COUNTER("ksplit.relay.flows", "{flow}", "", WITH("ksplit.relay", "raw"),
		.count = count_raw),
	COUNTER("ksplit.tls.directions", "{direction}",
		"Directions of TLS, four a connection, by where their keys are.",
		WITH("ksplit.tls.in", "kernel"), .count = count_kernel),
	COUNTER("ksplit.tls.directions", "{direction}", "", WITH("ksplit.tls.in", "user"),
		.count = count_not_kernel),
};

#define METRICS (sizeof(endpoint_metrics) / sizeof(*endpoint_metrics))

static bool fill_attributes(cJSON *attributes, const struct endpoint *endpoint,
			    const struct endpoint_metric *metric)
{
	if (metric->key && !otlp_attribute_text(attributes, metric->key, metric->value))
		return false;
	if (endpoint->other)
		return otlp_attribute_bool(attributes, "otel.metric.overflow", true);
	return otlp_attribute_direction(attributes, endpoint->direction) &&
	       otlp_attribute_server(attributes, endpoint->server_name,
				     sizeof(endpoint->server_name), &endpoint->address);
}

static char *attributes_of(const struct endpoint *endpoint, const struct endpoint_metric *metric)
{
	cJSON *attributes = cJSON_CreateArray();

	if (attributes && fill_attributes(attributes, endpoint, metric))
		return otlp_attributes_print(attributes);
	cJSON_Delete(attributes);
	return NULL;
}

static bool add_point(cJSON *points, const struct aggregate_snapshot *snapshot,
		      const struct endpoint *endpoint, const struct endpoint_metric *metric)
{
	char *attributes = attributes_of(endpoint, metric);
	struct otlp_point point = {
		.attributes = attributes,
		.start_ms = endpoint->other ? snapshot->start_ms : endpoint->first_seen_ms,
		.time_ms = snapshot->time_ms,
	};
	bool ok;

	if (metric->count)
		ok = otlp_point_number(points, &point, metric->count(endpoint));
	else
		ok = otlp_point_histogram(points, &point, metric->histogram(endpoint),
					  metric->bounds);
	cJSON_free(attributes);
	return attributes && ok;
}

bool otlp_endpoints_add(cJSON *metrics, const struct aggregate_snapshot *snapshot,
			const struct otlp_range *range)
{
	cJSON *points = NULL;
	const char *name = NULL;

	if (range->first == range->end)
		return true;
	for (size_t i = 0; i < METRICS; i++) {
		const struct endpoint_metric *metric = &endpoint_metrics[i];

		if (!name || strcmp(metric->metric.name, name) != 0)
			points = otlp_metric_add(metrics, &metric->metric);
		name = metric->metric.name;
		for (size_t k = range->first; k < range->end; k++)
			if (!add_point(points, snapshot, &snapshot->endpoints[k], metric))
				return false;
	}
	return true;
}
