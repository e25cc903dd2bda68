// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watchdog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/notify.h"
#include "core/pulse.h"
#include "core/worker.h"

#define TOLD_A_TIME  3	/* within the manager's time */
#define LOOKS_A_TIME 12 /* while somebody does not move, to tell soon when he does */

struct watchdog {
	struct pulse *pulse;
	uint64_t time_us;   /* what the manager gives */
	uint64_t due_us;    /* CLOCK_MONOTONIC, as the next */
	uint64_t silent_us; /* since when nothing moves; 0: it does */
	bool logged;
};

int watchdog_new(const struct server *server, struct watchdog **out)
{
	uint64_t time_us = notify_watchdog_us();
	struct watchdog *watchdog;

	*out = NULL;
	if (!time_us)
		return 0;
	watchdog = calloc(1, sizeof(*watchdog));
	if (!watchdog || pulse_new(server, &watchdog->pulse)) {
		free(watchdog);
		return -ENOMEM;
	}
	watchdog->time_us = time_us;
	*out = watchdog;
	return 0;
}

int watchdog_wait_ms(const struct watchdog *watchdog)
{
	uint64_t now = worker_clock_us(), wait_ms;

	if (!watchdog)
		return -1;
	wait_ms = watchdog->due_us <= now ? 0 : (watchdog->due_us - now + 999) / 1000;
	return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

/*
 * Not of what a busy moment does: a look has failed, and for a third of the time all that follow.
 */
static void complain(struct watchdog *watchdog, uint64_t now)
{
	uint64_t silent = now - watchdog->silent_us;

	if (watchdog->logged || silent < watchdog->time_us / TOLD_A_TIME)
		return;
	log_error("a worker has not moved for %u ms: the service manager is not told that ksplitd "
		  "is alive and will start it again",
		  (unsigned int)(silent / 1000));
	watchdog->logged = true;
}

void watchdog_run(struct watchdog *watchdog)
{
	uint64_t now = worker_clock_us();

	if (!watchdog || now < watchdog->due_us)
		return;
	if (pulse_look(watchdog->pulse)) {
		notify_alive();
		watchdog->due_us = now + watchdog->time_us / TOLD_A_TIME;
		watchdog->silent_us = 0;
		watchdog->logged = false;
		return;
	}
	watchdog->due_us = now + watchdog->time_us / LOOKS_A_TIME;
	if (!watchdog->silent_us)
		watchdog->silent_us = now;
	complain(watchdog, now);
}

void watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	pulse_free(watchdog->pulse);
	free(watchdog);
}
