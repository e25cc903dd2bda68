// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "capture/keeper.h"
#include "capture/rules_text.h"
#include "capture/self_test.h"
#include "core/log.h"
#include "core/server.h"

#define SELF_TEST_MS	4000
#define ORDER_US	10000000 /* for the keeper's answer; large rulesets take seconds */
#define END_MS		3000	 /* the same when the daemon ends */
#define COMMAND_S	4	 /* whoever asks waits 5 s for an answer */
#define RETRY_FIRST_US	200000
#define RETRY_LAST_US	30000000
#define BEATS_A_WATCHDOG 6
#define BEAT_MIN_US	20000
#define BEAT_MAX_US	500000
#define CLEAR_US	1000000 /* between two looks whether connections are open */
#define NEVER		UINT64_MAX
#define TEXTS		4

struct capturing {
	struct server *server;
	const struct capture *capture;
	struct self_test *self_test;
	char *texts[TEXTS];  /* of struct keeper_rules, in its order */
	uint64_t *turns;     /* of each worker, at the last beat */
	int wake_fd;	     /* a command has come */
	int signal_fd;	     /* -1 until there is something to wait for */
	/* of the main thread */
	struct keeper *keeper; /* NULL: none now */
	bool wanted;	       /* told to be on */
	bool recovering;       /* it was on, and shall be again without being told */
	uint64_t beat_us, answer_us, retry_us, clear_us; /* when these are due; NEVER */
	uint64_t retry_delay_us;
	char by[CAPTURE_BY]; /* who gave the order under way */
	pthread_mutex_t lock;
	pthread_cond_t settled;
	/* under lock */
	struct capture_status status;
	bool ended; /* nothing is switched any more */
	bool asked_on;
	char asked_by[CAPTURE_BY];
	uint64_t asked, seen, done; /* commands, by number */
};

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum capture_state state_of(struct capturing *capturing)
{
	enum capture_state state;

	pthread_mutex_lock(&capturing->lock);
	state = capturing->status.state;
	pthread_mutex_unlock(&capturing->lock);
	return state;
}

static void set_state(struct capturing *capturing, enum capture_state state, const char *by,
		      const char *why)
{
	struct capture_status *status = &capturing->status;

	pthread_mutex_lock(&capturing->lock);
	status->state = state;
	status->since_ms = wall_ms();
	status->keeper_pid = capturing->keeper ? (int)keeper_pid(capturing->keeper) : 0;
	status->has_owner = status->has_owner && state == CAPTURE_ON;
	snprintf(status->by, sizeof(status->by), "%s", by);
	snprintf(status->why, sizeof(status->why), "%s", why);
	if (state != CAPTURE_STARTING)
		capturing->done = capturing->seen;
	pthread_cond_broadcast(&capturing->settled);
	pthread_mutex_unlock(&capturing->lock);
}

static void count_withdrawn(struct capturing *capturing, enum capture_withdrawal withdrawal)
{
	pthread_mutex_lock(&capturing->lock);
	capturing->status.withdrawn[withdrawal]++;
	pthread_mutex_unlock(&capturing->lock);
}

/* Off until somebody asks for it again; the keeper must not load by itself what it still has. */
static void give_up(struct capturing *capturing, const char *why)
{
	log_error("capture is off: %s", why);
	capturing->wanted = capturing->recovering = false;
	capturing->answer_us = capturing->retry_us = NEVER;
	if (capturing->keeper)
		keeper_withdraw(capturing->keeper);
	set_state(capturing, CAPTURE_FAILED, capturing->by, why);
}

static void retry_later(struct capturing *capturing)
{
	capturing->recovering = true;
	capturing->answer_us = NEVER;
	capturing->retry_us = worker_clock_us() + capturing->retry_delay_us;
	capturing->retry_delay_us *= 2;
	if (capturing->retry_delay_us > RETRY_LAST_US)
		capturing->retry_delay_us = RETRY_LAST_US;
}

