// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/out_buffer.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* More than these are freed: a burst of blocked connections must not hold memory for ever. */
#define POOL_KEEP 8

struct out_block {
	struct out_block *next;
	uint8_t bytes[OUT_BUFFER_BLOCK];
};

/* Blocks are used again as they are, but what goes back to the heap holds no plaintext. */
static void block_free(struct out_block *block)
{
	OPENSSL_cleanse(block->bytes, sizeof(block->bytes));
	free(block);
}

void out_pool_free(struct out_pool *pool)
{
	while (pool->free) {
		struct out_block *block = pool->free;

		pool->free = block->next;
		block_free(block);
	}
	pool->free_len = 0;
}

static struct out_block *pool_take(struct out_pool *pool)
{
	struct out_block *block = pool->free;

	if (!block)
		return malloc(sizeof(*block));
	pool->free = block->next;
	pool->free_len--;
	return block;
}

static void pool_give(struct out_pool *pool, struct out_block *block)
{
	if (pool->free_len >= POOL_KEEP) {
		block_free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->free_len++;
}

void out_buffer_init(struct out_buffer *out, struct out_pool *pool)
{
	*out = (struct out_buffer){.pool = pool};
}

void out_buffer_reset(struct out_buffer *out)
{
	if (out->block) {
		/* What never left may be plaintext (kernel TLS seals it only after us). */
		OPENSSL_cleanse(out->block->bytes, out->len);
		pool_give(out->pool, out->block);
	}
	out->block = NULL;
	out->off = out->len = 0;
}

size_t out_buffer_room(const struct out_buffer *out)
{
	return OUT_BUFFER_BLOCK - (out->len - out->off);
}

int out_buffer_append(struct out_buffer *out, const void *data, size_t len)
{
	if (len > out_buffer_room(out))
		return -ENOSPC;
	if (!out->block) {
		out->block = pool_take(out->pool);
		if (!out->block)
			return -ENOMEM;
	}
	if (len > OUT_BUFFER_BLOCK - out->len) {
		memmove(out->block->bytes, out->block->bytes + out->off, out->len - out->off);
		out->len -= out->off;
		out->off = 0;
	}
	memcpy(out->block->bytes + out->len, data, len);
	out->len += len;
	return 0;
}

const uint8_t *out_buffer_bytes(const struct out_buffer *out)
{
	return out->block->bytes + out->off;
}

static void give_back_empty(struct out_buffer *out)
{
	if (out->block)
		pool_give(out->pool, out->block);
	out->block = NULL;
	out->off = out->len = 0;
}

ssize_t out_buffer_try(const struct out_buffer *out, int fd, size_t most)
{
	size_t len = out->len - out->off;
	ssize_t n;

	do {
		n = send(fd, out->block->bytes + out->off, len < most ? len : most,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return n;
}

void out_buffer_drop(struct out_buffer *out, size_t len)
{
	out->off += len;
	if (out_buffer_empty(out))
		give_back_empty(out);
}

int out_buffer_send(struct out_buffer *out, int fd)
{
	while (!out_buffer_empty(out)) {
		ssize_t n = out_buffer_try(out, fd, OUT_BUFFER_BLOCK);

		if (n < 0)
			return (int)n;
		out_buffer_drop(out, (size_t)n);
	}
	give_back_empty(out);
	return 0;
}
