// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_point.h"

#include <inttypes.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>

#include <ksplit/histogram.h>

#include "export/json_add.h"

#define CUMULATIVE 2 /* AGGREGATION_TEMPORALITY_CUMULATIVE, metrics.proto */
#define MICRO      1e6
#define BOUNDS_MAX 32

/* -- attributes ---------------------------------------------------------------------------------
 */

/* The KeyValue is freed when memory runs out; `value` is owned by it. */
static bool attribute_add(cJSON *attributes, const char *key, cJSON *value)
{
	cJSON *pair = attributes ? cJSON_CreateObject() : NULL;

	if (!pair) {
		cJSON_Delete(value);
		return false;
	}
	if (json_add_item(pair, "value", value) && json_add_text(pair, "key", key) &&
	    cJSON_AddItemToArray(attributes, pair))
		return true;
	cJSON_Delete(pair);
	return false;
}

bool otlp_attribute_text(cJSON *attributes, const char *key, const char *value)
{
	cJSON *any = cJSON_CreateObject();

	if (!json_add_text(any, "stringValue", value)) {
		cJSON_Delete(any);
		return false;
	}
	return attribute_add(attributes, key, any);
}

bool otlp_attribute_int(cJSON *attributes, const char *key, int64_t value)
{
	cJSON *any = cJSON_CreateObject();
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	if (!json_add_text(any, "intValue", text)) {
		cJSON_Delete(any);
		return false;
	}
	return attribute_add(attributes, key, any);
}

bool otlp_attribute_bool(cJSON *attributes, const char *key, bool value)
{
	cJSON *any = cJSON_CreateObject();

	if (!json_add_bool(any, "boolValue", value)) {
		cJSON_Delete(any);
		return false;
	}
	return attribute_add(attributes, key, any);
}

bool otlp_attribute_foreign(cJSON *attributes, const char *key, const char *value, size_t len)
{
	cJSON *any;

	len = strnlen(value, len);
	if (len == 0)
		return true;
	any = cJSON_CreateObject();
	if (!json_add_foreign(any, "stringValue", value, len)) {
		cJSON_Delete(any);
		return false;
	}
	return attribute_add(attributes, key, any);
}

char *otlp_attributes_print(cJSON *attributes)
{
	char *text = attributes ? cJSON_PrintUnformatted(attributes) : NULL;

	cJSON_Delete(attributes);
	return text;
}

/* -- metrics ------------------------------------------------------------------------------------
 */

/* The array of data points, owned by `metric`. */
static cJSON *metric_fill(cJSON *metric, const struct otlp_metric *what)
{
	cJSON *data = cJSON_CreateObject(), *points = NULL;
	bool histogram = what->kind == OTLP_HISTOGRAM;

	if (!json_add_text(metric, "name", what->name) ||
	    !json_add_text(metric, "description", what->description) ||
	    !json_add_text(metric, "unit", what->unit)) {
		cJSON_Delete(data);
		return NULL;
	}
	if (!json_add_item(metric, histogram ? "histogram" : "sum", data) ||
	    !cJSON_AddNumberToObject(data, "aggregationTemporality", CUMULATIVE) ||
	    (!histogram && !json_add_bool(data, "isMonotonic", what->kind == OTLP_COUNTER)))
		return NULL;
	points = cJSON_CreateArray();
	return json_add_item(data, "dataPoints", points) ? points : NULL;
}

cJSON *otlp_metric_add(cJSON *metrics, const struct otlp_metric *metric)
{
	cJSON *object = metrics ? cJSON_CreateObject() : NULL;
	cJSON *points = object ? metric_fill(object, metric) : NULL;

	if (points && cJSON_AddItemToArray(metrics, object))
		return points;
	cJSON_Delete(object);
	return NULL;
}

/* -- data points --------------------------------------------------------------------------------
 */

static bool add_u64(cJSON *to, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_add_text(to, name, text);
}

static bool add_double(cJSON *to, const char *name, double value)
{
	return to && cJSON_AddNumberToObject(to, name, value);
}

static bool add_time(cJSON *to, const char *name, int64_t wall_ms)
{
	return add_u64(to, name, wall_ms > 0 ? (uint64_t)wall_ms * 1000000 : 0);
}

