/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_WORKER_H
#define KSPLIT_CORE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/deadline.h"
#include "observe/stats.h"
#include "relay/relay.h"
#include "tls/key_schedule.h"
#include "tls/out_buffer.h"

struct conn;
struct generation;
struct server;
struct stream_scanner;
struct listener;
struct policy_callers;

/* Something with a descriptor in the epoll set: the event's data pointer leads here. */
struct watch {
	void (*ready)(struct watch *watch, uint32_t events);
};

/* A call to be made on a worker's thread; the memory is the poster's until `run` is called. */
struct worker_post {
	STAILQ_ENTRY(worker_post) link;
	void (*run)(struct worker_post *post);
};

STAILQ_HEAD(worker_posts, worker_post);
LIST_HEAD(conn_list, conn);
LIST_HEAD(listener_list, listener);
STAILQ_HEAD(conn_again, conn);

/*
 * A thread, its epoll set, and everything that its connections share. Touched by its own thread
 * only, but for what is marked.
 */
struct worker {
	const struct server *server;
	struct generation *generation; /* the present one; a reference */
	unsigned int index;
	pthread_t thread;
	bool thread_started;
	int epoll_fd;
	int wake_fd;
	struct watch wake_watch;
	pthread_mutex_t posts_lock;  /* any thread */
	struct worker_posts posts;   /* any thread, under posts_lock */
	struct deadlines deadlines;
	uint64_t now_us;	     /* CLOCK_MONOTONIC, read once a turn */
	struct listener **listeners; /* owned; worker_listen.h says which */
	size_t listeners_len;
	struct listener_list gone_listeners; /* freed at the end of the turn */
	struct deadline accept_pause;
	bool accept_paused;
	_Atomic bool accept_held;    /* told not to accept; read anywhere */
	uint64_t pause_told_us;	     /* when the log last told of a pause; 0: never */
	struct conn_list conns;
	size_t conns_len;
	size_t conns_max;	     /* set before the thread is started */
	struct conn_list dead;	     /* freed at the end of the turn */
	struct conn_again again;     /* more to do without waiting */
	struct tls_kdf *kdf;
	struct policy_callers *callers; /* NULL: no rule asks who calls */
	struct out_pool out_pool;
	struct pipe_pool pipe_pool;
	struct relay_env relay_env;
	struct stream_scanner *scanner; /* NULL: nothing is observed */
	struct stats stats;	     /* written here, read anywhere */
	/* Connections by state, and how many of them are raw: written here, read anywhere. */
	_Atomic uint64_t open_by_state[CONN_STATES];
	_Atomic uint64_t open_passed;
	size_t open_intercepted; /* or about to be */
	size_t awaiting_tickets; /* connections with an SSL object for that alone */
	uint64_t next_conn_id;
	bool draining;
	bool stop;
	_Atomic uint64_t turns;	     /* of its loop: written here, read anywhere */
	_Atomic bool ended;	     /* read anywhere: the thread has come to its end */
};

/*
 * Make a worker with its listeners (bound and listening, not yet accepting). 0 or -errno with one
 * line in `error`.
 */
int worker_init(struct worker *worker, const struct server *server, unsigned int index,
		char *error, size_t error_len);

/*
 * Worker's thread: another generation is the present one; of deadlines under way none becomes
 * longer, and none longer than it would be if it began now. `callers` (NULL: none) are for one that
 * had none; returns those that it does not need.
 */
struct policy_callers *worker_adopt(struct worker *worker, struct generation *generation,
				    struct policy_callers *callers);

/* Worker's thread: close a listener that is in its list no more, and free it. */
void worker_drop_listener(struct worker *worker, struct listener *listener);

/* Worker's thread: accept on one that has come, unless accepting pauses. */
void worker_accept_on(struct worker *worker, struct listener *listener);

/* Start its thread. 0 or -errno. */
int worker_start(struct worker *worker);

/* Have a call made on the worker's thread. Any thread. */
void worker_post(struct worker *worker, struct worker_post *post);

/* Any thread: have its loop make a turn, and how many it has made. */
void worker_wake(struct worker *worker);
uint64_t worker_turns(const struct worker *worker);

/*
 * Any thread: stop accepting and end when the last connection has gone; or end at once, closing
 * all.
 */
void worker_drain(struct worker *worker);
void worker_stop(struct worker *worker);

/*
 * Any thread: accept nothing until worker_release, and what is in the listeners' queues by then
 * stays there; a drain that follows leaves it there as well. It has obeyed when worker_is_held says
 * so.
 */
void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);
bool worker_is_held(const struct worker *worker);

/* Wait for the thread's end. */
void worker_join(struct worker *worker);

/* Free everything; after worker_join, when nobody posts any more. */
void worker_destroy(struct worker *worker);

/* Worker's thread: have a connection run again before the next wait. */
void worker_run_again(struct worker *worker, struct conn *conn);

/*
 * Worker's thread: no more accepts for now (limit or descriptors), `why` for the log; tried again
 * by itself.
 */
void worker_pause_accept(struct worker *worker, const char *why);

/* Worker's thread: a connection has gone, so there may be room to accept. */
void worker_resume_accept(struct worker *worker);

/* Worker's thread: one more connection in a state, or one less. */
static inline void worker_count_open(struct worker *worker, enum conn_state state, int change)
{
	atomic_store_explicit(&worker->open_by_state[state],
			      worker->open_by_state[state] + (uint64_t)change,
			      memory_order_relaxed);
}

/* CLOCK_MONOTONIC in microseconds. */
uint64_t worker_clock_us(void);

#endif
