/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_POINT_H
#define KSPLIT_EXPORT_OTLP_POINT_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/aggregate.h"
#include "observe/histogram.h"

/*
 * Pieces of an OTLP request in the JSON encoding (opentelemetry-proto, docs/specification.md "JSON
 * Protobuf Encoding"): 64-bit integers are strings, enums are numbers, names are lowerCamelCase.
 * All that return bool give false when memory ran out, and take NULL for an object as that, so that
 * callers make chains of && and throw away what is incomplete.
 */

/* -- attributes: an array of KeyValue -----------------------------------------------------------
 */

bool otlp_attribute_text(cJSON *attributes, const char *key, const char *value);
bool otlp_attribute_int(cJSON *attributes, const char *key, int64_t value);
bool otlp_attribute_bool(cJSON *attributes, const char *key, bool value);

/* A text that a peer chose, fewer than `len` bytes: printable UTF-8 only; empty adds nothing. */
bool otlp_attribute_foreign(cJSON *attributes, const char *key, const char *value, size_t len);

/* The array as text, for the points that share it; frees the array. Caller frees with cJSON_free;
 * NULL: no memory. */
char *otlp_attributes_print(cJSON *attributes);

/* -- metrics ------------------------------------------------------------------------------------
 */

enum otlp_kind {
	OTLP_COUNTER,   /* Sum, cumulative, monotonic */
	OTLP_LEVEL,     /* Sum, cumulative, not monotonic ("UpDownCounter") */
	OTLP_HISTOGRAM, /* Histogram, cumulative */
};

struct otlp_metric {
	const char *name, *unit, *description; /* unit: UCUM */
	enum otlp_kind kind;
};

/* Append a metric; returns its empty array of data points (owned by `metrics`), NULL: no memory. */
cJSON *otlp_metric_add(cJSON *metrics, const struct otlp_metric *metric);

/* -- data points --------------------------------------------------------------------------------
 */

struct otlp_point {
	const char *attributes; /* as otlp_attributes_print made it; borrowed */
	int64_t start_ms;       /* wall clock: when the stream's counting began */
	int64_t time_ms;        /* ... and when it was read */
};

/* Explicit bounds in microseconds, ascending. */
struct otlp_bounds {
	const uint64_t *us;
	size_t len;
};

/* A number of a Sum. */
bool otlp_point_number(cJSON *points, const struct otlp_point *point, uint64_t value);

/*
 * A histogram of microseconds, given in seconds. Each of its log-linear buckets is counted whole,
 * on the side of a bound where its middle is: counts of the explicit buckets then never go down,
 * and add up to `count`; a value within 1/32 of a bound can be on its other side. Nothing for an
 * empty one.
 */
bool otlp_point_histogram(cJSON *points, const struct otlp_point *point,
			  const struct histogram *histogram, const struct otlp_bounds *bounds);

/* `count` values of which sum, least and greatest alone are known: a histogram without buckets. */
bool otlp_point_summed(cJSON *points, const struct otlp_point *point,
		       const struct aggregate_sum *sum, uint64_t count);

#endif
