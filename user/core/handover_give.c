// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/handover_give.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/timed_wait.h"
#include "core/handover_capture.h"
#include "core/handover_offer.h"
#include "core/handover_wire.h"
#include "core/launcher.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/server.h"
#include "core/worker_round.h"

#define TAKE_MS  20000 /* self-tests, rules */
#define HOLD_MS  5000  /* a worker's turn; one that hangs holds up the handover, and nothing else */
#define SEND_MS  5000
#define GOODBYE_MS 2000
#define ASK_S    90
#define BY_LEN   CAPTURE_BY

struct handover_give {
	struct server *server;
	pthread_t thread;
	bool running; /* the thread is there; of the main thread */
	_Atomic int fd; /* to the new one; -1: none */
	pid_t pid;
	uint32_t mark;	/* of its calls */
	bool withdrawn; /* what captures, for the sake of these */
	_Atomic bool cancelled;
	struct handover_offer offer;
	int start_ms; /* programs of BPF take seconds to load */
	pthread_mutex_t lock;
	pthread_cond_t settled;
	/* under lock */
	bool ended;   /* nothing is begun any more */
	bool settling; /* the thread has come to its end, the main thread has not yet taken note */
	uint64_t asked, begun, settled_count;
	char by[BY_LEN];
	bool whole;
	struct handover_outcome outcome;
};

int handover_give_new(struct server *server, struct handover_give **out)
{
	struct handover_give *give = calloc(1, sizeof(*give));

	if (!give)
		return -ENOMEM;
	give->server = server;
	atomic_init(&give->fd, -1);
	give->offer = HANDOVER_OFFER_NONE;
	pthread_mutex_init(&give->lock, NULL);
	pthread_cond_init(&give->settled, NULL);
	*out = give;
	return 0;
}

/* --- the thread --- */

/* The first reason counts. */
__attribute__((format(printf, 3, 4))) static int fail(struct handover_give *give, int err,
						      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(give->outcome.why, sizeof(give->outcome.why), fmt, args);
	va_end(args);
	return err;
}

/* Until the new one says this. */
static int await(struct handover_give *give, enum handover_type expected, int timeout_ms)
{
	struct handover_message message;
	size_t none = 0;
	int err = 0;

	if (!atomic_load(&give->cancelled))
		err = handover_receive(give->fd, &message, NULL, &none, timeout_ms);
	if (atomic_load(&give->cancelled))
		return fail(give, -ECANCELED, "this ksplitd is told to end");
	if (err == -EPIPE)
		return fail(give, err, "the new ksplitd (process %d) ended before it could take "
				       "over; its log tells why",
			    (int)give->pid);
	if (err == -ETIMEDOUT)
		return fail(give, err, "the new ksplitd (process %d) was not ready after %d ms",
			    (int)give->pid, timeout_ms);
	if (err == -EPROTONOSUPPORT)
		return fail(give, err, "the new ksplitd takes over in another way (version %u); "
				       "restart it instead",
			    message.version);
	if (err)
		return fail(give, err, "the new ksplitd: %s", strerror(-err));
	if (message.type == HANDOVER_REFUSED)
		return fail(give, -ECONNREFUSED, "the new ksplitd: %s", message.text);
	if (message.type != expected)
		return fail(give, -EPROTO, "the new ksplitd is confused");
	give->mark = message.flags;
	return 0;
}

/* The new one does what there can be only one of. */
static int step_aside(struct handover_give *give)
{
	int err;

	give->withdrawn = handover_capture_withdraw(give->server, give->mark);
	err = worker_round_hold(give->server, HOLD_MS);
	if (err)
		return fail(give, err, "a worker hangs");
	err = handover_send(give->fd, HANDOVER_STOPPED, 0, NULL, NULL, 0, SEND_MS);
	if (err == -EPIPE)
		err = 0; /* what it said before tells why */
	if (!err)
		err = await(give, HANDOVER_DONE, TAKE_MS);
	return err;
}

/* It is to be known to the service manager before it says that it is ready. */
static int say_goodbye(struct handover_give *give)
{
	struct handover_message message;
	size_t none = 0;
	int err;

	notify_main_process(give->pid);
	err = handover_send(give->fd, HANDOVER_BYE, 0, NULL, NULL, 0, SEND_MS);
	if (err) {
		notify_main_process(getpid());
		return fail(give, err, "the new ksplitd (process %d) has died", (int)give->pid);
	}
	/* it takes the control socket's name, and closes */
	handover_receive(give->fd, &message, NULL, &none, GOODBYE_MS);
	return 0;
}

/* The new one has to be gone: it has the listeners. One that has refused ends by itself. */
static void take_back(struct handover_give *give, int err)
{
	handover_send(give->fd, HANDOVER_CANCELLED, 0, give->outcome.why, NULL, 0, 0);
	if (err != -ECONNREFUSED)
		launcher_cancel(give->server->launcher);
	worker_round_release(give->server);
	if (give->withdrawn)
		handover_capture_restore(give->server);
}

static int hand_over(struct handover_give *give)
{
	char error[HANDOVER_WHY / 2];
	int fd = -1;
	int err = launcher_upgrade(give->server->launcher, &fd, &give->pid, error, sizeof(error));

	if (err)
		return fail(give, err, "%s", error);
	atomic_store(&give->fd, fd);
	err = handover_offer_send(&give->offer, fd);
	if (err)
		fail(give, err, "nothing can be handed over: %s", strerror(-err));
	if (!err)
		err = await(give, HANDOVER_READY, give->start_ms);
	if (!err)
		err = step_aside(give);
	if (!err)
		err = say_goodbye(give);
	if (err)
		take_back(give, err);
	atomic_store(&give->fd, -1);
	close(fd);
	return err;
}

