// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/answer.h"

#include "export/json_add.h"
#include "export/observer_json.h"

static bool add_daemon(cJSON *data, const struct control_summary *summary)
{
	int64_t up = answer_wall_ms() - summary->start_ms;

	return json_add_text(data, "version", summary->version) &&
	       json_add_u64(data, "pid", (uint64_t)summary->pid) &&
	       json_add_time(data, "start_time", summary->start_ms) &&
	       json_add_u64(data, "uptime_s", up > 0 ? (uint64_t)up / 1000 : 0) &&
	       json_add_u64(data, "workers", summary->workers) &&
	       json_add_bool(data, "draining", summary->draining) &&
	       json_add_text(data, "degraded", summary->degraded) &&
	       json_add_text(data, "openssl", summary->openssl);
}

static bool add_config(cJSON *data, const struct control_summary *summary)
{
	cJSON *config = cJSON_AddObjectToObject(data, "config");

	return config && json_add_text(config, "relay", summary->relay) &&
	       json_add_text(config, "ktls", summary->ktls) &&
	       json_add_text(config, "verify", summary->verify) &&
	       json_add_u64(config, "max_connections", summary->max_connections);
}

static bool add_open_connections(cJSON *data, const struct control_summary *summary)
{
	cJSON *connections = cJSON_AddObjectToObject(data, "connections");
	cJSON *by_state;
	uint64_t open = 0;
	bool ok;

	for (int i = 0; i < CONN_STATES; i++)
		open += summary->open_by_state[i];
	ok = json_add_u64(connections, "open", open) &&
	     json_add_u64(connections, "passed_open", summary->open_passed);
	by_state = ok ? cJSON_AddObjectToObject(connections, "by_state") : NULL;
	ok = by_state != NULL;
	for (int i = 0; ok && i < CONN_STATES; i++)
		ok = json_add_u64(by_state, conn_state_name((enum conn_state)i),
				  summary->open_by_state[i]);
	return ok;
}

static cJSON *group_of(cJSON *data, const char *name)
{
	cJSON *group = cJSON_GetObjectItemCaseSensitive(data, name);

	return group ? group : cJSON_AddObjectToObject(data, name);
}

static bool add_counters(cJSON *data, const struct stats_sum *sum)
{
	bool ok = true;

	for (int i = 0; ok && i < STAT_COUNT; i++) {
		enum stats_counter counter = (enum stats_counter)i;

		ok = json_add_u64(group_of(data, stats_group(counter)), stats_name(counter),
				  sum->counters[i]);
	}
	return ok;
}

/* Those that happened; there are many. */
static bool add_reasons(cJSON *data, const struct stats_sum *sum)
{
	static const char *const classes[] = {
		[KSPLIT_CLASS_END] = "end",
		[KSPLIT_CLASS_PASS] = "pass",
		[KSPLIT_CLASS_FALLBACK] = "fallback",
	};
	cJSON *reasons = cJSON_AddObjectToObject(data, "reasons");
	bool ok = reasons && group_of(reasons, "end") && group_of(reasons, "pass") &&
		  group_of(reasons, "fallback");

	for (int i = 0; ok && i < KSPLIT_REASON_COUNT; i++) {
		enum ksplit_reason reason = (enum ksplit_reason)i;

		if (reason == KSPLIT_NONE || !sum->reasons[i])
			continue;
		ok = json_add_u64(group_of(reasons, classes[ksplit_reason_class(reason)]),
				  ksplit_reason_name(reason), sum->reasons[i]);
	}
	return ok;
}

static bool add_leaf_cache(cJSON *data, const struct control_summary *summary)
{
	cJSON *cache = cJSON_AddObjectToObject(data, "leaf_cache");

	return cache && json_add_u64(cache, "entries", summary->leaf_cache.entries) &&
	       json_add_u64(cache, "hits", summary->leaf_cache.hits) &&
	       json_add_u64(cache, "misses", summary->leaf_cache.misses) &&
	       json_add_u64(cache, "forged", summary->leaf_cache.forged) &&
	       json_add_u64(cache, "failed", summary->leaf_cache.failed) &&
	       json_add_u64(cache, "waited", summary->leaf_cache.waited) &&
	       json_add_u64(cache, "evicted", summary->leaf_cache.evicted);
}

