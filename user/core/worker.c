// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/conn.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/policy_caller.h"
#include "core/server.h"
#include "core/worker_accept.h"
#include "core/worker_listen.h"
#include "observe/stream_scanner.h"

#define EVENTS_PER_TURN	  256
#define SCRATCH_LEN	  (128 * 1024)
#define PLAIN_HELLO_MS	  2000
#define SETTLE_LOOK_MS	  10
#define ACCEPT_RETRY_MS	  100
#define TICKETS_MS        3000 /* they come at once, or with the first data */

uint64_t worker_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void worker_wake(struct worker *worker)
{
	const uint64_t one = 1;
	ssize_t n = write(worker->wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so a wake-up is on its way */
}

uint64_t worker_turns(const struct worker *worker)
{
	return atomic_load_explicit(&worker->turns, memory_order_relaxed);
}

void worker_post(struct worker *worker, struct worker_post *post)
{
	pthread_mutex_lock(&worker->posts_lock);
	STAILQ_INSERT_TAIL(&worker->posts, post, link);
	pthread_mutex_unlock(&worker->posts_lock);
	worker_wake(worker);
}

static void posts_run(struct worker *worker)
{
	struct worker_posts posts = STAILQ_HEAD_INITIALIZER(posts);
	struct worker_post *post;

	pthread_mutex_lock(&worker->posts_lock);
	STAILQ_CONCAT(&posts, &worker->posts);
	pthread_mutex_unlock(&worker->posts_lock);
	while ((post = STAILQ_FIRST(&posts))) {
		STAILQ_REMOVE_HEAD(&posts, link);
		post->run(post);
	}
}

static void wake_ready(struct watch *watch, uint32_t events)
{
	struct worker *worker =
		(void *)((char *)watch - offsetof(struct worker, wake_watch));
	uint64_t count;
	ssize_t n = read(worker->wake_fd, &count, sizeof(count));

	(void)events;
	(void)n;
	posts_run(worker);
}

void worker_run_again(struct worker *worker, struct conn *conn)
{
	if (conn->in_again)
		return;
	conn->in_again = true;
	STAILQ_INSERT_TAIL(&worker->again, conn, again_link);
}

static void again_run(struct worker *worker)
{
	struct conn_again again = STAILQ_HEAD_INITIALIZER(again);
	struct conn *conn;

	STAILQ_CONCAT(&again, &worker->again);
	while ((conn = STAILQ_FIRST(&again))) {
		STAILQ_REMOVE_HEAD(&again, again_link);
		conn->in_again = false;
		if (!conn->dead)
			conn_run_again(conn);
	}
}

/* Events of this turn may still point to what died in it. */
static void dead_free(struct worker *worker)
{
	struct conn *conn;

	while ((conn = LIST_FIRST(&worker->dead))) {
		LIST_REMOVE(conn, link);
		if (conn->in_again)
			STAILQ_REMOVE(&worker->again, conn, conn, again_link);
		conn_free(conn);
	}
}

static void free_gone_listeners(struct worker *worker)
{
	struct listener *listener;

	while ((listener = LIST_FIRST(&worker->gone_listeners))) {
		LIST_REMOVE(listener, link);
		listener_free(listener);
	}
}

void worker_drop_listener(struct worker *worker, struct listener *listener)
{
	listener_close(listener);
	LIST_INSERT_HEAD(&worker->gone_listeners, listener, link);
}

static void turn(struct worker *worker)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int timeout = STAILQ_EMPTY(&worker->again)
			      ? deadlines_next_ms(&worker->deadlines, worker->now_us)
			      : 0;
	int n = epoll_wait(worker->epoll_fd, events, EVENTS_PER_TURN, timeout);

	worker->now_us = worker_clock_us();
	for (int i = 0; i < n; i++) {
		struct watch *watch = events[i].data.ptr;

		watch->ready(watch, events[i].events);
	}
	again_run(worker);
	deadlines_run(&worker->deadlines, worker->now_us);
	dead_free(worker);
	free_gone_listeners(worker);
	/* Behind the work: a turn that hangs in it does not count. */
	atomic_store_explicit(&worker->turns, worker_turns(worker) + 1, memory_order_relaxed);
}

static void close_all(struct worker *worker)
{
	struct conn *conn, *next;

	for (conn = LIST_FIRST(&worker->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		conn_abort(conn, KSPLIT_SHUTDOWN);
	}
	dead_free(worker);
}

static void *worker_thread(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "ksplit-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	worker->now_us = worker_clock_us();
	worker_accept_begin(worker);
	while (!worker->stop && !(worker->draining && worker->conns_len == 0))
		turn(worker);
	close_all(worker);
	atomic_store(&worker->ended, true);
	return NULL;
}

enum order_kind { ORDER_DRAIN, ORDER_STOP, ORDER_HOLD, ORDER_RELEASE };

struct order {
	struct worker_post post;
	struct worker *worker;
	enum order_kind kind;
};

static void order_run(struct worker_post *post)
{
	struct order *order = (struct order *)post;
	struct worker *worker = order->worker;

	switch (order->kind) {
	case ORDER_STOP:
		worker->stop = true;
		worker_accept_end(worker);
		break;
	case ORDER_DRAIN: worker_accept_end(worker); break;
	case ORDER_HOLD: worker_accept_hold(worker); break;
	case ORDER_RELEASE: worker_accept_release(worker); break;
	}
	free(order);
}

static void give_order(struct worker *worker, enum order_kind kind)
{
	struct order *order = calloc(1, sizeof(*order));

	if (!order) {
		log_error("out of memory: cannot end in order");
		abort();
	}
	order->post.run = order_run;
	order->worker = worker;
	order->kind = kind;
	worker_post(worker, &order->post);
}

void worker_drain(struct worker *worker)
{
	give_order(worker, ORDER_DRAIN);
}

void worker_stop(struct worker *worker)
{
	give_order(worker, ORDER_STOP);
}

void worker_hold(struct worker *worker)
{
	give_order(worker, ORDER_HOLD);
}

void worker_release(struct worker *worker)
{
	give_order(worker, ORDER_RELEASE);
}

bool worker_is_held(const struct worker *worker)
{
	return atomic_load(&worker->accept_held) || atomic_load(&worker->ended);
}

static int open_epoll(struct worker *worker)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &worker->wake_watch};

	worker->wake_watch.ready = wake_ready;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->epoll_fd < 0 || worker->wake_fd < 0 ||
	    epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event))
		return -errno;
	return 0;
}

