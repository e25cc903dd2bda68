// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/stand_in.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/timed_wait.h"
#include "core/log.h"
#include "core/server.h"
#include "core/watchdog.h"

/* Often enough for the shortest watchdog of rules (core/config_capture.c) and more. */
#define TURN_MS 50

struct stand_in {
	struct server *server;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ends; /* under lock */
};

static bool wait_turn(struct stand_in *stand_in)
{
	const struct timespec until = timed_wait_moment(TURN_MS);
	bool ends;
	int err = 0;

	pthread_mutex_lock(&stand_in->lock);
	while (!stand_in->ends && !err)
		err = timed_wait(&stand_in->wake, &stand_in->lock, &until);
	ends = stand_in->ends;
	pthread_mutex_unlock(&stand_in->lock);
	return ends;
}

static void *run(void *arg)
{
	struct stand_in *stand_in = arg;
	const uint64_t until_us = worker_clock_us() + STAND_IN_S * 1000000ULL;

	pthread_setname_np(pthread_self(), "ksplit-stand-in");
	while (worker_clock_us() < until_us && !wait_turn(stand_in)) {
		capturing_beat(stand_in->server->capturing);
		watchdog_run(stand_in->server->watchdog);
	}
	return NULL;
}

static int start_thread(struct stand_in *stand_in)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&stand_in->thread, NULL, run, stand_in);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void free_it(struct stand_in *stand_in)
{
	pthread_cond_destroy(&stand_in->wake);
	pthread_mutex_destroy(&stand_in->lock);
	free(stand_in);
}

struct stand_in *stand_in_begin(struct server *server)
{
	struct stand_in *stand_in = calloc(1, sizeof(*stand_in));
	int err;

	if (!stand_in)
		return NULL;
	stand_in->server = server;
	pthread_mutex_init(&stand_in->lock, NULL);
	pthread_cond_init(&stand_in->wake, NULL);
	err = start_thread(stand_in);
	if (!err)
		return stand_in;
	log_warn("no thread to stand in for the main one: %s", strerror(err));
	free_it(stand_in);
	return NULL;
}

void stand_in_end(struct stand_in *stand_in)
{
	if (!stand_in)
		return;
	pthread_mutex_lock(&stand_in->lock);
	stand_in->ends = true;
	pthread_cond_signal(&stand_in->wake);
	pthread_mutex_unlock(&stand_in->lock);
	pthread_join(stand_in->thread, NULL);
	free_it(stand_in);
}
