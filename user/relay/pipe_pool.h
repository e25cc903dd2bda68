/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_PIPE_POOL_H
#define KSPLIT_RELAY_PIPE_POOL_H

#include <stddef.h>

/*
 * Pipes for splice(2). A relay borrows one while bytes are in it and gives it back empty, so that
 * an idle connection holds no descriptor but its two sockets.
 */
struct relay_pipe {
	struct relay_pipe *next; /* in the pool */
	int read_fd, write_fd;
	size_t len;	 /* bytes inside; the borrower counts */
	size_t capacity; /* bytes, as F_SETPIPE_SZ gave them */
};

/* One worker's free pipes; not thread-safe. Zeroed: empty. */
struct pipe_pool {
	struct relay_pipe *free;
	size_t free_len;
	size_t lent;
};

/* A pipe below this cannot take a whole TLS record in any fragmentation (see Kbuild-notes). */
#define PIPE_POOL_MIN_CAPACITY (64 * 1024)

/*
 * Borrow an empty pipe. 0 and *out, or -EMFILE/-ENFILE (descriptors), -ENOMEM, -ENOBUFS (this
 * user's pipe pages are used up, pipe(7) pipe-user-pages-soft: the kernel gives only two pages and
 * that is too little).
 */
int pipe_pool_take(struct pipe_pool *pool, struct relay_pipe **out);

/* Give a pipe back. One that still has bytes in it is closed. */
void pipe_pool_give(struct pipe_pool *pool, struct relay_pipe *pipe);

/* Close the free pipes. */
void pipe_pool_free(struct pipe_pool *pool);

#endif
