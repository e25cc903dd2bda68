// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/reload_capture.h"

#include <errno.h>
#include <stdio.h>

#include "capture/capture_same.h"
#include "core/server.h"

int reload_capture_check(struct server *server, const struct generation *next, char *error,
			 size_t error_len)
{
	const struct capture *now = &server->generation->config->capture;
	const struct capture *then = &next->config->capture;
	const bool rules = capture_same_rules(now, then);

	if (rules && capture_same_hook(now, then))
		return 0;
	snprintf(error, error_len,
		 "\"capture\": %s would be others than now, which a reload cannot change; "
		 "`ksplit-status upgrade`, or a restart, can",
		 rules ? "the calls that the connect hook takes" : "the rules");
	return -EOPNOTSUPP;
}

void reload_capture_follow(struct server *server, struct generation *before, struct generation *now)
{
	capturing_follow(server->capturing, &now->config->capture);
	if (server->steer && !server->hooked)
		server->hooked = generation_get(before);
}
