// SPDX-License-Identifier: GPL-2.0-or-later
/* Who asks for a reload, and what is told of it. */
#include "core/reload.h"

#include <pthread.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/timed_wait.h"
#include "core/handover_give.h"
#include "core/log.h"
#include "core/reload_attempt.h"
#include "core/server.h"
#include "core/stand_in.h"

#define ANSWER_S 90
#define WATCH_MS 500

struct reload {
	struct reload_attempt attempt; /* the main thread's */
	uint64_t handover; /* the main thread's: number of that which carries it out; 0: none */
	uint64_t number;   /* ... for this command and those before it */
	pthread_mutex_t lock;
	pthread_cond_t settled;
	/* under lock */
	struct reload_status status;
	uint64_t asked, done; /* commands, by number */
	char asked_by[RELOAD_BY];
	bool ended;
};

int reload_new(struct server *server, const struct launcher_options *start, struct reload **out)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (!reload)
		return -ENOMEM;
	reload->attempt.server = server;
	reload->attempt.start = start;
	pthread_mutex_init(&reload->lock, NULL);
	pthread_cond_init(&reload->settled, NULL);
	reload->status.generation = server->generation->number;
	*out = reload;
	return 0;
}

/* The number of the last command that this reload is for. */
static uint64_t take_order(struct reload *reload, const char *by)
{
	uint64_t number;

	pthread_mutex_lock(&reload->lock);
	number = reload->asked;
	snprintf(reload->status.by, sizeof(reload->status.by), "%s",
		 number > reload->done ? reload->asked_by : by);
	pthread_mutex_unlock(&reload->lock);
	return number;
}

static void tell(const struct reload_attempt *attempt)
{
	if (attempt->failed)
		log_error("reload: %s; nothing has changed", attempt->error);
	else if (attempt->kept[0])
		log_warn("reload: done, configuration %lu; takes effect at the next upgrade or "
			 "restart: %s",
			 (unsigned long)attempt->server->generation->number, attempt->kept);
	else
		log_info("reload: done, configuration %lu",
			 (unsigned long)attempt->server->generation->number);
}

/* `pid`: who has carried it out; 0: this process. */
static void settle(struct reload *reload, uint64_t number, pid_t pid)
{
	const struct reload_attempt *attempt = &reload->attempt;
	struct reload_status *status = &reload->status;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&reload->lock);
	status->last_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	status->last_failed = attempt->failed;
	status->failed += attempt->failed;
	status->done += !attempt->failed;
	memcpy(status->error, attempt->error, sizeof(status->error));
	memcpy(status->kept, attempt->kept, sizeof(status->kept));
	status->generation = attempt->server->generation->number;
	status->old = attempt->old;
	status->pid = (int)pid;
	reload->done = number;
	pthread_cond_broadcast(&reload->settled);
	pthread_mutex_unlock(&reload->lock);
}

/* It has been seen to be good here; the other one tries what only it can. */
static void hand_over(struct reload *reload, uint64_t number)
{
	log_info("reload: %s, which takes the rights of the start: a new ksplitd takes over",
		 reload->attempt.error);
	reload->number = number;
	reload->handover = handover_give_request(reload->attempt.server->handover,
						 reload->status.by, true);
}

void reload_run(struct reload *reload, const char *by)
{
	uint64_t number = take_order(reload, by);
	struct stand_in *stand_in;

	log_info("reload: by %s", reload->status.by);
	stand_in = stand_in_begin(reload->attempt.server);
	reload_attempt_run(&reload->attempt);
	stand_in_end(stand_in);
	if (reload->attempt.beyond) {
		hand_over(reload, number);
		return;
	}
	tell(&reload->attempt);
	settle(reload, number, 0);
}

void reload_note_handover(struct reload *reload)
{
	struct reload_attempt *attempt = &reload->attempt;
	struct handover_outcome outcome;

	if (!reload->handover ||
	    !handover_give_outcome(attempt->server->handover, reload->handover, &outcome))
		return;
	reload->handover = 0;
	attempt->failed = !outcome.done;
	attempt->kept[0] = '\0';
	snprintf(attempt->error, sizeof(attempt->error), "%s", outcome.why);
	if (outcome.done)
		log_info("reload: done, by process %d", (int)outcome.pid);
	else
		tell(attempt);
	settle(reload, reload->number, outcome.pid);
}

int reload_watch_ms(const struct reload *reload)
{
	return reload && reload->attempt.old ? WATCH_MS : -1;
}

void reload_watch(struct reload *reload)
{
	if (!reload || !reload->attempt.old)
		return;
	reload_attempt_reap(&reload->attempt);
	pthread_mutex_lock(&reload->lock);
	reload->status.old = reload->attempt.old;
	pthread_mutex_unlock(&reload->lock);
}

bool reload_ask(struct reload *reload, const char *by, struct reload_status *out)
{
	const struct timespec until = timed_wait_moment(ANSWER_S * 1000);
	uint64_t number;
	int err = 0;
	bool done;

	pthread_mutex_lock(&reload->lock);
	snprintf(reload->asked_by, sizeof(reload->asked_by), "%s", by);
	number = ++reload->asked;
	/* The main thread waits for signals, whatever else it waits for. */
	kill(getpid(), SIGHUP);
	while (!reload->ended && reload->done < number && !err)
		err = timed_wait(&reload->settled, &reload->lock, &until);
	done = reload->done >= number;
	*out = reload->status;
	pthread_mutex_unlock(&reload->lock);
	return done;
}

void reload_read(struct reload *reload, struct reload_status *out)
{
	pthread_mutex_lock(&reload->lock);
	*out = reload->status;
	pthread_mutex_unlock(&reload->lock);
}

void reload_end(struct reload *reload)
{
	if (!reload)
		return;
	pthread_mutex_lock(&reload->lock);
	reload->ended = true;
	pthread_cond_broadcast(&reload->settled);
	pthread_mutex_unlock(&reload->lock);
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	reload_attempt_forget(&reload->attempt);
	pthread_cond_destroy(&reload->settled);
	pthread_mutex_destroy(&reload->lock);
	free(reload);
}
