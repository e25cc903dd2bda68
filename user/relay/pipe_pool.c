// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay/pipe_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A record of 16 KiB can lie in up to 17 fragments and a list of more; 64 slots take any of them,
 * so that a splice never ends in the middle of a record for want of a slot.
 */
#define WANTED_CAPACITY (256 * 1024)
#define POOL_KEEP	16

static void pipe_close(struct relay_pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
}

static int pipe_open(struct relay_pipe **out)
{
	struct relay_pipe *pipe = calloc(1, sizeof(*pipe));
	int fds[2], size;

	if (!pipe)
		return -ENOMEM;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC)) {
		int err = -errno;

		free(pipe);
		return err;
	}
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	size = fcntl(fds[1], F_SETPIPE_SZ, WANTED_CAPACITY);
	if (size < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	if (size < PIPE_POOL_MIN_CAPACITY) {
		pipe_close(pipe);
		return -ENOBUFS;
	}
	pipe->capacity = (size_t)size;
	*out = pipe;
	return 0;
}

int pipe_pool_take(struct pipe_pool *pool, struct relay_pipe **out)
{
	int err = 0;

	if (pool->free) {
		*out = pool->free;
		pool->free = pool->free->next;
		pool->free_len--;
	} else {
		err = pipe_open(out);
	}
	if (!err)
		pool->lent++;
	return err;
}

void pipe_pool_give(struct pipe_pool *pool, struct relay_pipe *pipe)
{
	pool->lent--;
	if (pipe->len || pool->free_len >= POOL_KEEP) {
		pipe_close(pipe);
		return;
	}
	pipe->next = pool->free;
	pool->free = pipe;
	pool->free_len++;
}

void pipe_pool_free(struct pipe_pool *pool)
{
	while (pool->free) {
		struct relay_pipe *pipe = pool->free;

		pool->free = pipe->next;
		pipe_close(pipe);
	}
	pool->free_len = 0;
}
