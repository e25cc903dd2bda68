// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "export/attribute.h"
#include "export/otlp_json.h"
#include "export/otlp_point.h"

#define BOTH OBSERVE_DIRECTIONS

/* Advised by the semantic conventions ("HTTP metrics"), in microseconds. */
static const uint64_t duration_us[] = {5000,    10000,   25000,   50000,   75000,
				       100000,  250000,  500000,  750000,  1000000,
				       2500000, 5000000, 7500000, 10000000};
static const struct otlp_bounds duration_bounds = {duration_us,
						   sizeof(duration_us) / sizeof(*duration_us)};

/* -- attributes ---------------------------------------------------------------------------------
 */

/* Names of gRPC's status codes (grpc/doc/statuscodes.md). */
static const char *grpc_name(int status, char *buf, size_t len)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	if (status >= 0 && (size_t)status < sizeof(names) / sizeof(*names))
		return names[status];
	snprintf(buf, len, "%d", status);
	return buf;
}

/*
 * "error.type", where the conventions want it: a client's call failed with a status of 400 and
 * above, a server's with 500 and above; a gRPC call with a status other than OK; a call without an
 * answer.
 */
static bool add_error(cJSON *attributes, const struct series_key *key)
{
	int least = key->direction == OBSERVE_INCOMING ? 500 : 400;
	char text[16];

	if (key->status == 0)
		return otlp_attribute_text(attributes, "error.type", "no_response");
	if (key->grpc_status > 0)
		return otlp_attribute_text(attributes, "error.type",
					   grpc_name(key->grpc_status, text, sizeof(text)));
	if (key->status < least)
		return true;
	snprintf(text, sizeof(text), "%d", key->status);
	return otlp_attribute_text(attributes, "error.type", text);
}

static bool add_http(cJSON *attributes, const struct series_key *key)
{
	const char *version = key->version == OBSERVE_HTTP_2     ? "2"
			      : key->version == OBSERVE_HTTP_1_0 ? "1.0"
								 : "1.1";
	const char *uri = key->direction == OBSERVE_INCOMING ? "http.route" : "url.template";

	return otlp_attribute_foreign(attributes, "http.request.method", key->method,
				      sizeof(key->method)) &&
	       otlp_attribute_text(attributes, "url.scheme",
				   attribute_scheme(!key->tls_version)) &&
	       otlp_attribute_foreign(attributes, uri, key->uri, sizeof(key->uri)) &&
	       (key->status == 0 ||
		otlp_attribute_int(attributes, "http.response.status_code", key->status)) &&
	       otlp_attribute_text(attributes, "network.protocol.name", "http") &&
	       otlp_attribute_text(attributes, "network.protocol.version", version) &&
	       (key->grpc_status < 0 ||
		otlp_attribute_int(attributes, "rpc.grpc.status_code", key->grpc_status)) &&
	       add_error(attributes, key);
}

static bool add_tls(cJSON *attributes, const struct series_key *key)
{
	const char *suite = conn_suite_name(key->tls_suite);
	char number[8], version[8];

	if (key->tls_version == 0)
		return true;
	snprintf(number, sizeof(number), "0x%04x", key->tls_suite);
	/* 0x0303 is 1.2, 0x0304 is 1.3 (RFC 8446 4.2.1). */
	snprintf(version, sizeof(version), "1.%d", (key->tls_version & 0xff) - 1);
	return otlp_attribute_text(attributes, "tls.protocol.name", "tls") &&
	       otlp_attribute_text(attributes, "tls.protocol.version", version) &&
	       otlp_attribute_text(attributes, "tls.cipher", suite ? suite : number);
}

static bool fill_attributes(cJSON *attributes, const struct series *series)
{
	const struct series_key *key = &series->key;

	/* What SDKs call the rest behind a limit on attributes ("Metrics SDK", overflow attribute).
	 */
	if (series->other)
		return otlp_attribute_bool(attributes, "otel.metric.overflow", true);
	return otlp_attribute_direction(attributes, key->direction) &&
	       otlp_attribute_server(attributes, key->server_name, sizeof(key->server_name),
				     &key->endpoint) &&
	       add_http(attributes, key) && add_tls(attributes, key) &&
	       otlp_attribute_foreign(attributes, "process.command", key->command,
				      sizeof(key->command)) &&
	       otlp_attribute_foreign(attributes, "ksplit.process.unit", key->unit,
				      sizeof(key->unit));
}

/* Every member of the key is in it, so that no two series are one stream. NULL: no memory. */
static char *attributes_of(const struct series *series)
{
	cJSON *attributes = cJSON_CreateArray();

	if (attributes && fill_attributes(attributes, series))
		return otlp_attributes_print(attributes);
	cJSON_Delete(attributes);
	return NULL;
}

