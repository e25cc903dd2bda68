/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_WORKER_RIG_H
#define KSPLIT_TESTS_WORKER_RIG_H

/*
 * Workers without threads, as others see them: counts of turns that a test moves, and descriptors
 * by which they are woken. Include after cmocka.h.
 */

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/server.h"

#define RIG_WORKERS 3

struct worker_rig {
	struct worker workers[RIG_WORKERS];
	struct server server;
};

static inline struct worker_rig *worker_rig_open(void)
{
	struct worker_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	for (size_t i = 0; i < RIG_WORKERS; i++) {
		rig->workers[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(rig->workers[i].wake_fd >= 0);
	}
	rig->server.workers = rig->workers;
	rig->server.workers_len = RIG_WORKERS;
	return rig;
}

static inline void worker_rig_close(struct worker_rig *rig)
{
	for (size_t i = 0; i < RIG_WORKERS; i++)
		close(rig->workers[i].wake_fd);
	free(rig);
}

/*
 * Those that were woken make a turn, but for one that is held (RIG_WORKERS: none is). How many were
 * woken, that one among them.
 */
static inline size_t worker_rig_turn(struct worker_rig *rig, size_t held)
{
	size_t woken = 0;

	for (size_t i = 0; i < RIG_WORKERS; i++) {
		uint64_t count;

		if (read(rig->workers[i].wake_fd, &count, sizeof(count)) != sizeof(count))
			continue;
		woken++;
		if (i != held)
			atomic_fetch_add(&rig->workers[i].turns, 1);
	}
	return woken;
}

#endif
