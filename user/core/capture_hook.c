// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_hook.h"

#include <errno.h>
#include <string.h>

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

bool capture_hook_read(void *ctx, struct control_hook *out)
{
	const struct server *server = ctx;
	struct steer_status status;

	memset(out, 0, sizeof(*out));
	if (!server->steer)
		return false;
	out->why = steer_why(server->steer);
	if (steer_read(server->steer, &status))
		return true;
	out->wanted = status.wanted;
	out->attached = status.attached;
	_Static_assert(KSPLIT_STEER_COUNTS <= CONTROL_HOOK_COUNTS, "all have room");
	for (size_t i = 0; i < KSPLIT_STEER_COUNTS; i++) {
		out->counts[i].name = steer_count_name((enum ksplit_steer_count)i);
		out->counts[i].value = status.counts[i];
	}
	out->counts_len = KSPLIT_STEER_COUNTS;
	return true;
}
