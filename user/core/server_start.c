// SPDX-License-Identifier: GPL-2.0-or-later
/* All threads, and all that there can be only one of: alone, or after another ksplitd. */
#include "core/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/capture_hook.h"
#include "core/handover_give.h"
#include "core/handover_take.h"
#include "core/handover_wire.h"
#include "core/log.h"
#include "core/observation.h"
#include "core/overload.h"
#include "core/status.h"
#include "core/tapping.h"
#include "core/watchdog.h"
#include "core/worker_listen.h"

/* Two sockets; intercepted, in the worst moment a third: half a pipe. */
#define DESCRIPTORS_RAW		2
#define DESCRIPTORS_INTERCEPTED 3
#define HOOK_MS			5000

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/*
 * How many connections there may be, and how many of them intercepted: beyond that new ones are
 * passed raw as long as there is a descriptor for each side, and then wait.
 */
static int set_limits(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;
	const size_t descriptors = overload_descriptors();
	const struct overload_limits limits = {
		.intercepted = overload_share(at_least_one(descriptors / DESCRIPTORS_INTERCEPTED),
					      server->workers_len),
		.handshakes = overload_share(config->handshakes, server->workers_len),
		.memory = (uint64_t)config->memory << 20,
	};

	server->max_connections = at_least_one(descriptors / DESCRIPTORS_RAW);
	if (config->max_connections && config->max_connections < server->max_connections)
		server->max_connections = config->max_connections;
	for (size_t i = 0; i < server->workers_len; i++)
		server->workers[i].conns_max =
			overload_share(server->max_connections, server->workers_len);
	snprintf(error, error_len, "cannot watch the memory of this process");
	return overload_new(&limits, &server->overload);
}

static int start_services(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;
	int err = 0;

	snprintf(error, error_len, "cannot start a thread");
	if (server->generation->issuer->signer)
		err = signer_listen(server->generation->issuer->signer);
	if (err)
		return err;
	if (config->access_log) {
		snprintf(error, error_len, "access log %s", config->access_log);
		err = access_log_open(config->access_log, &server->access_log);
		if (err)
			return err;
	}
	err = tapping_start(server, error, error_len);
	if (!err)
		err = observation_start(server, error, error_len);
	if (err)
		return err;
	snprintf(error, error_len, "cannot start the resolver");
	err = resolver_new(&server->resolver);
	if (err)
		return err;
	/* Before the workers and the control socket look at it; the listeners are listening. */
	snprintf(error, error_len, "capture by connect hook");
	err = capture_hook_start(server);
	return err ? err : set_limits(server, error, error_len);
}

/* The first of all that there can be only one of. */
static int open_control(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;
	struct control_source source;

	if (!config->control || !config->control[0])
		return 0;
	status_source(server, &source);
	snprintf(error, error_len, "control socket %s", config->control);
	return server->takeover ? control_take_over(config->control, &source, &server->control)
				: control_open(config->control, &source, &server->control);
}

static int start_workers(struct server *server, char *error, size_t error_len)
{
	int err = watchdog_new(server, &server->watchdog);

	for (size_t i = 0; !err && i < server->workers_len; i++)
		err = worker_start(&server->workers[i]);
	if (err)
		snprintf(error, error_len, "cannot start a worker thread");
	return err;
}

/* `error` says what; the reason behind it. */
static int with_reason(int err, char *error, size_t error_len)
{
	size_t used = strlen(error);

	if (err)
		snprintf(error + used, error_len - used, ": %s", strerror(-err));
	return err;
}

/* All that can be there twice, before anybody is told to make room. */
static int prepare(struct server *server, char *error, size_t error_len)
{
	/* Its process first: it has none of the threads' memory then. */
	int err = capturing_new(server, &server->capturing, error, error_len);

	if (!err)
		err = start_services(server, error, error_len);
	return with_reason(err, error, error_len);
}

static int start_alone(struct server *server, char *error, size_t error_len)
{
	int err = observation_export(server, error, error_len);

	if (!err)
		err = open_control(server, error, error_len);
	if (!err)
		err = start_workers(server, error, error_len);
	if (!err)
		capturing_begin(server->capturing);
	return with_reason(err, error, error_len);
}

/* What was captured by the other one has to be captured by this one. */
static int check_capture(const struct server *server, char *error, size_t error_len)
{
	const uint32_t flags = handover_take_flags(server->takeover);
	const struct capture_status *failed = NULL;
	struct capture_status rules;
	struct steer_status hook;

	capturing_read(server->capturing, &rules);
	capture_hook_read_status(server, &hook);
	if ((flags & (HANDOVER_HOOK_ON | HANDOVER_WHOLE)) && hook.state.state != CAPTURE_ON &&
	    hook.state.state != CAPTURE_NOT_CONFIGURED)
		failed = &hook.state;
	if ((flags & (HANDOVER_RULES_ON | HANDOVER_WHOLE)) && rules.state != CAPTURE_ON &&
	    rules.state != CAPTURE_NOT_CONFIGURED)
		failed = &rules;
	if (!failed)
		return 0;
	snprintf(error, error_len, "capture cannot go on: %s",
		 failed->why[0] ? failed->why : capture_state_name(failed->state));
	return -ECANCELED;
}

static int begin_capture(struct server *server, char *error, size_t error_len)
{
	if (handover_take_flags(server->takeover) & HANDOVER_CAPTURE_OFF) {
		capturing_begin_off(server->capturing);
		return 0;
	}
	capture_hook_switch(server, true, "upgrade");
	capturing_begin(server->capturing);
	capture_hook_await(server, HOOK_MS);
	return check_capture(server, error, error_len);
}

static int listen_late(struct server *server, char *error, size_t error_len)
{
	int err = 0;

	for (size_t i = 0; i < server->workers_len && !err; i++)
		err = worker_listen_late(&server->workers[i], error, error_len);
	return err;
}

/* The control socket comes last: who asks there is to be told of a ksplitd that is whole. */
static int start_after(struct server *server, char *error, size_t error_len)
{
	int err = listen_late(server, error, error_len);

	if (!err)
		err = handover_take_stop(server->takeover, atomic_load(&server->own_mark), error,
					 error_len);
	if (!err)
		err = start_workers(server, error, error_len);
	if (!err)
		err = begin_capture(server, error, error_len);
	if (!err)
		err = with_reason(observation_export(server, error, error_len), error, error_len);
	if (!err)
		err = handover_take_finish(server->takeover, error, error_len);
	if (err)
		return err;
	/* From now on there is nobody but this one to serve. */
	if (with_reason(open_control(server, error, error_len), error, error_len))
		log_error("%s; nobody can ask how this ksplitd is", error);
	handover_take_leave(server->takeover);
	return 0;
}

int server_start(struct server *server, char *error, size_t error_len)
{
	int err = handover_give_new(server, &server->handover);

	if (err)
		snprintf(error, error_len, "out of memory");
	if (!err)
		err = prepare(server, error, error_len);
	if (err)
		return err;
	return server->takeover ? start_after(server, error, error_len)
				: start_alone(server, error, error_len);
}
