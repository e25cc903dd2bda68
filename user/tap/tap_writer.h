/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAP_WRITER_H
#define KSPLIT_TAP_TAP_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "tap/tap_item.h"

/*
 * The thread of a tap and the bounded queue before it. Whoever puts something in never waits for a
 * disk: what has no room is refused.
 */

#define TAP_WRITER_PIPES 64

struct tap_writer {
	pthread_t thread;
	bool started;
	size_t most; /* bytes in the queue */
	/* On the writer's thread; the item is freed behind it. */
	void (*handle)(void *ctx, struct tap_item *item);
	void *ctx;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work;
	struct tap_items queue;
	struct tap_item *last; /* in the queue; NULL: it is empty */
	size_t queued;
	bool stopping;
	struct tap_pipe *pipes; /* free ones */
	size_t pipes_made;
};

void tap_writer_init(struct tap_writer *writer, size_t most,
		     void (*handle)(void *ctx, struct tap_item *item), void *ctx);

/* Start its thread, once. 0 or -errno. */
int tap_writer_start(struct tap_writer *writer, const char *name);

/* Handle what is queued, end the thread, free all. */
void tap_writer_destroy(struct tap_writer *writer);

/*
 * Queue an item, which is the writer's from now on. Data that has no room is refused, freed and
 * false; all else has room always.
 */
bool tap_writer_put(struct tap_writer *writer, struct tap_item *item);

/*
 * Queue a copy of the first `len` bytes that are in a pipe: they stay in the kernel. false: there
 * is no room, nothing is queued.
 */
bool tap_writer_tee(struct tap_writer *writer, void *object, enum conn_flow flow, int pipe_fd,
		    size_t len);

#endif