static void read_deadlines(const struct config_deadlines *ms, uint32_t lengths[DEADLINE_KINDS])
{
	lengths[DEADLINE_SILENCE] = ms->silence;
	lengths[DEADLINE_PEEK] = ms->peek;
	lengths[DEADLINE_RESOLVE] = ms->resolve;
	lengths[DEADLINE_CONNECT] = ms->connect;
	lengths[DEADLINE_CONNECT_TRY] = (ms->connect + CONN_MAX_ADDRESSES - 1) / CONN_MAX_ADDRESSES;
	lengths[DEADLINE_PLAIN] = ms->plain;
	lengths[DEADLINE_PLAIN_HELLO] = PLAIN_HELLO_MS;
	lengths[DEADLINE_UPSTREAM_HANDSHAKE] = ms->upstream_handshake;
	lengths[DEADLINE_CLIENT_HANDSHAKE] = ms->client_handshake;
	lengths[DEADLINE_IDLE] = ms->idle;
	lengths[DEADLINE_CLOSE] = ms->close;
	lengths[DEADLINE_SETTLE] = SETTLE_LOOK_MS;
	lengths[DEADLINE_ACCEPT_PAUSE] = ACCEPT_RETRY_MS;
	lengths[DEADLINE_TICKETS] = TICKETS_MS;
}

static void init_deadlines(struct worker *worker)
{
	uint32_t lengths[DEADLINE_KINDS];

	read_deadlines(&worker->generation->config->deadlines, lengths);
	deadlines_init(&worker->deadlines, lengths);
	worker->accept_pause.expired = worker_accept_pause_expired;
}

struct policy_callers *worker_adopt(struct worker *worker, struct generation *generation,
				    struct policy_callers *callers)
{
	struct generation *old = worker->generation;
	uint32_t lengths[DEADLINE_KINDS];

	read_deadlines(&generation->config->deadlines, lengths);
	deadlines_change(&worker->deadlines, lengths, worker->now_us);
	worker->generation = generation_get(generation);
	generation_put(old);
	if (worker->callers)
		return callers;
	worker->callers = callers;
	return NULL;
}

int worker_init(struct worker *worker, const struct server *server, unsigned int index,
		char *error, size_t error_len)
{
	const struct policy *policy = &server->generation->config->policy;
	int err;

	*worker = (struct worker){.server = server,
				  .generation = generation_get(server->generation),
				  .index = index,
				  .epoll_fd = -1,
				  .wake_fd = -1};
	pthread_mutex_init(&worker->posts_lock, NULL);
	STAILQ_INIT(&worker->posts);
	LIST_INIT(&worker->conns);
	LIST_INIT(&worker->dead);
	LIST_INIT(&worker->gone_listeners);
	STAILQ_INIT(&worker->again);
	init_deadlines(worker);
	worker->relay_env = (struct relay_env){.scratch = malloc(SCRATCH_LEN),
					       .scratch_len = SCRATCH_LEN,
					       .pipes = &worker->pipe_pool,
					       .stats = &worker->stats};
	snprintf(error, error_len, "cannot set up a worker");
	err = worker->relay_env.scratch ? tls_kdf_new(&worker->kdf) : -ENOMEM;
	if (!err)
		err = open_epoll(worker);
	if (!err && policy_names_processes(policy))
		err = policy_callers_new(&worker->callers);
	if (!err)
		err = worker_listen(worker, error, error_len);
	return err;
}

int worker_start(struct worker *worker)
{
	int err = pthread_create(&worker->thread, NULL, worker_thread, worker);

	worker->thread_started = !err;
	return -err;
}

void worker_join(struct worker *worker)
{
	if (worker->thread_started)
		pthread_join(worker->thread, NULL);
	worker->thread_started = false;
}

void worker_destroy(struct worker *worker)
{
	posts_run(worker);
	for (size_t i = 0; i < worker->listeners_len; i++)
		listener_free(worker->listeners[i]);
	free(worker->listeners);
	free_gone_listeners(worker);
	generation_put(worker->generation);
	if (worker->relay_env.scratch)
		OPENSSL_cleanse(worker->relay_env.scratch, SCRATCH_LEN);
	free(worker->relay_env.scratch);
	stream_scanner_free(worker->scanner);
	pipe_pool_free(&worker->pipe_pool);
	out_pool_free(&worker->out_pool);
	tls_kdf_free(worker->kdf);
	policy_callers_free(worker->callers);
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	pthread_mutex_destroy(&worker->posts_lock);
}
