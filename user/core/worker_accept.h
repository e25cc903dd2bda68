/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_WORKER_ACCEPT_H
#define KSPLIT_CORE_WORKER_ACCEPT_H

/*
 * When a worker accepts, and when not: what worker_pause_accept, worker_hold, worker_drain and the
 * like (core/worker.h) come to on its own thread. For worker.c alone.
 */
struct deadline;
struct worker;

/* On all of its listeners, unless it is held. */
void worker_accept_begin(struct worker *worker);

/* What waits is accepted (unless it is held), then the listeners are closed, for good. */
void worker_accept_end(struct worker *worker);

void worker_accept_hold(struct worker *worker);
void worker_accept_release(struct worker *worker);

/* Of worker->accept_pause. */
void worker_accept_pause_expired(struct deadline *deadline);

#endif
