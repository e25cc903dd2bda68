// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "export/otlp_json.h"
#include "export/otlp_point.h"

/* Where the daemon's own figures go to: one metric, whose points differ in one attribute. */
struct target {
	cJSON *metrics, *points;
	const struct otlp_input *input;
	bool ok;
};

static void begin(struct target *to, const char *name, const char *unit, const char *description,
		  enum otlp_kind kind)
{
	struct otlp_metric metric = {name, unit, description, kind};

	if (!to->ok)
		return;
	to->points = otlp_metric_add(to->metrics, &metric);
	to->ok = to->points != NULL;
}

static void add(struct target *to, const char *key, const char *value, uint64_t number)
{
	cJSON *attributes = to->ok ? cJSON_CreateArray() : NULL;
	struct otlp_point point = {.start_ms = to->input->summary->start_ms,
				   .time_ms = to->input->snapshot->time_ms};
	char *text;

	if (attributes && key && !otlp_attribute_text(attributes, key, value)) {
		cJSON_Delete(attributes);
		attributes = NULL;
	}
	text = otlp_attributes_print(attributes);
	point.attributes = text;
	to->ok = text && otlp_point_number(to->points, &point, number);
	cJSON_free(text);
}

/* -- counters of the workers (observe/stats.h): a metric for each group --------------------------
 */

static bool is_first_of_group(enum stats_counter counter)
{
	for (enum stats_counter i = 0; i < counter; i++)
		if (strcmp(stats_group(i), stats_group(counter)) == 0)
			return false;
	return true;
}

static void add_group(struct target *to, enum stats_counter first)
{
	const char *group = stats_group(first);
	bool bytes = strcmp(group, "bytes") == 0;
	char name[64];

	snprintf(name, sizeof(name), "ksplit.daemon.%s", group);
	begin(to, name, bytes ? "By" : "1", "Counters of the daemon, as in ksplit-status.",
	      OTLP_COUNTER);
	for (enum stats_counter i = first; i < STAT_COUNT; i++)
		if (strcmp(stats_group(i), group) == 0)
			add(to, "ksplit.counter", stats_name(i), to->input->stats->counters[i]);
}

static void add_stats(struct target *to)
{
	for (enum stats_counter i = 0; i < STAT_COUNT; i++)
		if (is_first_of_group(i))
			add_group(to, i);
	/* Reasons that have never come are left out: there are dozens. */
	begin(to, "ksplit.daemon.reasons", "{connection}",
	      "Why connections ended, were passed through or were kept out of kernel TLS.",
	      OTLP_COUNTER);
	for (enum ksplit_reason i = 0; i < KSPLIT_REASON_COUNT; i++)
		if (to->input->stats->reasons[i])
			add(to, "ksplit.reason", ksplit_reason_name(i),
			    to->input->stats->reasons[i]);
}

/* -- sampling and aggregation --------------------------------------------------------------------
 */

static const char *const troubles[HTTP_TROUBLES] = {"none", "gap", "sampler", "malformed",
						    "too_many"};

static void add_samplers(struct target *to)
{
	const struct observer_status *observer = to->input->observer;

	begin(to, "ksplit.sampler.connections", "{connection}", "Connections sampled.",
	      OTLP_COUNTER);
	for (size_t i = 1; i < KSPLIT_SAMPLERS; i++)
		add(to, "ksplit.sampler", observer_sampler_name(i), observer->connections[i]);
	begin(to, "ksplit.sampler.events", "{event}", "Head events taken.", OTLP_COUNTER);
	for (size_t i = 1; i < KSPLIT_SAMPLERS; i++)
		add(to, "ksplit.sampler", observer_sampler_name(i), observer->events[i]);
	begin(to, "ksplit.sampler.dropped", "{event}", "Head events that there was no room for.",
	      OTLP_COUNTER);
	add(to, "ksplit.queue", "ring", observer->ring_dropped);
	add(to, "ksplit.queue", "worker", observer->queue_dropped);
	begin(to, "ksplit.sampler.lost", "By", "Bytes that the sampler was not shown.",
	      OTLP_COUNTER);
	add(to, NULL, NULL, observer->lost_bytes);
}

static void add_observer(struct target *to)
{
	const struct aggregate_snapshot *snapshot = to->input->snapshot;
	const struct observer_status *observer = to->input->observer;

	begin(to, "ksplit.decoder.troubles", "{connection}",
	      "Connections whose requests are not decoded any more.", OTLP_COUNTER);
	for (size_t i = 1; i < HTTP_TROUBLES; i++)
		add(to, "ksplit.trouble", troubles[i], observer->troubles[i]);
	begin(to, "ksplit.decoder.not_http", "{connection}",
	      "Connections that are neither HTTP/1 nor HTTP/2.", OTLP_COUNTER);
	add(to, NULL, NULL, observer->not_http);
	begin(to, "ksplit.aggregate.evicted", "{series}", "Series that made room for heavier ones.",
	      OTLP_COUNTER);
	add(to, NULL, NULL, snapshot->series_evicted);
	begin(to, "ksplit.aggregate.series", "{series}", "Series that are kept.", OTLP_LEVEL);
	add(to, NULL, NULL, snapshot->series_len);
	begin(to, "ksplit.aggregate.memory", "By", "Memory of series and endpoints.", OTLP_LEVEL);
	add(to, NULL, NULL, snapshot->memory);
}

bool otlp_daemon_add(cJSON *metrics, const struct otlp_input *input)
{
	struct target to = {.metrics = metrics, .input = input, .ok = metrics != NULL};

	add_stats(&to);
	add_samplers(&to);
	add_observer(&to);
	return to.ok;
}