static void keeper_lost(struct capturing *capturing, const char *why)
{
	enum capture_state state = state_of(capturing);

	keeper_stop(capturing->keeper, 0);
	capturing->keeper = NULL;
	capturing->answer_us = NEVER;
	if (!capturing->wanted) {
		if (state != CAPTURE_FAILED)
			set_state(capturing, CAPTURE_OFF, capturing->by, "");
		return;
	}
	if (state == CAPTURE_ON)
		count_withdrawn(capturing, CAPTURE_BY_KEEPER);
	log_error("capture: %s; its rules are withdrawn by the kernel, a new keeper is made", why);
	set_state(capturing, CAPTURE_WITHDRAWN, "keeper", why);
	retry_later(capturing);
}

static int start_keeper(struct capturing *capturing)
{
	const struct keeper_options options = {.table = capturing->capture->table,
					       .watchdog_ms = capturing->capture->watchdog};

	return capturing->keeper ? 0 : keeper_start(&options, &capturing->keeper);
}

/* --- beats --- */

static uint64_t beat_interval_us(const struct capturing *capturing)
{
	uint64_t interval = (uint64_t)capturing->capture->watchdog * 1000 / BEATS_A_WATCHDOG;

	if (interval > BEAT_MAX_US)
		return BEAT_MAX_US;
	return interval < BEAT_MIN_US ? BEAT_MIN_US : interval;
}

static bool worker_moved(const struct capturing *capturing, size_t i)
{
	const struct worker *worker = &capturing->server->workers[i];

	return atomic_load(&worker->ended) || worker_turns(worker) != capturing->turns[i];
}

/* Has every worker passed its loop since the last beat? Idle ones do because they are woken here. */
static void beat(struct capturing *capturing)
{
	struct server *server = capturing->server;
	bool all = true;

	for (size_t i = 0; i < server->workers_len && all; i++)
		all = worker_moved(capturing, i);
	if (all) {
		for (size_t i = 0; i < server->workers_len; i++)
			capturing->turns[i] = worker_turns(&server->workers[i]);
		keeper_beat(capturing->keeper);
	}
	for (size_t i = 0; i < server->workers_len; i++)
		worker_wake(&server->workers[i]);
	capturing->beat_us = worker_clock_us() + beat_interval_us(capturing);
}

/* --- switching on and off --- */

static void order_load(struct capturing *capturing)
{
	const struct keeper_rules rules = {
		.owned = capturing->texts[0],
		.plain = capturing->texts[1],
		.open_owned = capturing->texts[2],
		.open_plain = capturing->texts[3],
	};
	int err = start_keeper(capturing);

	if (err) {
		char why[CAPTURE_WHY];

		snprintf(why, sizeof(why), "cannot make the keeper's process: %s", strerror(-err));
		if (!capturing->recovering) {
			give_up(capturing, why);
			return;
		}
		log_error("capture: %s", why);
		retry_later(capturing);
		return;
	}
	capturing->beat_us = worker_clock_us();
	capturing->answer_us = worker_clock_us() + ORDER_US;
	if (keeper_load(capturing->keeper, &rules))
		keeper_lost(capturing, "the keeper takes no orders");
}

/* Without the mark our own calls would be captured. */
static bool can_mark(const struct capturing *capturing, char *why, size_t why_len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &capturing->capture->mark,
				 sizeof(capturing->capture->mark)))
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(why, why_len,
			 "ksplitd's own calls cannot be marked (SO_MARK: %s), so rules would "
			 "capture them; run it as root or with CAP_NET_ADMIN",
			 strerror(err));
	return !err;
}

static bool listener_works(struct capturing *capturing, const struct sockaddr *listener,
			   char *why, size_t why_len)
{
	union conn_address address = {0};
	char error[200], name[64];

	if (self_test_run(capturing->self_test, listener, capturing->server->ca->cert, SELF_TEST_MS,
			  error, sizeof(error)) == 0)
		return true;
	memcpy(&address, listener,
	       listener->sa_family == AF_INET6 ? sizeof(address.in6) : sizeof(address.in));
	snprintf(why, why_len, "the self-test of listener %s failed: %s",
		 conn_address_print(&address, name, sizeof(name)), error);
	pthread_mutex_lock(&capturing->lock);
	capturing->status.self_test_failed++;
	pthread_mutex_unlock(&capturing->lock);
	return false;
}

