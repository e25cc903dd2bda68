// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/answer.h"
#include "export/json_add.h"

/* As of the other tables: the most rows of one answer. */
#define ROWS_MAX 10000

void control_passes_free(struct control_passes *passes)
{
	free(passes->passes);
	for (size_t i = 0; passes->rules && i < passes->rules_len; i++)
		free(passes->rules[i].comment);
	free(passes->rules);
	memset(passes, 0, sizeof(*passes));
}

static bool add_index(cJSON *to, const char *name, int index)
{
	return index < 0 ? json_add_text(to, name, NULL) : json_add_u64(to, name, (uint64_t)index);
}

static const char *comment_of(const struct control_passes *passes, int rule)
{
	return rule >= 0 && (size_t)rule < passes->rules_len ? passes->rules[rule].comment : NULL;
}

static bool add_comment(cJSON *to, const char *comment)
{
	return comment ? json_add_foreign(to, "comment", comment, strlen(comment))
		       : json_add_text(to, "comment", NULL);
}

static bool add_pass(cJSON *array, const struct control_passes *passes,
		     const struct control_pass *pass, int64_t now_ms)
{
	cJSON *row = cJSON_CreateObject();

	return row && cJSON_AddItemToArray(array, row) &&
	       json_add_text(row, "reason", ksplit_reason_name(pass->reason)) &&
	       add_index(row, "rule", pass->rule) &&
	       add_comment(row, comment_of(passes, pass->rule)) &&
	       json_add_foreign(row, "name", pass->name, sizeof(pass->name)) &&
	       json_add_text(row, "client", pass->client[0] ? pass->client : NULL) &&
	       json_add_u64(row, "count", pass->count) &&
	       json_add_moment(row, "last_time", pass->last_ms) &&
	       json_add_span(row, "last_ms", pass->last_ms, now_ms) &&
	       json_add_moment(row, "expires_time", pass->expires_ms) &&
	       json_add_span(row, "expires_ms", now_ms, pass->expires_ms);
}

static bool add_rule(cJSON *array, const struct control_rule *rule, size_t index)
{
	cJSON *row = cJSON_CreateObject();

	return row && cJSON_AddItemToArray(array, row) && json_add_u64(row, "rule", index) &&
	       add_comment(row, rule->comment) && json_add_u64(row, "count", rule->count) &&
	       json_add_moment(row, "last_time", rule->last_ms);
}

/* How often each reason was given since the start; those that never were are left out. */
static bool add_reasons(cJSON *data, const struct stats_sum *stats)
{
	cJSON *reasons = cJSON_AddObjectToObject(data, "reasons");
	bool ok = reasons != NULL;

	for (int i = 0; ok && i < KSPLIT_REASON_COUNT; i++)
		if (ksplit_reason_class(i) == KSPLIT_CLASS_PASS && stats->reasons[i])
			ok = json_add_u64(reasons, ksplit_reason_name(i), stats->reasons[i]);
	return ok;
}

static bool add_all(cJSON *data, const struct control_passes *passes)
{
	cJSON *rows = cJSON_AddArrayToObject(data, "passes");
	cJSON *rules = cJSON_AddArrayToObject(data, "rules");
	int64_t now_ms = answer_wall_ms();
	bool ok = rows && rules;

	for (size_t i = 0; ok && i < passes->passes_len && i < ROWS_MAX; i++)
		ok = add_pass(rows, passes, &passes->passes[i], now_ms);
	for (size_t i = 0; ok && i < passes->rules_len; i++)
		ok = add_rule(rules, &passes->rules[i], i);
	return ok && json_add_u64(data, "evicted", passes->evicted) &&
	       json_add_u64(data, "learned_pass", passes->learned_pass_ms) &&
	       json_add_u64(data, "learned_names", passes->learned_names);
}

int answer_passes(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct control_passes passes;
	struct stats_sum stats;
	int err;

	if (!source->read_passes) {
		snprintf(error, ANSWER_ERROR, "nothing is known of what is passed through");
		return -ENOTSUP;
	}
	err = source->read_passes(source->ctx, &passes);
	if (err)
		return err;
	source->read_stats(source->ctx, &stats);
	if (!add_reasons(data, &stats) || !add_all(data, &passes))
		err = -ENOMEM;
	control_passes_free(&passes);
	return err;
}
