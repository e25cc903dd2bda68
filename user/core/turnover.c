// SPDX-License-Identifier: GPL-2.0-or-later
/* What the main thread does for a turnover. */
#include "core/turnover_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/generation.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/policy_caller.h"
#include "core/server.h"
#include "observe/timings.h"

#define STEP_S 5 /* a worker that has not moved for so long hangs */

/* --- which listeners stay --- */

static bool was_taken(const struct turnover *turnover, size_t len, size_t old)
{
	for (size_t i = 0; i < len; i++)
		if (turnover->was[i] == old)
			return true;
	return false;
}

static bool same_address(const struct config_listener *a, const struct config_listener *b)
{
	const sa_family_t family = a->address.sa.sa_family;

	return family == b->address.sa.sa_family &&
	       !memcmp(&a->address, &b->address,
		       family == AF_INET6 ? sizeof(a->address.in6) : sizeof(a->address.in));
}

/* By the address as configured: port 0 stays the port that was chosen for it. */
static void match_listeners(struct turnover *turnover)
{
	const struct config *now = turnover->now->config, *next = turnover->next->config;

	for (size_t i = 0; i < next->listeners_len; i++) {
		turnover->was[i] = TURNOVER_NOT_THERE;
		for (size_t old = 0; old < now->listeners_len; old++) {
			if (was_taken(turnover, i, old) ||
			    !same_address(&now->listeners[old], &next->listeners[i]))
				continue;
			turnover->was[i] = old;
			turnover->next->listeners[i].address =
				turnover->now->listeners[old].address;
			break;
		}
	}
}

