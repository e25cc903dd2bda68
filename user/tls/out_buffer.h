/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_OUT_BUFFER_H
#define KSPLIT_TLS_OUT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes on their way into a socket. Records are gathered here so that a batch of them costs one
 * system call, and what the socket does not take waits here. The memory comes from a worker's pool
 * and goes back when the last byte has left: an idle connection holds none.
 */
#define OUT_BUFFER_BLOCK (160 * 1024)

struct out_block;

/* Free blocks of one worker; not thread-safe. */
struct out_pool {
	struct out_block *free;
	size_t free_len;
};

struct out_buffer {
	struct out_pool *pool; /* not owned */
	struct out_block *block;
	size_t off, len; /* unsent bytes: [off, len) */
};

void out_pool_free(struct out_pool *pool);

/* Start empty; `pool` must outlive the buffer. */
void out_buffer_init(struct out_buffer *out, struct out_pool *pool);

/* Forget what is unsent and give the memory back. */
void out_buffer_reset(struct out_buffer *out);

static inline bool out_buffer_empty(const struct out_buffer *out)
{
	return out->off == out->len;
}

/* Bytes that still fit. */
size_t out_buffer_room(const struct out_buffer *out);

/* Append all of it. 0, -ENOSPC (nothing taken) or -ENOMEM. */
int out_buffer_append(struct out_buffer *out, const void *data, size_t len);

/* What is unsent, until anything else is done to the buffer. Not empty. */
const uint8_t *out_buffer_bytes(const struct out_buffer *out);

/*
 * One send(2) of at most `most` bytes, which stay: how many were sent, or -errno. Not empty; else as
 * below. And what was sent can go.
 */
ssize_t out_buffer_try(const struct out_buffer *out, int fd, size_t most);
void out_buffer_drop(struct out_buffer *out, size_t len);

/*
 * Send what is unsent to a socket, never blocking, never raising SIGPIPE. 0 when empty now, -EAGAIN
 * when the socket is full, else -errno of send(2).
 */
int out_buffer_send(struct out_buffer *out, int fd);

#endif