static bool same_listener(const union capture_address *a, const union capture_address *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* A call through every listener that rules lead to, each once. */
static bool listeners_work(struct capturing *capturing, char *why, size_t why_len)
{
	const union capture_address *tested[2 * CAPTURE_KINDS];
	size_t count = 0;

	for (size_t i = 0; i < CAPTURE_HOOK; i++) {
		const struct capture_part *part = &capturing->capture->parts[i];
		const union capture_address *both[] = {&part->listener, &part->listener6};

		for (size_t j = 0; j < 2 && part->given; j++) {
			bool known = !both[j]->sa.sa_family;

			for (size_t k = 0; k < count && !known; k++)
				known = same_listener(tested[k], both[j]);
			if (known)
				continue;
			if (!listener_works(capturing, &both[j]->sa, why, why_len))
				return false;
			tested[count++] = both[j];
		}
	}
	return true;
}

static void switch_on(struct capturing *capturing, const char *by)
{
	char why[CAPTURE_WHY];

	snprintf(capturing->by, sizeof(capturing->by), "%s", by);
	capturing->wanted = true;
	capturing->recovering = false;
	capturing->retry_us = capturing->clear_us = NEVER;
	capturing->retry_delay_us = RETRY_FIRST_US;
	set_state(capturing, CAPTURE_STARTING, by, "");
	if (!can_mark(capturing, why, sizeof(why)) ||
	    !listeners_work(capturing, why, sizeof(why)))
		give_up(capturing, why);
	else
		order_load(capturing);
}

static void switch_off(struct capturing *capturing, const char *by,
		       enum capture_withdrawal withdrawal)
{
	snprintf(capturing->by, sizeof(capturing->by), "%s", by);
	if (state_of(capturing) == CAPTURE_ON)
		count_withdrawn(capturing, withdrawal);
	capturing->wanted = capturing->recovering = false;
	capturing->retry_us = NEVER;
	if (!capturing->keeper) {
		set_state(capturing, CAPTURE_OFF, by, "");
		return;
	}
	capturing->answer_us = worker_clock_us() + ORDER_US;
	if (keeper_withdraw(capturing->keeper))
		keeper_lost(capturing, "the keeper takes no orders");
}

/* --- what the keeper tells --- */

static void told_loaded(struct capturing *capturing, const struct keeper_report *report)
{
	pthread_mutex_lock(&capturing->lock);
	capturing->status.loaded++;
	capturing->status.has_owner = report->has_owner;
	pthread_mutex_unlock(&capturing->lock);
	capturing->answer_us = NEVER;
	capturing->recovering = false;
	log_info("capture is on: table inet %s, kept by process %d", capturing->capture->table,
		 (int)keeper_pid(capturing->keeper));
	if (!report->has_owner)
		log_warn("this kernel knows no owner of a table (it came with Linux 5.12): should "
			 "ksplitd's keeper be killed, the rules stay until a new one is there");
	set_state(capturing, CAPTURE_ON,
		  report->event == KEEPER_RESUMED ? "watchdog" : capturing->by, "");
}

static void told_stalled(struct capturing *capturing)
{
	char why[CAPTURE_WHY];

	snprintf(why, sizeof(why),
		 "a worker, or all of ksplitd, did not move for %u ms; the rules come back when it "
		 "does",
		 (unsigned int)capturing->capture->watchdog);
	count_withdrawn(capturing, CAPTURE_BY_WATCHDOG);
	log_error("capture is withdrawn: %s", why);
	set_state(capturing, CAPTURE_WITHDRAWN, "watchdog", why);
}

static void told_failed(struct capturing *capturing, const struct keeper_report *report)
{
	char why[CAPTURE_WHY];
	bool again = capturing->wanted && state_of(capturing) == CAPTURE_WITHDRAWN;

	if (!capturing->wanted && state_of(capturing) == CAPTURE_FAILED)
		return; /* told already */
	snprintf(why, sizeof(why), "the rules could not be %s: %.300s",
		 capturing->wanted ? "loaded" : "withdrawn", report->text);
	if (!again) {
		give_up(capturing, why);
		return;
	}
	log_error("capture: %s; tried again", why);
	set_state(capturing, CAPTURE_WITHDRAWN, "keeper", why);
	retry_later(capturing);
}

static bool has_open_connections(const struct capturing *capturing)
{
	const struct server *server = capturing->server;

	for (size_t i = 0; i < server->workers_len; i++)
		for (int state = 0; state < CONN_STATES; state++)
			if (atomic_load_explicit(&server->workers[i].open_by_state[state],
						 memory_order_relaxed))
				return true;
	return false;
}

static void told_removed(struct capturing *capturing, const struct keeper_report *report)
{
	enum capture_state state = state_of(capturing);

	capturing->answer_us = NEVER;
	/* What is left for open connections goes with the last of them. */
	capturing->clear_us = report->held ? worker_clock_us() : NEVER;
	if (state == CAPTURE_FAILED || state == CAPTURE_OFF)
		return;
	log_info("capture is off: by %s", capturing->by);
	set_state(capturing, CAPTURE_OFF, capturing->by, "");
}

static void clear_if_idle(struct capturing *capturing)
{
	bool idle = !has_open_connections(capturing);

	capturing->clear_us = idle ? NEVER : worker_clock_us() + CLEAR_US;
	if (idle && capturing->keeper)
		keeper_remove(capturing->keeper);
}

static void obey_report(struct capturing *capturing, const struct keeper_report *report)
{
	/* What was said before an order came counts no more. */
	bool wanted = capturing->wanted;

	switch (report->event) {
	case KEEPER_LOADED:
	case KEEPER_RESUMED:
		if (wanted)
			told_loaded(capturing, report);
		break;
	case KEEPER_STALLED:
		if (wanted)
			told_stalled(capturing);
		break;
	case KEEPER_REMOVED:
		if (!wanted)
			told_removed(capturing, report);
		break;
	case KEEPER_FAILED: told_failed(capturing, report); break;
	}
}

static void read_keeper(struct capturing *capturing)
{
	struct keeper_report report;
	int rc = 0;

	while (capturing->keeper && (rc = keeper_read(capturing->keeper, &report)) > 0)
		obey_report(capturing, &report);
	if (capturing->keeper && rc < 0)
		keeper_lost(capturing, "the keeper's process is gone");
}

/* --- the main thread's loop --- */

static void obey_command(struct capturing *capturing)
{
	char by[CAPTURE_BY];
	enum capture_state state;
	uint64_t count;
	bool on;

	if (read(capturing->wake_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&capturing->lock);
	memcpy(by, capturing->asked_by, sizeof(by));
	on = capturing->asked_on;
	capturing->seen = capturing->asked;
	state = capturing->status.state;
	if (state == (on ? CAPTURE_ON : CAPTURE_OFF)) {
		capturing->done = capturing->seen;
		pthread_cond_broadcast(&capturing->settled);
	}
	pthread_mutex_unlock(&capturing->lock);
	if (state == (on ? CAPTURE_ON : CAPTURE_OFF))
		return;
	if (on)
		switch_on(capturing, by);
	else
		switch_off(capturing, by, CAPTURE_BY_COMMAND);
}

static void run_due(struct capturing *capturing)
{
	uint64_t now = worker_clock_us();

	if (now >= capturing->answer_us)
		keeper_lost(capturing, "the keeper did not answer");
	if (now >= capturing->retry_us) {
		capturing->retry_us = NEVER;
		order_load(capturing);
	}
	if (now >= capturing->clear_us)
		clear_if_idle(capturing);
	if (!capturing->keeper || !capturing->wanted)
		capturing->beat_us = NEVER;
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
	if (next == NEVER)
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
	uint64_t end_us = timeout_ms < 0 ? NEVER
					 : worker_clock_us() + (uint64_t)timeout_ms * 1000;
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

static int make_texts(struct capturing *capturing)
{
	const struct capture *capture = capturing->capture;
	char **texts = capturing->texts;
	int err = rules_text_make(capture, true, &texts[0]);

	if (!err)
		err = rules_text_make(capture, false, &texts[1]);
	if (!err)
		err = rules_text_make_open(capture, true, &texts[2]);
	return err ? err : rules_text_make_open(capture, false, &texts[3]);
}

static int set_up(struct capturing *capturing)
{
	int err = make_texts(capturing);

	capturing->turns = calloc(capturing->server->workers_len, sizeof(*capturing->turns));
	capturing->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!err && capturing->wake_fd < 0)
		err = -errno;
	if (!err && !capturing->turns)
		err = -ENOMEM;
	if (!err)
		err = self_test_new(&capturing->self_test);
	return err ? err : start_keeper(capturing);
}

int capturing_new(struct server *server, struct capturing **out, char *error, size_t error_len)
{
	const struct capture *capture = &server->config->capture;
	struct capturing *capturing;
	int err;

	*out = NULL;
	if (!capture_has_rules(capture))
		return 0;
	capturing = calloc(1, sizeof(*capturing));
	if (!capturing)
		return -ENOMEM;
	capturing->server = server;
	capturing->capture = capture;
	capturing->wake_fd = capturing->signal_fd = -1;
	capturing->beat_us = capturing->answer_us = NEVER;
	capturing->retry_us = capturing->clear_us = NEVER;
	pthread_mutex_init(&capturing->lock, NULL);
	pthread_cond_init(&capturing->settled, NULL);
	capturing->status.state = CAPTURE_STARTING;
	capturing->status.since_ms = wall_ms();
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

	if (!capturing)
		return;
	switch_on(capturing, "start");
	/* Ready means: what is captured is captured now. */
	if (capturing->keeper && capturing->answer_us != NEVER &&
	    keeper_wait(capturing->keeper, &report, ORDER_US / 1000) > 0)
		obey_report(capturing, &report);
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
	struct keeper_report report;

	if (!capturing || !end_commands(capturing))
		return;
	switch_off(capturing, "end", CAPTURE_BY_END);
	while (capturing->keeper && capturing->answer_us != NEVER) {
		if (keeper_wait(capturing->keeper, &report, END_MS) <= 0)
			break;
		obey_report(capturing, &report);
	}
	set_state(capturing, CAPTURE_OFF, "end", "");
}

void capturing_free(struct capturing *capturing)
{
	if (!capturing)
		return;
	if (capturing->keeper)
		keeper_remove(capturing->keeper);
	keeper_stop(capturing->keeper, END_MS);
	if (capturing->wake_fd >= 0)
		close(capturing->wake_fd);
	if (capturing->signal_fd >= 0)
		close(capturing->signal_fd);
	self_test_free(capturing->self_test);
	pthread_cond_destroy(&capturing->settled);
	pthread_mutex_destroy(&capturing->lock);
	free(capturing->turns);
	for (size_t i = 0; i < TEXTS; i++)
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

	if (!capturing)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += COMMAND_S;
	pthread_mutex_lock(&capturing->lock);
	capturing->asked_on = on;
	snprintf(capturing->asked_by, sizeof(capturing->asked_by), "%s", by);
	number = ++capturing->asked;
	n = write(capturing->wake_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: it is readable already */
	while (!capturing->ended && capturing->done < number && !err)
		err = pthread_cond_timedwait(&capturing->settled, &capturing->lock, &until);
	pthread_mutex_unlock(&capturing->lock);
}

struct self_test *capturing_self_test(const struct capturing *capturing)
{
	return capturing ? capturing->self_test : NULL;
}
