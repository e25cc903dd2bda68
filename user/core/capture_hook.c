// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_hook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/handover_take.h"
#include "core/log.h"
#include "core/pulse.h"
#include "core/server.h"

static bool works(void *ctx)
{
	return pulse_look(ctx);
}

int capture_hook_start(struct server *server)
{
	const struct capture *capture = &server->generation->config->capture;
	const struct capture_part *part = &capture->parts[CAPTURE_HOOK];
	struct steer_options options = {
		.part = part,
		.listener = part->listener,
		.listener6 = part->listener6,
		.mark = capture->mark,
		.watchdog = capture->watchdog,
		.refuse_quic = capture->refuse_quic,
		.works = works,
		.idle = server->takeover != NULL,
	};
	int err, calls_fd;

	if (!part->given)
		return 0;
	err = pulse_new(server, &server->steer_pulse);
	if (err)
		return err;
	options.ctx = server->steer_pulse;
	err = steer_new(&options, &server->steer);
	if (err)
		return err;
	calls_fd = handover_take_calls(server->takeover);
	if (calls_fd >= 0)
		steer_inherit(server->steer, calls_fd);
	if (part->listener.sa.sa_family == 0 || part->listener6.sa.sa_family == 0)
		log_info("capture by connect hook: IPv%c calls go direct, there is no listener "
			 "for them", part->listener.sa.sa_family ? '6' : '4');
	return 0;
}

void capture_hook_retire(struct server *server)
{
	steer_retire(server->steer);
}

void capture_hook_stop(struct server *server)
{
	steer_stop(server->steer);
}

void capture_hook_switch(struct server *server, bool on, const char *by)
{
	if (server->steer)
		steer_switch(server->steer, on, by);
}

void capture_hook_await(struct server *server, unsigned int timeout_ms)
{
	if (server->steer)
		steer_await(server->steer, timeout_ms);
}

void capture_hook_free(struct server *server)
{
	steer_free(server->steer);
	pulse_free(server->steer_pulse);
	server->steer = NULL;
	server->steer_pulse = NULL;
}

void capture_hook_read_status(const struct server *server, struct steer_status *out)
{
	*out = (struct steer_status){.state.state = CAPTURE_NOT_CONFIGURED};
	if (server->steer)
		steer_read(server->steer, out);
}

static void say_why(const struct capture_status *state, struct control_hook *out)
{
	out->on = state->state == CAPTURE_ON;
	if (state->why[0])
		snprintf(out->why, sizeof(out->why), "%s", state->why);
	else if (!out->on)
		snprintf(out->why, sizeof(out->why), "%s: by %s",
			 capture_state_name(state->state), state->by);
}

bool capture_hook_read(void *ctx, struct control_hook *out)
{
	const struct server *server = ctx;
	uint64_t counts[KSPLIT_STEER_COUNTS];
	struct steer_status status;

	memset(out, 0, sizeof(*out));
	if (!server->steer)
		return false;
	steer_read(server->steer, &status);
	say_why(&status.state, out);
	out->wanted = status.wanted;
	out->attached = status.attached;
	if (steer_read_counts(server->steer, counts))
		return true;
	_Static_assert(KSPLIT_STEER_COUNTS <= CONTROL_HOOK_COUNTS, "all have room");
	for (size_t i = 0; i < KSPLIT_STEER_COUNTS; i++) {
		out->counts[i].name = steer_count_name((enum ksplit_steer_count)i);
		out->counts[i].value = counts[i];
	}
	out->counts_len = KSPLIT_STEER_COUNTS;
	return true;
}
