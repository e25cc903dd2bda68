/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_WORKER_ROUND_H
#define KSPLIT_CORE_WORKER_ROUND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/worker.h"

struct server;

/*
 * Have every worker accept nothing (worker_hold), and wait until all of them have obeyed, for
 * `timeout_ms` at most. Any thread but a worker's. 0 or -ETIMEDOUT: one of them hangs; all are told
 * in any case.
 */
int worker_round_hold(struct server *server, int timeout_ms);

/* All accept again. Any thread. */
void worker_round_release(struct server *server);

/*
 * Something done on the workers' own threads for somebody who waits until all have done it, but can
 * give up on one that hangs: the first member of an object that is the asker's and that of all
 * errands under way, and freed by the last of them.
 */
struct worker_round {
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	size_t references; /* under lock, as `missing` */
	size_t missing;
	void (*free)(struct worker_round *round);
};

/* A worker's part. Its memory is the object's. */
struct worker_errand {
	struct worker_post post; /* first */
	struct worker_round *round;
	struct worker *worker;
	void (*run)(struct worker_errand *errand); /* on its thread */
};

/* For the asker, whose reference it is; `free` frees the object around it. */
void worker_round_init(struct worker_round *round, void (*free)(struct worker_round *round));

/* Send an errand, whose `worker` and `run` are set. It cannot fail. */
void worker_round_send(struct worker_round *round, struct worker_errand *errand);

/*
 * Wait for all that were sent. 0: the asker's reference is the only one; or -ETIMEDOUT: after
 * `timeout_s` one of them is not done.
 */
int worker_round_wait(struct worker_round *round, unsigned int timeout_s);

/* Are all that were sent done? */
bool worker_round_is_over(struct worker_round *round);

/* Give a reference up. */
void worker_round_put(struct worker_round *round);

#endif
