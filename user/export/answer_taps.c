// SPDX-License-Identifier: GPL-2.0-or-later
#include <ksplit/control.h>
#include <stdio.h>
#include <string.h>

#include "export/answer.h"
#include "export/json_add.h"

/* Which one? TAP_KINDS: all; -1: none that there is. */
static int read_kind(const cJSON *request)
{
	const cJSON *tap = cJSON_GetObjectItemCaseSensitive(request, "tap");

	if (!tap)
		return TAP_KINDS;
	for (int i = 0; cJSON_IsString(tap) && i < TAP_KINDS; i++)
		if (!strcmp(tap->valuestring, tap_kind_name((enum tap_kind)i)))
			return i;
	return -1;
}

/* Those that are meant and configured; one that is named has to be. */
static int switch_them(const struct control_source *source, int kind, bool on,
		       char error[ANSWER_ERROR])
{
	struct tap_status status[TAP_KINDS];
	bool any = false;
	int err = 0;

	source->read_taps(source->ctx, status);
	for (int i = 0; i < TAP_KINDS && !err; i++) {
		if (kind != i && (kind != TAP_KINDS || !status[i].configured))
			continue;
		any = true;
		err = source->switch_tap(source->ctx, (enum tap_kind)i, on, source->client, error,
					 ANSWER_ERROR);
	}
	if (any)
		return err;
	snprintf(error, ANSWER_ERROR,
		 "there is nothing to switch %s: the configuration has no section \"taps\"",
		 on ? "on" : "off");
	return -EINVAL;
}

static bool add_tap(cJSON *data, enum tap_kind kind, const struct tap_status *status)
{
	cJSON *tap;

	if (!status->configured)
		return json_add_text(data, tap_kind_name(kind), NULL);
	tap = cJSON_AddObjectToObject(data, tap_kind_name(kind));
	return tap && json_add_text(tap, "state", status->on ? "on" : "off") &&
	       json_add_foreign(tap, "path", status->path, sizeof(status->path)) &&
	       json_add_u64(tap, "connections", status->connections) &&
	       json_add_u64(tap, "truncated", status->truncated) &&
	       json_add_u64(tap, "written", status->written) &&
	       json_add_u64(tap, "dropped", status->dropped) &&
	       json_add_u64(tap, "files", status->files) &&
	       json_add_foreign(tap, "why", status->why, sizeof(status->why));
}

int answer_taps(const struct control_source *source, const cJSON *request, cJSON *data,
		char error[ANSWER_ERROR])
{
	const enum answer_action action = answer_read_action(request);
	const int kind = read_kind(request);
	struct tap_status status[TAP_KINDS];
	int err = 0;

	if (action == ANSWER_ACTION_UNKNOWN || kind < 0) {
		snprintf(error, ANSWER_ERROR, "%s",
			 kind < 0 ? "`tap` is none of keylog, content, pcapng"
				  : "`action` is none of on, off, status");
		return -EINVAL;
	}
	if (!source->read_taps || !source->switch_tap) {
		snprintf(error, ANSWER_ERROR, "this daemon has no taps");
		return -EINVAL;
	}
	if (action != ANSWER_ACTION_STATUS)
		err = switch_them(source, kind, action == ANSWER_ACTION_ON, error);
	if (err)
		return err;
	source->read_taps(source->ctx, status);
	for (int i = 0; i < TAP_KINDS && !err; i++)
		err = add_tap(data, (enum tap_kind)i, &status[i]) ? 0 : -ENOMEM;
	return err;
}

bool answer_add_taps(const struct control_source *source, cJSON *to)
{
	struct tap_status status[TAP_KINDS] = {0};
	cJSON *taps = cJSON_AddObjectToObject(to, "taps");
	bool ok = taps;

	if (source->read_taps)
		source->read_taps(source->ctx, status);
	for (int i = 0; i < TAP_KINDS && ok; i++)
		ok = json_add_text(taps, tap_kind_name((enum tap_kind)i),
				   !status[i].configured ? NULL : status[i].on ? "on" : "off");
	return ok;
}
