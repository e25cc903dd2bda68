/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_TURNOVER_H
#define KSPLIT_CORE_TURNOVER_H

#include <stdbool.h>
#include <stddef.h>

struct generation;
struct server;

/*
 * How workers go from the present generation to the next one. Listeners with the same address keep
 * their sockets, others come and go; connections that are open stay what they are. In three steps,
 * so that whatever leads connections to listeners can follow between them: make (all that can
 * fail), open, then commit or undo. Functions are for the main thread.
 */
struct turnover;

/*
 * Bind what `next` listens on and the present generation does not, for each worker; the ports of
 * all its listeners are in `next` then. Nothing accepts yet. Caller owns *out. 0, or -errno with
 * one line in `error`.
 */
int turnover_new(struct server *server, struct generation *next, struct turnover **out, char *error,
		 size_t error_len);

/*
 * The new listeners accept, under the next generation; so do those that captured connections could
 * not be led to before, and can be now. 0, or -ETIMEDOUT with one line in `error`: a worker hangs;
 * then undo it.
 */
int turnover_open(struct turnover *turnover, char *error, size_t error_len);

/*
 * All that is accepted from now on is accepted under the next generation; listeners that it does
 * not have are closed when what waits in their queues is served. 0, or -ETIMEDOUT: a worker that
 * hangs does it when it moves again.
 */
int turnover_commit(struct turnover *turnover);

/* Everything as it was before turnover_open. */
void turnover_undo(struct turnover *turnover);

/* Have all workers done their part? Until then there can be no other turnover. */
bool turnover_is_over(struct turnover *turnover);

/* NULL allowed. What a hanging worker still needs lives until it has done its part. */
void turnover_free(struct turnover *turnover);

#endif
