// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook's life, and its thread: beats, looks for cgroups, obeys commands. */
#include "capture/steer_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/timed_wait.h"
#include "capture/steer_targets.h"
#include "core/log.h"
#include "observe/bpf_object.h"

#define TURN_MS	      500 /* cgroups are looked for, the heart beats */
#define TURNS_A_WATCH 4	  /* at least so often within the watchdog's time */
#define MS_NS	      1000000ULL

/* --- the daemon's heart --- */

static bool works(const struct steer *steer)
{
	return !steer->options.works || steer->options.works(steer->options.ctx);
}

/* The programs have found out by themselves: this tells of it. */
static void tell_stalled(struct steer *steer)
{
	char why[CAPTURE_WHY];

	snprintf(why, sizeof(why),
		 "a worker, or all of ksplitd, did not move for %u ms; calls are steered again when "
		 "it does",
		 (unsigned int)steer->options.watchdog);
	if (steer_state(steer) == CAPTURE_ON)
		steer_count_withdrawn(steer, CAPTURE_BY_WATCHDOG);
	log_error("capture by connect hook is withdrawn: %s", why);
	steer_set_state(steer, CAPTURE_WITHDRAWN, "watchdog", why);
}

static void tell_on(struct steer *steer)
{
	struct steer_status status;

	steer_read(steer, &status);
	log_info("capture by connect hook is on");
	steer_set_state(steer, CAPTURE_ON,
			status.state.state == CAPTURE_WITHDRAWN ? "watchdog" : status.state.by, "");
}

static bool is_silent(const struct steer *steer)
{
	return steer->options.watchdog &&
	       steer_clock_ns() - steer->beat_ns >= steer->options.watchdog * MS_NS;
}

static void beat_if(struct steer *steer, bool alive)
{
	enum capture_state state = steer_state(steer);

	/* Also when it moves again by now: for a while calls went direct. */
	if (state != CAPTURE_WITHDRAWN && is_silent(steer) && (state == CAPTURE_ON || !alive))
		tell_stalled(steer);
	if (alive && steer_beat(steer) == 0 && steer_state(steer) != CAPTURE_ON)
		tell_on(steer);
}

/* --- the thread --- */

static uint64_t turn_ms(const struct steer *steer)
{
	uint32_t watchdog = steer->options.watchdog;

	if (!watchdog || watchdog / TURNS_A_WATCH > TURN_MS)
		return TURN_MS;
	return watchdog / TURNS_A_WATCH ? watchdog / TURNS_A_WATCH : 1;
}

/* Until the next turn, or a command; true when it is the end. */
static bool wait_turn(struct steer *steer)
{
	const struct timespec until = timed_wait_moment(turn_ms(steer));
	bool ends;

	pthread_mutex_lock(&steer->lock);
	while (!steer->ends && steer->asked == steer->done &&
	       timed_wait(&steer->wake, &steer->lock, &until) != ETIMEDOUT)
		;
	ends = steer->ends;
	pthread_mutex_unlock(&steer->lock);
	return ends;
}

static void obey(struct steer *steer)
{
	char by[CAPTURE_BY];
	uint64_t number;
	bool on;

	pthread_mutex_lock(&steer->lock);
	number = steer->asked;
	on = steer->asked_on;
	memcpy(by, steer->asked_by, sizeof(by));
	pthread_mutex_unlock(&steer->lock);
	if (number == steer->done)
		return;
	if (on && !steer->wanted) {
		works(steer); /* what it looks at moves while the hook is tried */
		steer_switch_on(steer, by);
	} else if (!on && steer_state(steer) != CAPTURE_OFF) {
		steer_switch_off(steer, by, CAPTURE_BY_COMMAND);
	}
	pthread_mutex_lock(&steer->lock);
	steer->done = number;
	pthread_cond_broadcast(&steer->settled);
	pthread_mutex_unlock(&steer->lock);
}

static void *run(void *arg)
{
	struct steer *steer = arg;

	pthread_setname_np(pthread_self(), "ksplit-steer");
	do {
		obey(steer);
		if (!steer->wanted)
			continue;
		beat_if(steer, works(steer));
		steer_look(steer);
	} while (!wait_turn(steer));
	return NULL;
}

/* --- begin and end --- */