static bool add_session_cache(cJSON *data, const struct control_summary *summary)
{
	cJSON *cache = cJSON_AddObjectToObject(data, "session_cache");

	return cache && json_add_u64(cache, "entries", summary->session_cache.entries) &&
	       json_add_u64(cache, "evicted", summary->session_cache.evicted);
}

/* null: no leaves are forged. */
static bool add_signer(cJSON *data, const struct control_summary *summary)
{
	cJSON *signer;

	if (!summary->has_signer)
		return json_add_text(data, "signer", NULL);
	signer = cJSON_AddObjectToObject(data, "signer");
	return signer && json_add_bool(signer, "alive", summary->signer.pid != 0) &&
	       json_add_u64(signer, "pid", (uint64_t)summary->signer.pid) &&
	       json_add_u64(signer, "signed", summary->signer.issued) &&
	       json_add_u64(signer, "busy", summary->signer.busy) &&
	       json_add_u64(signer, "refused", summary->signer.refused) &&
	       json_add_u64(signer, "failed", summary->signer.failed);
}

/* null: no incoming calls. */
static bool add_identities(cJSON *data, const struct control_summary *summary)
{
	cJSON *identities;

	if (!summary->identities)
		return json_add_text(data, "identities", NULL);
	identities = cJSON_AddObjectToObject(data, "identities");
	return identities && json_add_u64(identities, "count", summary->identities) &&
	       json_add_u64(identities, "reloads", summary->identity_reloads) &&
	       json_add_u64(identities, "failed", summary->identity_reloads_failed);
}

static bool add_reloads(cJSON *data, const struct control_summary *summary)
{
	cJSON *reloads = cJSON_AddObjectToObject(data, "reloads");

	return reloads && answer_add_reloads(reloads, &summary->reload);
}

/* The states alone: the command `capture` has all of it. */
static bool add_capture(cJSON *data, const struct control_summary *summary)
{
	cJSON *capture = cJSON_AddObjectToObject(data, "capture");

	return capture &&
	       json_add_text(capture, "rules", capture_state_name(summary->capture.state)) &&
	       json_add_text(capture, "hook", capture_state_name(summary->hook.state));
}

static bool add_observation(const struct control_source *source, cJSON *data)
{
	struct observer_status status = {0};

	if (source->read_observer)
		source->read_observer(source->ctx, &status);
	return json_add_item(data, "observation",
			     observer_json_totals(source->read_observer ? &status : NULL));
}

static bool add_otlp_counts(cJSON *otlp, const struct otlp_stats *stats)
{
	return json_add_u64(otlp, "exported", stats->exported) &&
	       json_add_u64(otlp, "refused", stats->failed) &&
	       json_add_u64(otlp, "dropped", stats->dropped) &&
	       json_add_u64(otlp, "unmade", stats->unmade) &&
	       json_add_u64(otlp, "queued", stats->queued) &&
	       json_add_u64(otlp, "requests_retried", stats->retried) &&
	       json_add_u64(otlp, "points_rejected", stats->rejected_points);
}

static bool add_otlp(const struct control_source *source, cJSON *data)
{
	struct otlp_stats stats = {0};
	cJSON *otlp;

	if (!source->read_otlp || !source->read_otlp(source->ctx, &stats))
		return json_add_text(data, "otlp", NULL);
	otlp = cJSON_AddObjectToObject(data, "otlp");
	return otlp && json_add_foreign(otlp, "endpoint", stats.endpoint, sizeof(stats.endpoint)) &&
	       add_otlp_counts(otlp, &stats) &&
	       json_add_text(otlp, "last_error", stats.last_error[0] ? stats.last_error : NULL) &&
	       (stats.last_error[0] ? json_add_time(otlp, "last_error_time", stats.last_error_ms)
				    : json_add_text(otlp, "last_error_time", NULL));
}

int answer_summary(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct control_summary summary = {0};
	struct stats_sum sum = {0};

	(void)error;
	source->read_summary(source->ctx, &summary);
	source->read_stats(source->ctx, &sum);
	return add_daemon(data, &summary) && add_config(data, &summary) &&
			       add_open_connections(data, &summary) && add_counters(data, &sum) &&
			       add_reasons(data, &sum) && add_leaf_cache(data, &summary) &&
			       add_session_cache(data, &summary) && add_capture(data, &summary) &&
			       add_signer(data, &summary) && add_identities(data, &summary) &&
			       add_reloads(data, &summary) && answer_add_taps(source, data) &&
			       add_observation(source, data) && add_otlp(source, data)
		       ? 0
		       : -ENOMEM;
}
