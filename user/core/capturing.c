// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/timed_wait.h"
#include "capture/self_test.h"
#include "core/capturing_inner.h"
#include "core/capturing_table.h"
#include "core/pulse.h"
#include "core/server.h"

#define BEGIN_MS         10000 /* for the keeper's first answer */
#define COMMAND_S        4     /* whoever asks waits 5 s for an answer */
#define BEATS_A_WATCHDOG 6
#define BEAT_MIN_US      20000
#define BEAT_MAX_US      500000

/* --- beats --- */

static uint64_t beat_interval_us(const struct capturing *capturing)
{
	uint64_t interval = (uint64_t)capturing->capture->watchdog * 1000 / BEATS_A_WATCHDOG;

	if (interval > BEAT_MAX_US)
		return BEAT_MAX_US;
	return interval < BEAT_MIN_US ? BEAT_MIN_US : interval;
}

static void beat(struct capturing *capturing)
{
	if (pulse_look(capturing->pulse))
		keeper_beat(capturing->keeper);
	capturing->beat_us = worker_clock_us() + beat_interval_us(capturing);
}

void capturing_beat(struct capturing *capturing)
{
	bool alive;

	if (!capturing)
		return;
	alive = pulse_look(capturing->pulse);
	pthread_mutex_lock(&capturing->keeper_lock);
	if (alive && capturing->keeper)
		keeper_beat(capturing->keeper);
	pthread_mutex_unlock(&capturing->keeper_lock);
}

/* --- the main thread's loop --- */

static void read_keeper(struct capturing *capturing)
{
	struct keeper_report report;
	int rc = 0;

	while (capturing->keeper && (rc = keeper_read(capturing->keeper, &report)) > 0)
		capturing_obey(capturing, &report);
	if (capturing->keeper && rc < 0)
		capturing_lose_keeper(capturing, "the keeper's process is gone");
}

static void obey_command(struct capturing *capturing)
{
	char by[CAPTURE_BY];
	enum capture_state state;
	uint64_t count;
	bool on, nothing;

	if (read(capturing->wake_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&capturing->lock);
	memcpy(by, capturing->asked_by, sizeof(by));
	on = capturing->asked_on;
	capturing->seen = capturing->asked;
	state = capturing->status.state;
	nothing = state == (on ? CAPTURE_ON : CAPTURE_OFF) || state == CAPTURE_NOT_CONFIGURED;
	if (nothing) {
		capturing->done = capturing->seen;
		pthread_cond_broadcast(&capturing->settled);
	}
	pthread_mutex_unlock(&capturing->lock);
	if (nothing)
		return;
	if (on)
		capturing_switch_on(capturing, by);
	else
		capturing_switch_off(capturing, by, CAPTURE_BY_COMMAND);
}

static void run_due(struct capturing *capturing)
{
	uint64_t now = worker_clock_us();

	if (now >= capturing->answer_us)
		capturing_lose_keeper(capturing, "the keeper did not answer");
	if (now >= capturing->retry_us) {
		capturing->retry_us = CAPTURING_NEVER;
		capturing_load(capturing);
	}
	if (now >= capturing->clear_us)
		capturing_clear(capturing);
	if (!capturing->keeper || !capturing->wanted)
		capturing->beat_us = CAPTURING_NEVER;
	if (now >= capturing->beat_us)
		beat(capturing);
}

static int next_ms(const struct capturing *capturing)
{
	uint64_t now = worker_clock_us(), next = capturing->beat_us;

	if (capturing->answer_us < next)
		next = capturing->answer_us;
	if (capturing->retry_us < next)
		next = capturing->retry_us;
	if (capturing->clear_us < next)
		next = capturing->clear_us;
	if (next == CAPTURING_NEVER)
		return -1;
	return next <= now ? 0 : (int)((next - now + 999) / 1000);
}

/* The shorter of the two, where -1 is for ever. */
static int sooner_ms(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

int capturing_wait(struct capturing *capturing, const sigset_t *set, int timeout_ms)
{
	uint64_t end_us =
		timeout_ms < 0 ? CAPTURING_NEVER : worker_clock_us() + (uint64_t)timeout_ms * 1000;
	const struct timespec none = {0};
	int sig;

	if (capturing->signal_fd < 0)
		capturing->signal_fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = capturing->signal_fd, .events = POLLIN},
			{.fd = capturing->wake_fd, .events = POLLIN},
			{.fd = capturing->keeper ? keeper_fd(capturing->keeper) : -1,
			 .events = POLLIN},
		};

		run_due(capturing);
		if (fds[2].fd >= 0 && !capturing->keeper)
			continue; /* it was ended meanwhile, and its descriptor with it */
		if (worker_clock_us() >= end_us)
			return -1;
		if (poll(fds, 3, sooner_ms(next_ms(capturing), timeout_ms)) < 0)
			continue;
		if (fds[2].revents)
			read_keeper(capturing);
		if (fds[1].revents)
			obey_command(capturing);
		sig = fds[0].revents ? sigtimedwait(set, NULL, &none) : -1;
		if (sig > 0)
			return sig;
	}
}

/* --- life --- */

static int set_up(struct capturing *capturing)
{
	const bool rules = capture_has_rules(capturing->capture);
	int err = rules ? capturing_make_texts(capturing->capture, capturing->texts) : 0;

	capturing->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!err && capturing->wake_fd < 0)
		err = -errno;
	if (!err)
		err = pulse_new(capturing->server, &capturing->pulse);
	if (!err)
		err = self_test_new(&capturing->self_test);
	return err || !rules ? err : capturing_start_keeper(capturing);
}

