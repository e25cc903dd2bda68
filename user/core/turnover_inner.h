/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_TURNOVER_INNER_H
#define KSPLIT_CORE_TURNOVER_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/turnover.h"
#include "core/worker_round.h"

/* What turnover.c and turnover_share.c share, and nobody else sees. */

#define TURNOVER_NOT_THERE SIZE_MAX

struct share;

/* One worker's part of a step, done on its thread. */
struct step {
	struct worker_errand errand; /* first */
	struct share *share;
	void (*run)(struct share *share);
};

/* What a worker needs for its part: made before, so that no step can fail. */
struct share {
	struct turnover *turnover;
	struct worker *worker;
	struct listener *fresh[CONFIG_MAX_LISTENERS]; /* by index in `next`; NULL: kept, or given */
	size_t present_len;                           /* how many listeners there are now */
	struct listener **opened;                     /* these, and the fresh ones behind them */
	struct listener **final; /* those of `next`, as worker_listen orders them */
	struct policy_callers *callers;
	struct step open, finish;
};

/* Shared by the main thread and the steps under way; freed by the last. */
struct turnover {
	struct worker_round round; /* first */
	struct server *server;
	struct generation *now, *next; /* references */
	/* For each listener of `next`: its index in `now`; TURNOVER_NOT_THERE: it is new. */
	size_t was[CONFIG_MAX_LISTENERS];
	size_t shares_len;
	struct share shares[];
};

/* Is a listener of `next` one that captured connections could not be led to so far? */
bool turnover_is_early(const struct turnover *turnover, size_t index);

/* Which of the present generation's listeners a worker's is. */
size_t turnover_index_of(const struct turnover *turnover, const struct listener *listener);

/* --- turnover_share.c: a worker's part, on its thread --- */

void turnover_open_share(struct share *share);
void turnover_undo_share(struct share *share);
void turnover_commit_share(struct share *share);

#endif
