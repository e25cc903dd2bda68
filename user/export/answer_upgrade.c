// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <unistd.h>

#include "export/answer.h"
#include "export/json_add.h"

int answer_upgrade(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct control_upgrade outcome = {0};

	if (!source->upgrade) {
		snprintf(error, ANSWER_ERROR, "this daemon cannot be upgraded while it runs");
		return -ENOTSUP;
	}
	source->upgrade(source->ctx, source->client, &outcome);
	return json_add_bool(data, "upgraded", outcome.done) &&
			       json_add_u64(data, "old_pid", (uint64_t)getpid()) &&
			       json_add_u64(data, "pid",
					    (uint64_t)(outcome.done ? outcome.pid : getpid())) &&
			       json_add_text(data, "why", outcome.done ? NULL : outcome.why)
		       ? 0
		       : -ENOMEM;
}