static bool is_wildcard(const struct config_listener *config)
{
	return config->address.sa.sa_family == AF_INET6
		       ? IN6_IS_ADDR_UNSPECIFIED(&config->address.in6.sin6_addr)
		       : config->address.in.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Does a listener of ours have this port on an address that includes this one, or lies in it? */
static bool overlaps_own(const struct turnover *turnover, const struct config_listener *config)
{
	for (size_t i = 0; i < turnover->now->listeners_len; i++) {
		const struct config_listener *own = &turnover->now->listeners[i];

		if (own->address.sa.sa_family == config->address.sa.sa_family &&
		    own->address.in.sin_port == config->address.in.sin_port &&
		    (is_wildcard(own) || is_wildcard(config)))
			return true;
	}
	return false;
}

/* --- steps, on the main thread --- */

static void run_step(struct worker_errand *errand)
{
	struct step *step = (struct step *)errand;

	step->run(step->share);
}

static void give_step(struct share *share, struct step *step, void (*run)(struct share *share))
{
	step->errand.worker = share->worker;
	step->errand.run = run_step;
	step->share = share;
	step->run = run;
	worker_round_send(&share->turnover->round, &step->errand);
}

int turnover_open(struct turnover *turnover, char *error, size_t error_len)
{
	int err;

	for (size_t i = 0; i < turnover->shares_len; i++)
		give_step(&turnover->shares[i], &turnover->shares[i].open, turnover_open_share);
	err = worker_round_wait(&turnover->round, STEP_S);
	if (err)
		snprintf(error, error_len, "a worker has not moved for %d s", STEP_S);
	return err;
}

static void log_address(const char *what, const struct config_listener *config)
{
	union conn_address address = {0};
	char name[64];

	memcpy(&address, &config->address, sizeof(address));
	log_info("%s %s", what, conn_address_print(&address, name, sizeof(name)));
}

static void tell(const struct turnover *turnover)
{
	const size_t len = turnover->next->listeners_len;

	for (size_t i = 0; i < len; i++)
		if (turnover->was[i] == TURNOVER_NOT_THERE)
			log_address("listening on", &turnover->next->listeners[i]);
	for (size_t old = 0; old < turnover->now->listeners_len; old++)
		if (!was_taken(turnover, len, old))
			log_address("no longer listening on", &turnover->now->listeners[old]);
}

int turnover_commit(struct turnover *turnover)
{
	tell(turnover);
	for (size_t i = 0; i < turnover->shares_len; i++)
		give_step(&turnover->shares[i], &turnover->shares[i].finish, turnover_commit_share);
	return worker_round_wait(&turnover->round, STEP_S);
}

bool turnover_is_over(struct turnover *turnover)
{
	return worker_round_is_over(&turnover->round);
}

void turnover_undo(struct turnover *turnover)
{
	for (size_t i = 0; i < turnover->shares_len; i++)
		give_step(&turnover->shares[i], &turnover->shares[i].finish, turnover_undo_share);
	worker_round_wait(&turnover->round, STEP_S);
}

/* --- life --- */

/* Everything but the sockets. */
static int make_share(struct turnover *turnover, struct share *share)
{
	const struct generation *next = turnover->next;

	/* Nobody changes it now: there is no other turnover. */
	share->present_len = share->worker->listeners_len;
	share->opened = calloc(share->present_len + next->listeners_len, sizeof(*share->opened));
	share->final = calloc(share->present_len + next->listeners_len, sizeof(*share->final));
	if (!share->opened || !share->final)
		return -ENOMEM;
	return policy_names_processes(&next->config->policy) ? policy_callers_new(&share->callers)
							     : 0;
}

/* Accepted sockets take after their listener. */
static void mark_listener(const struct turnover *turnover, const struct listener *listener)
{
	struct timings *timings = observer_timings(turnover->server->observer);

	if (timings)
		timings_mark_listener(timings, listener->fd);
}

static int open_fresh(struct turnover *turnover, size_t index, char *error, size_t error_len)
{
	struct config_listener *config = &turnover->next->listeners[index];
	int err = 0;

	if (!overlaps_own(turnover, config))
		err = listener_check_free(config, error, error_len);
	for (size_t i = 0; i < turnover->shares_len && !err; i++) {
		struct share *share = &turnover->shares[i];

		err = listener_new(share->worker, turnover->next, config, &share->fresh[index],
				   error, error_len);
		if (!err)
			err = listener_listen(share->fresh[index], error, error_len);
		if (err)
			break;
		if (i == 0)
			listener_learn_port(share->fresh[index], config);
		mark_listener(turnover, share->fresh[index]);
	}
	return err;
}

/* A socket that is kept may have to do what it did not do before. */
static int prepare_kept(struct turnover *turnover, size_t index, char *error, size_t error_len)
{
	int err = 0;

	for (size_t i = 0; i < turnover->shares_len; i++) {
		const struct share *share = &turnover->shares[i];

		for (size_t k = 0; k < share->present_len && !err; k++)
			if (turnover_index_of(turnover, share->worker->listeners[k]) ==
			    turnover->was[index])
				err = listener_prepare(share->worker->listeners[k],
						       &turnover->next->listeners[index], error,
						       error_len);
	}
	return err;
}

static int make_listeners(struct turnover *turnover, char *error, size_t error_len)
{
	int err = 0;

	for (size_t i = 0; i < turnover->next->listeners_len && !err; i++)
		err = turnover->was[i] == TURNOVER_NOT_THERE
			      ? open_fresh(turnover, i, error, error_len)
			      : prepare_kept(turnover, i, error, error_len);
	return err;
}

static void free_share(struct share *share)
{
	for (size_t i = 0; i < CONFIG_MAX_LISTENERS; i++)
		listener_free(share->fresh[i]);
	free(share->opened);
	free(share->final);
	policy_callers_free(share->callers);
}

static void free_all(struct worker_round *round)
{
	struct turnover *turnover = (struct turnover *)round;

	for (size_t i = 0; i < turnover->shares_len; i++)
		free_share(&turnover->shares[i]);
	generation_put(turnover->now);
	generation_put(turnover->next);
	free(turnover);
}

int turnover_new(struct server *server, struct generation *next, struct turnover **out, char *error,
		 size_t error_len)
{
	struct turnover *turnover =
		calloc(1, sizeof(*turnover) + server->workers_len * sizeof(struct share));
	int err = 0;

	snprintf(error, error_len, "out of memory");
	if (!turnover)
		return -ENOMEM;
	worker_round_init(&turnover->round, free_all);
	turnover->server = server;
	turnover->now = generation_get(server->generation);
	turnover->next = generation_get(next);
	turnover->shares_len = server->workers_len;
	match_listeners(turnover);
	for (size_t i = 0; i < turnover->shares_len && !err; i++) {
		turnover->shares[i].turnover = turnover;
		turnover->shares[i].worker = &server->workers[i];
		err = make_share(turnover, &turnover->shares[i]);
	}
	if (!err)
		err = make_listeners(turnover, error, error_len);
	if (err)
		turnover_free(turnover);
	else
		*out = turnover;
	return err;
}

void turnover_free(struct turnover *turnover)
{
	if (turnover)
		worker_round_put(&turnover->round);
}