static int start_thread(struct steer *steer, char *why, size_t why_len)
{
	int err = -pthread_create(&steer->thread, NULL, run, steer);

	if (err)
		snprintf(why, why_len, "no thread for it: %s", strerror(-err));
	steer->has_thread = !err;
	return err;
}

static void free_programs(struct steer *steer)
{
	steer_targets_free(steer->targets);
	bpf_object_free(steer->set);
	steer->targets = NULL;
	steer->set = NULL;
	steer->skel = NULL;
}

static void begin(struct steer *steer)
{
	char why[CAPTURE_WHY] = "";
	int err = steer_load(steer, why, sizeof(why));

	if (!err && steer->options.idle)
		steer_set_state(steer, CAPTURE_OFF, "upgrade", "");
	else if (!err)
		steer_switch_on(steer, "start");
	/* Those that work begin after this. */
	if (!err && steer->wanted)
		beat_if(steer, true);
	if (!err)
		err = start_thread(steer, why, sizeof(why));
	if (!err)
		return;
	steer->wanted = false;
	free_programs(steer);
	log_error("capture by connect hook is off, calls go direct: %s", why);
	snprintf(steer->broken, sizeof(steer->broken), "%s", why);
	steer_set_state(steer, CAPTURE_FAILED, "start", why);
}

int steer_new(const struct steer_options *options, struct steer **out)
{
	const struct capture_match *match = &options->part->match;
	struct steer *steer = calloc(1, sizeof(*steer));

	*out = steer;
	if (!steer)
		return -ENOMEM;
	steer->options = *options;
	steer->inherited_calls = -1;
	steer->status.wanted = match->cgroups.len + match->units.len;
	pthread_mutex_init(&steer->lock, NULL);
	pthread_cond_init(&steer->wake, NULL);
	pthread_cond_init(&steer->settled, NULL);
	begin(steer);
	return 0;
}

/* false: that was done before. Who waits for a command waits no longer. */
static bool end_thread(struct steer *steer)
{
	bool first, joins;

	pthread_mutex_lock(&steer->lock);
	first = !steer->ends;
	joins = steer->has_thread;
	steer->ends = true;
	steer->has_thread = false;
	pthread_cond_broadcast(&steer->wake);
	pthread_cond_broadcast(&steer->settled);
	pthread_mutex_unlock(&steer->lock);
	if (joins)
		pthread_join(steer->thread, NULL);
	return first;
}

void steer_stop(struct steer *steer)
{
	if (steer && end_thread(steer))
		steer_switch_off(steer, "end", CAPTURE_BY_END);
}

void steer_retire(struct steer *steer)
{
	if (!steer || !end_thread(steer))
		return;
	steer_hold(steer);
	steer_set_state(steer, CAPTURE_OFF, "upgrade", "");
}

void steer_free(struct steer *steer)
{
	if (!steer)
		return;
	steer_stop(steer);
	free_programs(steer);
	if (steer->inherited_calls >= 0)
		close(steer->inherited_calls);
	pthread_cond_destroy(&steer->wake);
	pthread_cond_destroy(&steer->settled);
	pthread_mutex_destroy(&steer->lock);
	free(steer);
}

/* --- commands --- */

void steer_switch(struct steer *steer, bool on, const char *by)
{
	pthread_mutex_lock(&steer->lock);
	if (!steer->has_thread && !steer->ends) {
		steer_set_state_locked(steer, on ? CAPTURE_FAILED : CAPTURE_OFF, by,
				       on ? steer->broken : "");
	} else if (steer->has_thread) {
		steer->asked_on = on;
		snprintf(steer->asked_by, sizeof(steer->asked_by), "%s", by);
		steer->asked++;
		pthread_cond_broadcast(&steer->wake);
	}
	pthread_mutex_unlock(&steer->lock);
}

void steer_await(struct steer *steer, unsigned int timeout_ms)
{
	const struct timespec until = timed_wait_moment(timeout_ms);
	int err = 0;

	pthread_mutex_lock(&steer->lock);
	while (!steer->ends && !err &&
	       (steer->done != steer->asked || steer->status.state.state == CAPTURE_STARTING))
		err = timed_wait(&steer->settled, &steer->lock, &until);
	pthread_mutex_unlock(&steer->lock);
}