/* Whose table is there is still needed while ours is loaded. */
int capturing_name_table(const struct server *server, struct capture *capture, char *error,
			 size_t error_len)
{
	char why[CAPTURE_WHY], *name;
	int err;

	if (!server->takeover)
		return 0;
	err = capturing_table_choose(capture->table, &name, why, sizeof(why));
	if (err) {
		snprintf(error, error_len, "capture: %s", why);
		return err;
	}
	free(capture->table);
	capture->table = name;
	return 0;
}

int capturing_new(struct server *server, struct capturing **out, char *error, size_t error_len)
{
	struct capture *capture = &server->generation->config->capture;
	const bool rules = capture_has_rules(capture);
	int err = rules ? capturing_name_table(server, capture, error, error_len) : 0;
	struct capturing *capturing;

	if (err)
		return err;
	capturing = calloc(1, sizeof(*capturing));
	if (!capturing)
		return -ENOMEM;
	capturing->server = server;
	capturing->capture = capture;
	capturing->wake_fd = capturing->signal_fd = -1;
	capturing->beat_us = capturing->answer_us = CAPTURING_NEVER;
	capturing->retry_us = capturing->clear_us = CAPTURING_NEVER;
	pthread_mutex_init(&capturing->keeper_lock, NULL);
	pthread_mutex_init(&capturing->lock, NULL);
	pthread_cond_init(&capturing->settled, NULL);
	capturing->status.state = rules ? CAPTURE_STARTING : CAPTURE_NOT_CONFIGURED;
	err = set_up(capturing);
	if (err) {
		snprintf(error, error_len, "cannot set up capture");
		capturing_free(capturing);
		return err;
	}
	*out = capturing;
	return 0;
}

void capturing_begin(struct capturing *capturing)
{
	struct keeper_report report;

	if (!capturing_has_rules(capturing))
		return;
	capturing_switch_on(capturing, "start");
	/* Ready means: what is captured is captured now. */
	if (capturing->keeper && capturing->answer_us != CAPTURING_NEVER &&
	    keeper_wait(capturing->keeper, &report, BEGIN_MS) > 0)
		capturing_obey(capturing, &report);
}

void capturing_begin_off(struct capturing *capturing)
{
	if (capturing_has_rules(capturing))
		capturing_set_state(capturing, CAPTURE_OFF, "upgrade", "");
}

void capturing_follow(struct capturing *capturing, const struct capture *capture)
{
	if (capturing)
		capturing->capture = capture;
}

/* false: that was done before. Who waits for a command waits no longer. */
static bool end_commands(struct capturing *capturing)
{
	bool first;

	pthread_mutex_lock(&capturing->lock);
	first = !capturing->ended;
	capturing->ended = true;
	pthread_cond_broadcast(&capturing->settled);
	pthread_mutex_unlock(&capturing->lock);
	return first;
}

void capturing_end(struct capturing *capturing)
{
	if (!capturing || !end_commands(capturing) || !capturing_has_rules(capturing))
		return;
	capturing_withdraw(capturing, "end", CAPTURE_BY_END);
	capturing_set_state(capturing, CAPTURE_OFF, "end", "");
}

void capturing_free(struct capturing *capturing)
{
	if (!capturing)
		return;
	if (capturing->keeper)
		keeper_remove(capturing->keeper);
	capturing_stop_keeper(capturing, CAPTURING_END_MS);
	if (capturing->wake_fd >= 0)
		close(capturing->wake_fd);
	if (capturing->signal_fd >= 0)
		close(capturing->signal_fd);
	self_test_free(capturing->self_test);
	pthread_cond_destroy(&capturing->settled);
	pthread_mutex_destroy(&capturing->lock);
	pthread_mutex_destroy(&capturing->keeper_lock);
	pulse_free(capturing->pulse);
	for (size_t i = 0; i < CAPTURING_TEXTS; i++)
		free(capturing->texts[i]);
	free(capturing);
}

/* --- other threads --- */

void capturing_read(struct capturing *capturing, struct capture_status *out)
{
	*out = (struct capture_status){.state = CAPTURE_NOT_CONFIGURED};
	if (!capturing)
		return;
	pthread_mutex_lock(&capturing->lock);
	if (capturing->status.state != CAPTURE_NOT_CONFIGURED)
		*out = capturing->status;
	pthread_mutex_unlock(&capturing->lock);
}

void capturing_switch(struct capturing *capturing, bool on, const char *by)
{
	const uint64_t one = 1;
	struct timespec until;
	uint64_t number;
	ssize_t n;
	int err = 0;

	if (!capturing_has_rules(capturing))
		return;
	until = timed_wait_moment(COMMAND_S * 1000);
	pthread_mutex_lock(&capturing->lock);
	capturing->asked_on = on;
	snprintf(capturing->asked_by, sizeof(capturing->asked_by), "%s", by);
	number = ++capturing->asked;
	n = write(capturing->wake_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: it is readable already */
	while (!capturing->ended && capturing->done < number && !err)
		err = timed_wait(&capturing->settled, &capturing->lock, &until);
	pthread_mutex_unlock(&capturing->lock);
}

struct self_test *capturing_self_test(const struct capturing *capturing)
{
	return capturing ? capturing->self_test : NULL;
}
