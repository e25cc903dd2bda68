/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_JSON_H
#define KSPLIT_EXPORT_OTLP_JSON_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "export/metrics_source.h"

/*
 * What ksplit knows as an OTLP ExportMetricsServiceRequest, JSON encoding, names of the
 * OpenTelemetry semantic conventions where there are any, "ksplit." otherwise (docs/metrics.md,
 * "OpenTelemetry"). All is cumulative. Only aggregates: of a request's URI nothing but its
 * template.
 */

/* One moment's figures; nothing is owned. */
struct otlp_input {
	const struct aggregate_snapshot *snapshot;
	const struct stats_sum *stats;
	const struct control_summary *summary;
	const struct observer_status *observer;
	const char *host; /* host.name */
};

/*
 * A request carries at most this many series, and as many endpoints: receivers limit the size of a
 * request (the OpenTelemetry Collector: 20 MiB), and memory for building one stays small.
 */
#define OTLP_PART_SERIES 512

/* How many requests this moment takes, at least 1; each is complete by itself. */
size_t otlp_json_parts(const struct aggregate_snapshot *snapshot);

/*
 * Request `part` of otlp_json_parts(); the first has the daemon's own figures too. Caller frees
 * with cJSON_free; NULL: no memory.
 */
char *otlp_json_request(const struct otlp_input *input, size_t part);

/* -- the parts of it, each in a file of its own -------------------------------------------------
 */

/* A range of series or endpoints. */
struct otlp_range {
	size_t first, end;
};

/* Append metrics to the array; false: no memory. */
bool otlp_series_add(cJSON *metrics, const struct aggregate_snapshot *snapshot,
		     const struct otlp_range *range);
bool otlp_endpoints_add(cJSON *metrics, const struct aggregate_snapshot *snapshot,
			const struct otlp_range *range);
bool otlp_daemon_add(cJSON *metrics, const struct otlp_input *input);

/* "server.address", "server.port", "network.peer.address", "network.peer.port". */
bool otlp_attribute_server(cJSON *attributes, const char *name, size_t name_len,
			   const union conn_address *address);

/* "ksplit.direction". */
bool otlp_attribute_direction(cJSON *attributes, enum observe_direction direction);

#endif