/* A point counts what came after its start (metrics.proto: start < time). */
static cJSON *point_new(const struct otlp_point *point)
{
	int64_t start_ms = point->start_ms < point->time_ms ? point->start_ms : point->time_ms - 1;
	cJSON *object = cJSON_CreateObject();

	if (add_time(object, "startTimeUnixNano", start_ms) &&
	    add_time(object, "timeUnixNano", point->time_ms) &&
	    json_add_item(object, "attributes",
			  point->attributes ? cJSON_CreateRaw(point->attributes) : NULL))
		return object;
	cJSON_Delete(object);
	return NULL;
}

/* `ok`: the point is complete. */
static bool point_append(cJSON *points, cJSON *point, bool ok)
{
	if (ok && points && point && cJSON_AddItemToArray(points, point))
		return true;
	cJSON_Delete(point);
	return false;
}

bool otlp_point_number(cJSON *points, const struct otlp_point *point, uint64_t value)
{
	cJSON *object = point_new(point);

	return point_append(points, object, add_u64(object, "asInt", value));
}

static uint64_t bucket_middle(uint32_t bucket)
{
	uint64_t floor = ksplit_histogram_floor(bucket, HISTOGRAM_BITS);
	uint64_t next = ksplit_histogram_floor(bucket + 1, HISTOGRAM_BITS);

	return next > floor ? floor + (next - 1 - floor) / 2 : floor;
}

/* Values of each explicit bucket (bounds->len + 1), upper bounds inclusive. */
static void buckets_count(const struct histogram *h, const struct otlp_bounds *bounds,
			  uint64_t *counts)
{
	uint64_t placed = 0;
	size_t at = 0;

	memset(counts, 0, (bounds->len + 1) * sizeof(*counts));
	for (uint32_t i = 0; i < h->len; i++) {
		while (at < bounds->len && bucket_middle(h->first + i) > bounds->us[at])
			at++;
		if (at == bounds->len)
			break;
		counts[at] += h->counts[i];
		placed += h->counts[i];
	}
	counts[bounds->len] = h->count > placed ? h->count - placed : 0;
}

static bool add_buckets(cJSON *to, const struct histogram *h, const struct otlp_bounds *bounds)
{
	cJSON *counts = cJSON_CreateArray(), *limits = cJSON_CreateArray();
	bool ok = json_add_item(to, "bucketCounts", counts);
	uint64_t n[BOUNDS_MAX + 1];
	char text[24];

	ok = json_add_item(to, "explicitBounds", limits) && ok;
	if (!ok)
		return false;
	buckets_count(h, bounds, n);
	for (size_t i = 0; ok && i <= bounds->len; i++) {
		cJSON *item;

		snprintf(text, sizeof(text), "%" PRIu64, n[i]);
		item = cJSON_CreateString(text);
		ok = item && cJSON_AddItemToArray(counts, item);
	}
	for (size_t i = 0; ok && i < bounds->len; i++) {
		cJSON *item = cJSON_CreateNumber((double)bounds->us[i] / MICRO);

		ok = item && cJSON_AddItemToArray(limits, item);
	}
	return ok;
}

bool otlp_point_histogram(cJSON *points, const struct otlp_point *point, const struct histogram *h,
			  const struct otlp_bounds *bounds)
{
	cJSON *object;

	if (h->count == 0)
		return true;
	if (bounds->len > BOUNDS_MAX)
		return false;
	object = point_new(point);
	return point_append(points, object,
			    add_u64(object, "count", h->count) &&
				    add_double(object, "sum", (double)h->sum / MICRO) &&
				    add_double(object, "min", (double)h->min / MICRO) &&
				    add_double(object, "max", (double)h->max / MICRO) &&
				    add_buckets(object, h, bounds));
}

bool otlp_point_summed(cJSON *points, const struct otlp_point *point,
		       const struct aggregate_sum *sum, uint64_t count)
{
	cJSON *object = point_new(point);

	return point_append(points, object,
			    add_u64(object, "count", count) &&
				    add_double(object, "sum", (double)sum->sum) &&
				    add_double(object, "min", (double)sum->min) &&
				    add_double(object, "max", (double)sum->max));
}
