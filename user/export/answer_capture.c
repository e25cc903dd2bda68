// SPDX-License-Identifier: GPL-2.0-or-later
#include <ksplit/control.h>
#include <stdio.h>
#include <string.h>

#include "export/answer.h"
#include "export/json_add.h"

enum answer_action answer_read_action(const cJSON *request)
{
	const cJSON *action = cJSON_GetObjectItemCaseSensitive(request, "action");

	if (!action)
		return ANSWER_ACTION_STATUS;
	if (!cJSON_IsString(action))
		return ANSWER_ACTION_UNKNOWN;
	if (!strcmp(action->valuestring, KSPLIT_ACTION_STATUS))
		return ANSWER_ACTION_STATUS;
	if (!strcmp(action->valuestring, KSPLIT_ACTION_ON))
		return ANSWER_ACTION_ON;
	return strcmp(action->valuestring, KSPLIT_ACTION_OFF) ? ANSWER_ACTION_UNKNOWN
							       : ANSWER_ACTION_OFF;
}

static bool add_since(cJSON *data, const struct capture_status *status)
{
	return status->since_ms ? json_add_time(data, "since", status->since_ms)
				: json_add_text(data, "since", NULL);
}

static bool add_withdrawals(cJSON *data, const struct capture_status *status)
{
	cJSON *counts = cJSON_CreateObject();
	bool ok = counts;

	for (unsigned int i = 0; i < CAPTURE_WITHDRAWALS && ok; i++)
		ok = json_add_u64(counts, capture_withdrawal_name((enum capture_withdrawal)i),
				  status->withdrawn[i]);
	return json_add_item(data, "withdrawals", counts) && ok;
}

/* What rules and hook have in common. */
static bool add_status(cJSON *data, const struct capture_status *status)
{
	return json_add_text(data, "state", capture_state_name(status->state)) &&
	       add_since(data, status) &&
	       json_add_text(data, "by", status->by[0] ? status->by : NULL) &&
	       json_add_text(data, "why", status->why[0] ? status->why : NULL) &&
	       json_add_u64(data, "loads", status->loaded) && add_withdrawals(data, status) &&
	       json_add_u64(data, "self_tests_failed", status->self_test_failed);
}

static bool add_keeper(cJSON *data, const struct capture_status *status)
{
	return json_add_u64(data, "keeper", (uint64_t)status->keeper_pid) &&
	       json_add_bool(data, "owner", status->has_owner);
}

static bool add_hook(cJSON *data, const struct control_summary *summary)
{
	cJSON *hook;

	if (summary->hook.state == CAPTURE_NOT_CONFIGURED)
		return json_add_text(data, "hook", NULL);
	hook = cJSON_AddObjectToObject(data, "hook");
	return hook && add_status(hook, &summary->hook) &&
	       json_add_u64(hook, "wanted", summary->hook_wanted) &&
	       json_add_u64(hook, "attached", summary->hook_attached);
}

int answer_capture(const struct control_source *source, const cJSON *request, cJSON *data,
		   char error[ANSWER_ERROR])
{
	enum answer_action action = answer_read_action(request);
	struct control_summary summary;

	if (action == ANSWER_ACTION_UNKNOWN) {
		snprintf(error, ANSWER_ERROR, "`action` is none of on, off, status");
		return -EINVAL;
	}
	source->read_summary(source->ctx, &summary);
	if (action != ANSWER_ACTION_STATUS) {
		if (!source->switch_capture ||
		    (summary.capture.state == CAPTURE_NOT_CONFIGURED &&
		     summary.hook.state == CAPTURE_NOT_CONFIGURED)) {
			snprintf(error, ANSWER_ERROR,
				 "there is nothing to switch %s: the configuration has no rules "
				 "and no hook to capture by (section \"capture\" of ksplit.json)",
				 action == ANSWER_ACTION_ON ? "on" : "off");
			return -EINVAL;
		}
		source->switch_capture(source->ctx, action == ANSWER_ACTION_ON, source->client);
		source->read_summary(source->ctx, &summary);
	}
	return add_status(data, &summary.capture) && add_keeper(data, &summary.capture) &&
			       add_hook(data, &summary)
		       ? 0
		       : -ENOMEM;
}
