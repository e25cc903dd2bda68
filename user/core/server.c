// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/server.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/capture_hook.h"
#include "core/handover_give.h"
#include "core/handover_take.h"
#include "core/handover_wire.h"
#include "core/known_origins.h"
#include "core/launcher.h"
#include "core/learned_pass.h"
#include "core/listen_fds.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/observation.h"
#include "core/overload.h"
#include "core/pass_list.h"
#include "core/reload.h"
#include "core/service.h"
#include "core/sessions.h"
#include "core/status.h"
#include "core/watchdog.h"
#include "export/metrics_http.h"
#include "tap/taps.h"
#include "tls/session_cache.h"

/* Names of calls that were passed, for status. */
#define PASSES_LISTED 1000

static size_t cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (size_t)CPU_COUNT(&set);
}

static int make_lists(struct server *server)
{
	const struct config *config = server->generation->config;
	int err = pass_list_new(PASSES_LISTED, &server->passes);

	if (!err)
		err = taps_new(&server->taps);
	if (!err)
		err = pass_list_new(POLICY_MAX_RULES, &server->rule_counts);
	if (!err)
		err = learned_pass_new(config->learned_pass, config->learned_names,
				       &server->learned);
	return err;
}

/* What workers use from their first connection on. */
static int make_generation(struct server *server, struct config *config, char *error,
			   size_t error_len)
{
	struct issuer *issuer = NULL;
	int err = issuer_load(config, &issuer, error, error_len);

	/* As early as can be: its process has next to nothing of ours in its memory. */
	if (!err)
		err = issuer_start(issuer, config, error, error_len);
	if (!err)
		err = generation_new(config, issuer, NULL, &server->generation, error, error_len);
	else
		config_delete(config);
	issuer_put(issuer);
	return err;
}

static void probe_kernel(struct server *server)
{
	int err = ktls_probe(&server->ktls);

	if (err)
		log_warn("cannot probe kernel TLS: %s", strerror(-err));
	if (server->generation->config->ktls == KTLS_OFF)
		log_info("kernel TLS is switched off in the configuration");
	else if (server->ktls.ulp)
		log_info("kernel TLS is there%s", server->ktls.rekey ? ", with key updates" : "");
	else
		log_warn("this kernel has no TLS ULP (%s): all connections stay in user space%s",
			 strerror(server->ktls.ulp_errno),
			 server->generation->config->ktls == KTLS_REQUIRE
				 ? "; ktls is set to require, so every one will be closed"
				 : "");
}

/* Port 0: the first worker's socket chose; the others share that choice. */
static void learn_ports(struct server *server, const struct worker *first)
{
	for (size_t i = 0; i < server->generation->listeners_len; i++) {
		struct config_listener *listener = &server->generation->listeners[i];
		union conn_address address = {0};
		char name[64];

		listener_learn_port(first->listeners[i], listener);
		memcpy(&address, &listener->address, sizeof(address));
		log_info("listening on %s",
			 conn_address_print(&address, name, sizeof(name)));
	}
}

static int make_workers(struct server *server, char *error, size_t error_len)
{
	const struct generation *generation = server->generation;
	size_t count = generation->config->workers ? generation->config->workers : cpu_count();

	server->workers = calloc(count, sizeof(*server->workers));
	if (!server->workers)
		return -ENOMEM;
	server->workers_len = count;
	for (size_t i = 0; i < generation->listeners_len; i++) {
		const struct config_listener *listener = &generation->listeners[i];
		/* the ksplitd that runs, and not somebody else, has such a port */
		bool ours = server->takeover && listen_fds_overlap(server->inherited, listener);
		int err = ours || listen_fds_count(server->inherited, listener)
				  ? 0
				  : listener_check_free(listener, error, error_len);

		if (err)
			return err;
	}
	for (server->workers_ready = 0; server->workers_ready < count; server->workers_ready++) {
		struct worker *worker = &server->workers[server->workers_ready];
		int err = worker_init(worker, server, (unsigned int)server->workers_ready, error,
				      error_len);

		if (err) {
			server->workers_ready++; /* half made is freed like whole */
			return err;
		}
		if (server->workers_ready == 0)
			learn_ports(server, worker);
	}
	return 0;
}

/* Listening sockets that there are already. */
static int inherit(struct server *server, char *error, size_t error_len)
{
	int err = listen_fds_new(&server->inherited);

	if (err)
		snprintf(error, error_len, "out of memory");
	else if (server->takeover)
		err = handover_take_listeners(server->takeover, server->inherited, error,
					      error_len);
	else
		err = listen_fds_from_manager(server->inherited, error, error_len);
	return err;
}

/* One that the manager has opened, and nobody accepts on, would leave its clients waiting. */
static int end_inheriting(struct server *server, char *error, size_t error_len)
{
	char name[160];
	int err = 0;

	if (listen_fds_unused(server->inherited, name, sizeof(name))) {
		if (server->takeover) {
			log_info("no longer listening: %s", name);
		} else {
			err = -EINVAL;
			snprintf(error, error_len,
				 "the service manager has opened %s for ksplitd, but no listener of the "
				 "configuration has this address: add one, or take it out of the socket "
				 "unit",
				 name);
		}
	}
	listen_fds_free(server->inherited);
	server->inherited = NULL;
	return err;
}