static void *give_thread(void *arg)
{
	struct handover_give *give = arg;
	int err;

	pthread_setname_np(pthread_self(), "ksplit-handover");
	err = hand_over(give);
	pthread_mutex_lock(&give->lock);
	give->outcome.done = !err;
	give->outcome.pid = err ? 0 : give->pid;
	give->settling = true;
	pthread_mutex_unlock(&give->lock);
	kill(getpid(), SIGUSR2);
	return NULL;
}

/* --- the main thread --- */

static void settle(struct handover_give *give)
{
	pthread_mutex_lock(&give->lock);
	give->settling = false;
	give->settled_count = give->begun;
	pthread_cond_broadcast(&give->settled);
	pthread_mutex_unlock(&give->lock);
}

static void finish(struct handover_give *give)
{
	pthread_join(give->thread, NULL);
	give->running = false;
	handover_offer_drop(&give->offer);
	if (give->outcome.done)
		log_info("upgrade: process %d has taken over", (int)give->outcome.pid);
	else
		log_error("upgrade: %s; this ksplitd goes on", give->outcome.why);
	settle(give);
}

static int start_thread(struct handover_give *give)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&give->thread, NULL, give_thread, give);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void begin(struct handover_give *give, const char *by, bool whole)
{
	int err;

	log_info("upgrade: a new ksplitd is started, by %s", by);
	give->outcome = (struct handover_outcome){0};
	give->withdrawn = false;
	give->start_ms = (int)give->server->generation->config->deadlines.upgrade;
	err = handover_offer_collect(give->server, &give->offer);
	if (whole)
		give->offer.flags |= HANDOVER_WHOLE;
	if (!err)
		err = start_thread(give);
	give->running = !err;
	if (!err)
		return;
	fail(give, err, "nothing can be handed over: %s", strerror(-err));
	log_error("upgrade: %s; this ksplitd goes on", give->outcome.why);
	handover_offer_drop(&give->offer);
	settle(give);
}

bool handover_give_signal(struct handover_give *give)
{
	char by[BY_LEN];
	bool settling, wanted, whole;

	if (!give)
		return false;
	pthread_mutex_lock(&give->lock);
	settling = give->settling;
	pthread_mutex_unlock(&give->lock);
	if (settling)
		finish(give);
	pthread_mutex_lock(&give->lock);
	/* Two signals may have become one. */
	wanted = !give->running && !give->ended && !give->outcome.done &&
		 (!settling || give->asked > give->begun);
	snprintf(by, sizeof(by), "%s", give->by[0] ? give->by : "SIGUSR2");
	whole = give->whole;
	if (wanted) {
		give->begun = give->asked;
		give->by[0] = '\0';
		give->whole = false;
	}
	pthread_mutex_unlock(&give->lock);
	if (wanted)
		begin(give, by, whole);
	return give->outcome.done && !give->running;
}

bool handover_give_is_running(const struct handover_give *give)
{
	return give && give->running;
}

bool handover_give_outcome(struct handover_give *give, uint64_t number,
			   struct handover_outcome *out)
{
	bool settled;

	pthread_mutex_lock(&give->lock);
	settled = give->settled_count >= number;
	if (settled)
		*out = give->outcome;
	pthread_mutex_unlock(&give->lock);
	return settled;
}

bool handover_give_end(struct handover_give *give)
{
	int fd;

	if (!give)
		return false;
	atomic_store(&give->cancelled, true);
	fd = atomic_load(&give->fd);
	if (give->running && fd >= 0)
		shutdown(fd, SHUT_RD);
	if (give->running)
		finish(give);
	pthread_mutex_lock(&give->lock);
	give->ended = true;
	pthread_cond_broadcast(&give->settled);
	pthread_mutex_unlock(&give->lock);
	return give->outcome.done;
}

void handover_give_free(struct handover_give *give)
{
	if (!give)
		return;
	handover_give_end(give);
	pthread_cond_destroy(&give->settled);
	pthread_mutex_destroy(&give->lock);
	free(give);
}

/* --- any thread --- */

uint64_t handover_give_request(struct handover_give *give, const char *by, bool whole)
{
	uint64_t number;

	pthread_mutex_lock(&give->lock);
	number = ++give->asked;
	snprintf(give->by, sizeof(give->by), "%s", by);
	give->whole = give->whole || whole;
	pthread_mutex_unlock(&give->lock);
	kill(getpid(), SIGUSR2);
	return number;
}

void handover_give_ask(struct handover_give *give, const char *by, struct handover_outcome *out)
{
	const uint64_t number = handover_give_request(give, by, false);
	const struct timespec until = timed_wait_moment(ASK_S * 1000);
	int err = 0;

	pthread_mutex_lock(&give->lock);
	while (!give->ended && give->settled_count < number && !err)
		err = timed_wait(&give->settled, &give->lock, &until);
	if (give->settled_count >= number)
		*out = give->outcome;
	else
		*out = (struct handover_outcome){
			.why = "this ksplitd is told to end, or does not get to it"};
	pthread_mutex_unlock(&give->lock);
}
