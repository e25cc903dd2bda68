// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "export/answer.h"
#include "export/json_add.h"

/* "workers, sampler" as an array. */
static bool add_kept(cJSON *to, const char *kept)
{
	cJSON *array = cJSON_CreateArray();
	bool ok = array;

	while (ok && *kept) {
		const size_t len = strcspn(kept, ",");
		char name[64];
		cJSON *item;

		snprintf(name, sizeof(name), "%.*s", (int)len, kept);
		item = cJSON_CreateString(name);
		ok = item && cJSON_AddItemToArray(array, item);
		if (!ok)
			cJSON_Delete(item);
		kept += len + strspn(kept + len, ", ");
	}
	return json_add_item(to, "kept", array) && ok;
}

/* "" is none. */
static bool add_text(cJSON *to, const char *name, const char *text)
{
	return text[0] ? json_add_foreign(to, name, text, strlen(text))
		       : json_add_text(to, name, NULL);
}

static bool add_last(cJSON *to, const struct reload_status *status)
{
	return (status->last_ms ? json_add_time(to, "last", status->last_ms)
				: json_add_text(to, "last", NULL)) &&
	       add_text(to, "by", status->by) && add_text(to, "why", status->error) &&
	       add_kept(to, status->kept);
}

bool answer_add_reloads(cJSON *to, const struct reload_status *status)
{
	return json_add_u64(to, "done", status->done) &&
	       json_add_u64(to, "failed", status->failed) && add_last(to, status) &&
	       json_add_u64(to, "configuration", status->generation) &&
	       json_add_u64(to, "old_configurations", status->old);
}

int answer_reload(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct reload_status status;

	if (!source->reload) {
		snprintf(error, ANSWER_ERROR, "this daemon cannot reload");
		return -EINVAL;
	}
	if (!source->reload(source->ctx, source->client, &status)) {
		snprintf(error, ANSWER_ERROR,
			 "the reload did not come to its end; the log tells what becomes of it");
		return -ETIMEDOUT;
	}
	return json_add_bool(data, "reloaded", !status.last_failed) &&
			       json_add_u64(data, "old_pid", (uint64_t)getpid()) &&
			       json_add_u64(data, "pid",
					    (uint64_t)(status.pid ? status.pid : getpid())) &&
			       answer_add_reloads(data, &status)
		       ? 0
		       : -ENOMEM;
}
