// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>

#include "export/answer.h"
#include "export/json_add.h"
#include "export/observer_json.h"
#include "export/series_json.h"

/*
 * The most objects of one answer: some 20 MB, which a reader takes (64 MiB) and the daemon can
 * spare for a moment. The heaviest come first.
 */
#define ROWS_MAX 10000

/* Greater counts first, "other" last. */
static int compare(bool a_other, uint64_t a, bool b_other, uint64_t b)
{
	if (a_other != b_other)
		return a_other ? 1 : -1;
	return a == b ? 0 : a > b ? -1 : 1;
}

static int compare_series(const void *a, const void *b)
{
	const struct series *one = a, *two = b;

	return compare(one->other, one->count, two->other, two->count);
}

static int compare_endpoints(const void *a, const void *b)
{
	const struct endpoint *one = a, *two = b;

	return compare(one->other, one->connections, two->other, two->connections);
}

/* As text at once: a tree of all of them would take ten times the memory. */
static bool add_row(cJSON *array, cJSON *row)
{
	char *text = row ? cJSON_PrintUnformatted(row) : NULL;
	cJSON *raw = text ? cJSON_CreateRaw(text) : NULL;

	cJSON_Delete(row);
	cJSON_free(text);
	return raw && cJSON_AddItemToArray(array, raw);
}

/* Is a row left out? Not "other", so that sums stay whole. */
static bool left_out(size_t i, size_t len, bool other)
{
	return i >= ROWS_MAX && !(other && i == len - 1);
}

static bool add_series(cJSON *data, const struct aggregate_snapshot *snapshot)
{
	cJSON *array = cJSON_AddArrayToObject(data, "series");
	bool ok = array != NULL;

	for (size_t i = 0; ok && i < snapshot->series_len; i++)
		ok = left_out(i, snapshot->series_len, snapshot->series[i].other) ||
		     add_row(array, series_json(&snapshot->series[i]));
	return ok;
}

static bool add_endpoints(cJSON *data, const struct aggregate_snapshot *snapshot)
{
	cJSON *array = cJSON_AddArrayToObject(data, "endpoints");
	bool ok = array != NULL;

	for (size_t i = 0; ok && i < snapshot->endpoints_len; i++)
		ok = left_out(i, snapshot->endpoints_len, snapshot->endpoints[i].other) ||
		     add_row(array, series_json_endpoint(&snapshot->endpoints[i]));
	return ok;
}

static bool add_times(cJSON *data, const struct aggregate_snapshot *snapshot)
{
	return json_add_time(data, "time", snapshot->time_ms) &&
	       json_add_time(data, "start_time", snapshot->start_ms) &&
	       json_add_u64(data, "memory_bytes", snapshot->memory);
}

static bool add_requests(cJSON *data, struct aggregate_snapshot *snapshot)
{
	if (snapshot->series_len)
		qsort(snapshot->series, snapshot->series_len, sizeof(*snapshot->series),
		      compare_series);
	return add_times(data, snapshot) && json_add_u64(data, "requests", snapshot->requests) &&
	       json_add_u64(data, "series_kept", snapshot->series_len) &&
	       json_add_u64(data, "max_series", snapshot->max_series) &&
	       json_add_u64(data, "series_evicted", snapshot->series_evicted) &&
	       add_series(data, snapshot);
}

static bool add_origins(cJSON *data, struct aggregate_snapshot *snapshot)
{
	if (snapshot->endpoints_len)
		qsort(snapshot->endpoints, snapshot->endpoints_len, sizeof(*snapshot->endpoints),
		      compare_endpoints);
	return add_times(data, snapshot) &&
	       json_add_u64(data, "endpoints_kept", snapshot->endpoints_len) &&
	       json_add_u64(data, "max_endpoints", snapshot->max_endpoints) &&
	       add_endpoints(data, snapshot);
}

/* Connections are counted whatever is sampled; requests are seen by a sampler alone. */
static bool add_on(const struct control_source *source, cJSON *data, bool sampled)
{
	struct observer_status status = {0};

	if (sampled && source->read_observer)
		source->read_observer(source->ctx, &status);
	if (!sampled || observer_json_on(&status))
		return json_add_bool(data, "on", true) && json_add_text(data, "why", NULL);
	return json_add_bool(data, "on", false) &&
	       json_add_text(data, "why", status.why[0] ? status.why : OBSERVER_JSON_OFF);
}

/* The same members, when there is no observer. */
static bool add_off(cJSON *data, const char *rows)
{
	return json_add_bool(data, "on", false) && json_add_text(data, "why", OBSERVER_JSON_OFF) &&
	       cJSON_AddArrayToObject(data, rows);
}

static int answer_snapshot(const struct control_source *source, cJSON *data, const char *rows,
			   bool sampled,
			   bool (*add)(cJSON *data, struct aggregate_snapshot *snapshot))
{
	struct aggregate_snapshot snapshot = {0};
	int err;

	if (!source->read_aggregate)
		return add_off(data, rows) ? 0 : -ENOMEM;
	err = source->read_aggregate(source->ctx, &snapshot);
	if (err)
		return err;
	err = add_on(source, data, sampled) && add(data, &snapshot) ? 0 : -ENOMEM;
	aggregate_snapshot_free(&snapshot);
	return err;
}

int answer_requests(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	(void)error;
	return answer_snapshot(source, data, "series", true, add_requests);
}

int answer_endpoints(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	(void)error;
	return answer_snapshot(source, data, "endpoints", false, add_origins);
}
