// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_hook.h"

#include <errno.h>

#include "core/log.h"
#include "core/server.h"

int capture_hook_start(struct server *server)
{
	const struct capture *capture = &server->config->capture;
	const struct capture_part *part = &capture->parts[CAPTURE_HOOK];
	const struct steer_options options = {
		.part = part,
		.listener = part->listener,
		.listener6 = part->listener6,
		.mark = capture->mark,
		.watchdog = capture->watchdog,
		.refuse_quic = capture->refuse_quic,
	};
	int err;

	if (!part->given)
		return 0;
	err = steer_new(&options, &server->steer);
	if (err)
		return err;
	if (*steer_why(server->steer))
		log_error("capture by connect hook is off, calls go direct: %s",
			  steer_why(server->steer));
	else
		log_info("capture by connect hook is on");
	if (part->listener.sa.sa_family == 0 || part->listener6.sa.sa_family == 0)
		log_info("capture by connect hook: IPv%c calls go direct, there is no listener "
			 "for them", part->listener.sa.sa_family ? '6' : '4');
	return 0;
}

void capture_hook_stop(struct server *server)
{
	steer_stop(server->steer);
}
