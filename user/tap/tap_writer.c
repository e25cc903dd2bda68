// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/tap_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* As the relay's own (relay/pipe_pool.c), so that what was in one of these fits. */
#define PIPE_BYTES (256 * 1024)

void tap_writer_init(struct tap_writer *writer, size_t most,
		     void (*handle)(void *ctx, struct tap_item *item), void *ctx)
{
	*writer = (struct tap_writer){.most = most, .handle = handle, .ctx = ctx};
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->work, NULL);
	STAILQ_INIT(&writer->queue);
}

/* --- pipes --- */

static void pipe_close(struct tap_pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
}

/* Under the lock. NULL: all are in use, or there is no descriptor left. */
static struct tap_pipe *pipe_take(struct tap_writer *writer)
{
	struct tap_pipe *pipe = writer->pipes;
	int fds[2];

	if (pipe) {
		writer->pipes = pipe->next;
		return pipe;
	}
	if (writer->pipes_made >= TAP_WRITER_PIPES)
		return NULL;
	pipe = calloc(1, sizeof(*pipe));
	if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC)) {
		free(pipe);
		return NULL;
	}
	/* Where it stays small it takes less at a time. */
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	writer->pipes_made++;
	return pipe;
}

/* Under the lock. One that may have something in it is not used again. */
static void pipe_give(struct tap_writer *writer, struct tap_pipe *pipe)
{
	if (pipe->spoiled) {
		pipe_close(pipe);
		writer->pipes_made--;
		return;
	}
	pipe->next = writer->pipes;
	writer->pipes = pipe;
}

/* --- the thread --- */

static struct tap_item *take(struct tap_writer *writer)
{
	struct tap_item *item;

	pthread_mutex_lock(&writer->lock);
	while (!(item = STAILQ_FIRST(&writer->queue)) && !writer->stopping)
		pthread_cond_wait(&writer->work, &writer->lock);
	if (item) {
		STAILQ_REMOVE_HEAD(&writer->queue, link);
		if (STAILQ_EMPTY(&writer->queue))
			writer->last = NULL;
		if (!item->pipe)
			writer->queued -= item->len;
	}
	pthread_mutex_unlock(&writer->lock);
	return item;
}

static void finish(struct tap_writer *writer, struct tap_item *item)
{
	if (item->pipe) {
		pthread_mutex_lock(&writer->lock);
		pipe_give(writer, item->pipe);
		pthread_mutex_unlock(&writer->lock);
	}
	tap_item_free(item);
}

static void *writer_main(void *arg)
{
	struct tap_writer *writer = arg;
	struct tap_item *item;

	while ((item = take(writer))) {
		writer->handle(writer->ctx, item);
		finish(writer, item);
	}
	return NULL;
}

/* Signals stay with the other threads: a file that may not grow is then EFBIG, not SIGXFSZ. */
int tap_writer_start(struct tap_writer *writer, const char *name)
{
	sigset_t all, old;
	int err;

	if (writer->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&writer->thread, NULL, writer_main, writer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	writer->started = !err;
	if (!err)
		pthread_setname_np(writer->thread, name);
	return -err;
}

void tap_writer_destroy(struct tap_writer *writer)
{
	struct tap_item *item;
	struct tap_pipe *pipe;

	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	if (writer->started)
		pthread_join(writer->thread, NULL);
	/* Without a thread there is nobody else to do it. */
	while ((item = STAILQ_FIRST(&writer->queue))) {
		STAILQ_REMOVE_HEAD(&writer->queue, link);
		writer->handle(writer->ctx, item);
		finish(writer, item);
	}
	while ((pipe = writer->pipes)) {
		writer->pipes = pipe->next;
		pipe_close(pipe);
	}
	pthread_cond_destroy(&writer->work);
	pthread_mutex_destroy(&writer->lock);
}

/* --- the queue --- */

/* Under the lock. */
static void queue(struct tap_writer *writer, struct tap_item *item)
{
	if (STAILQ_EMPTY(&writer->queue))
		pthread_cond_signal(&writer->work);
	STAILQ_INSERT_TAIL(&writer->queue, item, link);
	writer->last = item;
}

bool tap_writer_put(struct tap_writer *writer, struct tap_item *item)
{
	bool room;

	pthread_mutex_lock(&writer->lock);
	room = item->what != TAP_DATA || writer->most - writer->queued >= item->len;
	if (room) {
		writer->queued += item->len;
		queue(writer, item);
	}
	pthread_mutex_unlock(&writer->lock);
	if (!room)
		tap_item_free(item);
	return room;
}

/* How much of what is in one pipe got into the other. */
static size_t copy_pipe(int from, struct tap_pipe *to, size_t len)
{
	ssize_t n;

	do {
		n = tee(from, to->write_fd, len, SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && (size_t)n < len)
		to->spoiled = true;
	return n < 0 ? 0 : (size_t)n;
}

/* Behind what waits there already, where that is the same stream's. */
static bool add_to_last(struct tap_writer *writer, void *object, enum conn_flow flow, int pipe_fd,
			size_t len)
{
	struct tap_item *last = writer->last;

	if (!last || !last->pipe || last->object != object || last->flow != flow ||
	    last->pipe->spoiled || copy_pipe(pipe_fd, last->pipe, len) != len)
		return false;
	last->len += len;
	return true;
}

static bool add_in_pipe(struct tap_writer *writer, struct tap_item *item, int pipe_fd)
{
	item->pipe = pipe_take(writer);
	if (!item->pipe)
		return false;
	if (copy_pipe(pipe_fd, item->pipe, item->len) == item->len) {
		queue(writer, item);
		return true;
	}
	pipe_give(writer, item->pipe);
	return false;
}

bool tap_writer_tee(struct tap_writer *writer, void *object, enum conn_flow flow, int pipe_fd,
		    size_t len)
{
	struct tap_item *item = tap_item_new(TAP_DATA, NULL, len);
	bool done;

	if (!item)
		return false;
	item->object = object;
	item->flow = flow;
	pthread_mutex_lock(&writer->lock);
	done = add_to_last(writer, object, flow, pipe_fd, len);
	if (!done && add_in_pipe(writer, item, pipe_fd)) {
		item = NULL;
		done = true;
	}
	pthread_mutex_unlock(&writer->lock);
	free(item);
	return done;
}
