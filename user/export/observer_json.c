// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/observer_json.h"

#include "export/json_add.h"

static const char *const trouble_names[HTTP_TROUBLES] = {
	[HTTP_TROUBLE_GAP] = "gap",
	[HTTP_TROUBLE_SAMPLER] = "sampler",
	[HTTP_TROUBLE_MALFORMED] = "malformed",
	[HTTP_TROUBLE_TOO_MANY] = "too_many",
};

bool observer_json_on(const struct observer_status *status)
{
	return status &&
	       (status->kernel_tls != KSPLIT_SAMPLER_NONE || status->plain != KSPLIT_SAMPLER_NONE ||
		status->user != KSPLIT_SAMPLER_NONE);
}

static bool add_hook(cJSON *to, const char *name, bool attached, const char *why)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);

	return object && json_add_bool(object, "attached", attached) &&
	       json_add_text(object, "why", attached || !why[0] ? NULL : why);
}

/* By sampler, but for the one that is none. */
static bool add_by_sampler(cJSON *to, const char *name, const uint64_t counts[KSPLIT_SAMPLERS])
{
	cJSON *object = cJSON_AddObjectToObject(to, name);
	bool ok = object != NULL;

	for (int i = KSPLIT_SAMPLER_NONE + 1; ok && i < KSPLIT_SAMPLERS; i++)
		ok = json_add_u64(object, observer_sampler_name(i), counts[i]);
	return ok;
}

static bool add_troubles(cJSON *to, const struct observer_status *status)
{
	cJSON *object = cJSON_AddObjectToObject(to, "troubles");
	bool ok = object != NULL;

	for (int i = HTTP_TROUBLE_NONE + 1; ok && i < HTTP_TROUBLES; i++)
		ok = json_add_u64(object, trouble_names[i], status->troubles[i]);
	return ok;
}

static bool add_choice(cJSON *to, const struct observer_status *status)
{
	return json_add_text(to, "why", status->why[0] ? status->why : NULL) &&
	       json_add_text(to, "kernel_tls", observer_sampler_name(status->kernel_tls)) &&
	       json_add_text(to, "plain", observer_sampler_name(status->plain)) &&
	       json_add_text(to, "user", observer_sampler_name(status->user)) &&
	       add_hook(to, "timings", status->timings, status->timings_why) &&
	       add_hook(to, "processes", status->processes, status->processes_why) &&
	       json_add_text(to, "pins", status->pins[0] ? status->pins : NULL);
}

static bool add_counts(cJSON *to, const struct observer_status *status)
{
	return json_add_u64(to, "ring_bytes", status->ring_bytes) &&
	       json_add_u64(to, "ring_dropped", status->ring_dropped) &&
	       json_add_u64(to, "queue_dropped", status->queue_dropped) &&
	       json_add_u64(to, "lost_bytes", status->lost_bytes) &&
	       add_by_sampler(to, "connections", status->connections) &&
	       add_by_sampler(to, "events", status->events) && add_troubles(to, status) &&
	       json_add_u64(to, "requests", status->requests) &&
	       json_add_u64(to, "not_http", status->not_http);
}

static cJSON *whole_or_nothing(cJSON *object, bool whole)
{
	if (whole)
		return object;
	cJSON_Delete(object);
	return NULL;
}

cJSON *observer_json(const struct observer_status *status)
{
	cJSON *object = cJSON_CreateObject();

	return whole_or_nothing(
		object, json_add_bool(object, "on", observer_json_on(status)) &&
				(status ? add_choice(object, status) && add_counts(object, status)
					: json_add_text(object, "why", OBSERVER_JSON_OFF)));
}

static bool add_totals(cJSON *to, const struct observer_status *status)
{
	return json_add_text(to, "kernel_tls", observer_sampler_name(status->kernel_tls)) &&
	       json_add_text(to, "plain", observer_sampler_name(status->plain)) &&
	       json_add_text(to, "user", observer_sampler_name(status->user)) &&
	       json_add_u64(to, "requests", status->requests) &&
	       json_add_u64(to, "not_http", status->not_http) &&
	       json_add_u64(to, "events_dropped", status->ring_dropped + status->queue_dropped);
}

cJSON *observer_json_totals(const struct observer_status *status)
{
	cJSON *object = cJSON_CreateObject();

	return whole_or_nothing(object, json_add_bool(object, "on", observer_json_on(status)) &&
						(!status || add_totals(object, status)));
}