int server_init(struct server *server, struct config *config, struct handover_take *takeover,
		char *error, size_t error_len)
{
	struct timespec now;
	int err;

	memset(server, 0, sizeof(*server));
	server->takeover = takeover;
	pthread_mutex_init(&server->lock, NULL);
	STAILQ_INIT(&server->old);
	clock_gettime(CLOCK_REALTIME, &now);
	server->start_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	err = make_generation(server, config, error, error_len);
	if (!err)
		err = service_check_transparent(config, error, error_len);
	if (err)
		return err;
	atomic_store(&server->own_mark, capture_own_mark(&config->capture));
	err = own_sockets_new(&server->own_sockets);
	if (!err)
		err = make_lists(server);
	if (!err)
		err = sessions_init(server);
	if (!err)
		err = known_origins_new(&server->known_origins);
	if (err)
		return err;
	probe_kernel(server);
	err = inherit(server, error, error_len);
	if (!err)
		err = make_workers(server, error, error_len);
	return err ? err : end_inheriting(server, error, error_len);
}

int server_check(struct config *config, char *error, size_t error_len)
{
	struct generation *generation = NULL;
	struct issuer *issuer = NULL;
	int err = issuer_load(config, &issuer, error, error_len);

	if (!err)
		err = issuer_check_key(issuer, config, error, error_len);
	if (!err)
		err = generation_new(config, issuer, NULL, &generation, error, error_len);
	else
		config_delete(config);
	generation_put(generation);
	issuer_put(issuer);
	return err;
}

void server_hold(struct server *server)
{
	for (size_t i = 0; i < server->workers_len; i++)
		worker_hold(&server->workers[i]);
}

void server_retire(struct server *server)
{
	atomic_store(&server->draining, true);
	reload_end(server->reload);
	metrics_http_leave(server->metrics);
	capture_hook_retire(server);
	capturing_end(server->capturing);
	for (size_t i = 0; i < server->workers_len; i++)
		worker_drain(&server->workers[i]);
}

void server_drain(struct server *server)
{
	atomic_store(&server->draining, true);
	reload_end(server->reload);
	capture_hook_stop(server);
	/* Nobody may be led to a listener that is closed. */
	capturing_end(server->capturing);
	for (size_t i = 0; i < server->workers_len; i++)
		worker_drain(&server->workers[i]);
}

void server_stop(struct server *server)
{
	for (size_t i = 0; i < server->workers_ready; i++)
		if (server->workers[i].thread_started)
			worker_stop(&server->workers[i]);
}

bool server_ended(const struct server *server)
{
	for (size_t i = 0; i < server->workers_len; i++)
		if (!atomic_load(&server->workers[i].ended))
			return false;
	return true;
}

static void stop_signers(struct server *server)
{
	struct generation *generation;

	if (server->generation)
		issuer_stop(server->generation->issuer);
	STAILQ_FOREACH(generation, &server->old, link)
		issuer_stop(generation->issuer);
}

static void free_generations(struct server *server)
{
	struct generation *generation;

	while ((generation = STAILQ_FIRST(&server->old))) {
		STAILQ_REMOVE_HEAD(&server->old, link);
		generation_put(generation);
	}
	generation_put(server->hooked);
	generation_put(server->generation);
}

void server_destroy(struct server *server)
{
	handover_give_end(server->handover);
	capture_hook_stop(server);
	capturing_end(server->capturing);
	server_stop(server);
	reload_end(server->reload);
	/* First those that look at workers, then the workers, then what workers use. */
	control_close(server->control);
	for (size_t i = 0; i < server->workers_ready; i++)
		worker_join(&server->workers[i]);
	resolver_free(server->resolver);
	/* What is on its way to it comes back to the workers as a post. */
	stop_signers(server);
	/* The last export tells of the last requests. */
	observer_stop(server->observer);
	observation_stop_exports(server);
	observer_free(server->observer);
	server->observer = NULL;
	if (server->pin_root > 0)
		close(server->pin_root);
	for (size_t i = 0; i < server->workers_ready; i++)
		worker_destroy(&server->workers[i]);
	free(server->workers);
	capture_hook_free(server);
	capturing_free(server->capturing);
	watchdog_free(server->watchdog);
	handover_give_free(server->handover);
	handover_take_free(server->takeover);
	listen_fds_free(server->inherited);
	launcher_stop(server->launcher);
	own_sockets_free(server->own_sockets);
	overload_free(server->overload);
	learned_pass_free(server->learned);
	known_origins_free(server->known_origins);
	session_cache_free(server->sessions);
	pass_list_free(server->passes);
	pass_list_free(server->rule_counts);
	access_log_close(server->access_log);
	taps_free(server->taps);
	reload_free(server->reload);
	free_generations(server);
	pthread_mutex_destroy(&server->lock);
}

struct generation *server_generation(struct server *server)
{
	struct generation *generation;

	pthread_mutex_lock(&server->lock);
	generation = generation_get(server->generation);
	pthread_mutex_unlock(&server->lock);
	return generation;
}

enum ksplit_reason server_ktls_reason(const struct server *server, const struct config *config)
{
	if (config->relay == RELAY_USER)
		return KSPLIT_KTLS_RELAY_USER;
	if (config->ktls == KTLS_OFF)
		return KSPLIT_KTLS_OFF;
	return server->ktls.ulp ? KSPLIT_NONE : KSPLIT_KTLS_NOT_IN_KERNEL;
}