/* -- metrics ------------------------------------------------------------------------------------
 */

static bool add_duration(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_histogram(points, point, &s->last_byte_us, &duration_bounds);
}

static bool add_first_byte(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_histogram(points, point, &s->first_byte_us, &duration_bounds);
}

static bool add_request_body(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_summed(points, point, &s->request_body, s->count);
}

static bool add_response_body(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_summed(points, point, &s->response_body, s->count);
}

static bool add_requests(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_number(points, point, s->count);
}

static bool add_failures(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_number(points, point, s->failures);
}

static bool add_request_bytes(cJSON *points, const struct otlp_point *point, const struct series *s)
{
	return otlp_point_number(points, point, s->request_bytes.sum);
}

static bool add_response_bytes(cJSON *points, const struct otlp_point *point,
			       const struct series *s)
{
	return otlp_point_number(points, point, s->response_bytes.sum);
}

struct series_metric {
	struct otlp_metric metric;
	enum observe_direction direction; /* or BOTH */
	bool (*add)(cJSON *points, const struct otlp_point *point, const struct series *series);
};

static const struct series_metric series_metrics[] = {
	{{"http.client.request.duration", "s",
	  "From a request's first byte to its response's last.", OTLP_HISTOGRAM},
	 OBSERVE_OUTGOING,
	 add_duration},
	{{"http.server.request.duration", "s",
	  "From a request's first byte to its response's last.", OTLP_HISTOGRAM},
	 OBSERVE_INCOMING,
	 add_duration},
	{{"http.client.request.body.size", "By", "Body bytes as they went over the stream.",
	  OTLP_HISTOGRAM},
	 OBSERVE_OUTGOING,
	 add_request_body},
	{{"http.server.request.body.size", "By", "Body bytes as they went over the stream.",
	  OTLP_HISTOGRAM},
	 OBSERVE_INCOMING,
	 add_request_body},
	{{"http.client.response.body.size", "By", "Body bytes as they went over the stream.",
	  OTLP_HISTOGRAM},
	 OBSERVE_OUTGOING,
	 add_response_body},
	{{"http.server.response.body.size", "By", "Body bytes as they went over the stream.",
	  OTLP_HISTOGRAM},
	 OBSERVE_INCOMING,
	 add_response_body},
	{{"ksplit.http.time_to_first_byte", "s",
	  "From a request's first byte to the first of its final response.", OTLP_HISTOGRAM},
	 BOTH,
	 add_first_byte},
	{{"ksplit.http.requests", "{request}", "Requests, also those without a whole response.",
	  OTLP_COUNTER},
	 BOTH,
	 add_requests},
	{{"ksplit.http.failures", "{request}",
	  "Requests with no response, a status of 500 and above, or a gRPC status other than OK.",
	  OTLP_COUNTER},
	 BOTH,
	 add_failures},
	{{"ksplit.http.request.bytes", "By", "Whole requests, heads and bodies.", OTLP_COUNTER},
	 BOTH,
	 add_request_bytes},
	{{"ksplit.http.response.bytes", "By", "Whole responses, heads and bodies.", OTLP_COUNTER},
	 BOTH,
	 add_response_bytes},
};

#define METRICS (sizeof(series_metrics) / sizeof(*series_metrics))

/* "other" holds both directions; it goes with the outgoing ones. */
static bool is_of(const struct series_metric *metric, const struct series *series)
{
	enum observe_direction direction = series->other ? OBSERVE_OUTGOING : series->key.direction;

	return metric->direction == BOTH || metric->direction == direction;
}

/* points[] are the arrays of data points, made when a metric's first point comes. */
static bool add_series(cJSON *metrics, cJSON **points, const struct otlp_point *point,
		       const struct series *series)
{
	for (size_t i = 0; i < METRICS; i++) {
		const struct series_metric *metric = &series_metrics[i];

		if (!is_of(metric, series))
			continue;
		if (!points[i])
			points[i] = otlp_metric_add(metrics, &metric->metric);
		if (!metric->add(points[i], point, series))
			return false;
	}
	return true;
}

bool otlp_series_add(cJSON *metrics, const struct aggregate_snapshot *snapshot,
		     const struct otlp_range *range)
{
	cJSON *points[METRICS] = {NULL};
	bool ok = true;

	for (size_t i = range->first; ok && i < range->end; i++) {
		const struct series *series = &snapshot->series[i];
		char *attributes = attributes_of(series);
		struct otlp_point point = {
			.attributes = attributes,
			.start_ms = series->other ? snapshot->start_ms : series->first_seen_ms,
			.time_ms = snapshot->time_ms,
		};

		ok = attributes && add_series(metrics, points, &point, series);
		cJSON_free(attributes);
	}
	return ok;
}
