// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/reload_capture.h"

#include <errno.h>
#include <stdio.h>

#include "capture/capture_same.h"
#include "core/server.h"

int reload_capture_check(const struct server *server, const struct generation *next, char *error,
			 size_t error_len)
{
	const struct capture *now = &server->generation->config->capture;
	const struct capture *then = &next->config->capture;

	if (!capture_same_hook(now, then)) {
		snprintf(error, error_len, "\"capture\": the connect hook takes other calls");
		return -EOPNOTSUPP;
	}
	if (capture_has_rules(then) && !capture_has_rules(now) &&
	    capturing_can_begin(then, error, error_len))
		return -EOPNOTSUPP;
	return 0;
}

int reload_capture_change(struct server *server, const struct generation *next, char *error,
			  size_t error_len)
{
	const struct capture *now = &server->generation->config->capture;

	if (capture_same_rules(now, &next->config->capture))
		return 0;
	return capturing_change(server->capturing, next, error, error_len);
}

void reload_capture_follow(struct server *server, struct generation *before, struct generation *now)
{
	capturing_follow(server->capturing, &now->config->capture);
	if (server->steer && !server->hooked)
		server->hooked = generation_get(before);
}
