// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http2_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#include "observe/http_text.h"

#define TABLE_SIZE_MAX 65536 /* of the dynamic table; the protocol's initial one is 4096 */
#define STATIC_ENTRIES 61    /* RFC 7541, appendix A */

struct http2_block {
	nghttp2_hd_inflater *inflater;
	nghttp2_mem mem; /* the inflater points to it, whatever nghttp2's manual says */
};

/* nghttp2 wipes nothing: its memory comes from here, with its size ahead of it. */
union chunk {
	size_t size;
	max_align_t align;
};

static void *chunk_alloc(size_t size, void *ctx)
{
	union chunk *chunk =
		size <= SIZE_MAX - sizeof(*chunk) ? malloc(sizeof(*chunk) + size) : NULL;

	(void)ctx;
	if (!chunk)
		return NULL;
	chunk->size = size;
	return chunk + 1;
}

static void chunk_free(void *ptr, void *ctx)
{
	union chunk *chunk = ptr;

	(void)ctx;
	if (!chunk)
		return;
	chunk--;
	explicit_bzero(chunk, sizeof(*chunk) + chunk->size);
	free(chunk);
}

static void *chunk_calloc(size_t count, size_t size, void *ctx)
{
	void *ptr = NULL;

	if (!__builtin_mul_overflow(count, size, &size))
		ptr = chunk_alloc(size, ctx);
	return ptr ? memset(ptr, 0, size) : NULL;
}

static void *chunk_realloc(void *ptr, size_t size, void *ctx)
{
	void *larger = chunk_alloc(size, ctx);

	if (larger && ptr) {
		size_t old = ((union chunk *)ptr - 1)->size;

		memcpy(larger, ptr, old < size ? old : size);
		chunk_free(ptr, ctx);
	}
	return larger;
}

struct http2_block *http2_block_new(void)
{
	struct http2_block *block = calloc(1, sizeof(*block));

	if (!block)
		return NULL;
	block->mem = (nghttp2_mem){NULL, chunk_alloc, chunk_free, chunk_calloc, chunk_realloc};
	if (nghttp2_hd_inflate_new2(&block->inflater, &block->mem) ||
	    nghttp2_hd_inflate_change_table_size(block->inflater, TABLE_SIZE_MAX)) {
		http2_block_free(block);
		return NULL;
	}
	return block;
}

void http2_block_free(struct http2_block *block)
{
	if (!block)
		return;
	if (block->inflater)
		nghttp2_hd_inflate_del(block->inflater);
	free(block);
}

void http2_head_init(struct http2_head *head)
{
	memset(head, 0, sizeof(*head));
	head->grpc_status = -1;
}

void http2_head_clear(struct http2_head *head)
{
	http_text_free(head->path);
	http_text_free(head->authority);
	http_text_free(head->host);
	http_text_free(head->type);
	explicit_bzero(head, sizeof(*head));
	http2_head_init(head);
}

/* One to three digits, or `otherwise`. */
static int read_number(const nghttp2_nv *field, int otherwise)
{
	int number = 0;

	if (!field->valuelen || field->valuelen > 3)
		return otherwise;
	for (size_t i = 0; i < field->valuelen; i++) {
		if (field->value[i] < '0' || field->value[i] > '9')
			return otherwise;
		number = number * 10 + field->value[i] - '0';
	}
	return number;
}

static bool is_named(const nghttp2_nv *field, const char *name)
{
	return strlen(name) == field->namelen && memcmp(name, field->name, field->namelen) == 0;
}

/* Of several with the same name the first is the one: a block of repeats costs no memory. */
static void take_text(struct http2_head *head, const nghttp2_nv *field)
{
	const char *value = (const char *)field->value;
	size_t len = field->valuelen;

	if (is_named(field, ":method") && !head->method[0])
		http_text_method(head->method, value, len);
	else if (is_named(field, ":path") && !head->path)
		head->path = http_text_path(value, len, &head->path_cut);
	else if (is_named(field, ":authority") && !head->authority)
		head->authority = http_text_host(value, len);
	else if (is_named(field, "host") && !head->host)
		head->host = http_text_host(value, len);
	else if (is_named(field, "content-type") && !head->type)
		head->type = http_text_type(value, len);
	else if (is_named(field, ":status") && !head->status)
		head->status = read_number(field, 0);
	else if (is_named(field, "grpc-status") && head->grpc_status < 0)
		head->grpc_status = read_number(field, 2); /* UNKNOWN */
}

/* Blanks what is not kept of a value; what is kept can be read from it again. */
static void mask_value(const nghttp2_nv *field)
{
	static const char *const harmless[] = {":method", ":status", "content-type", "grpc-status"};
	char *value = (char *)field->value;

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (is_named(field, harmless[i]))
			return;
	}
	if (is_named(field, ":path"))
		http_text_mask_path(value, field->valuelen);
	else if (is_named(field, ":authority") || is_named(field, "host"))
		http_text_mask_host(value, field->valuelen);
	else
		explicit_bzero(value, field->valuelen);
}

/*
 * A value that entered the dynamic table stays there as long as the connection lasts: cookies
 * would. Only its length must stay, so it is masked in the table, whose newest entry is the first
 * after the static ones. Its memory is of chunk_alloc().
 */
static void take_field(struct http2_block *block, struct http2_head *head, const nghttp2_nv *field)
{
	const nghttp2_nv *newest =
		nghttp2_hd_inflate_get_table_entry(block->inflater, STATIC_ENTRIES + 1);

	take_text(head, field);
	if (newest && newest->value == field->value)
		mask_value(newest);
}

static int inflate(struct http2_block *block, struct http2_head *head, const uint8_t *bytes,
		   size_t len, bool final)
{
	for (;;) {
		nghttp2_nv field;
		int flags = 0;
		ssize_t used =
			nghttp2_hd_inflate_hd2(block->inflater, &field, &flags, bytes, len, final);

		if (used < 0)
			return used == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EBADMSG;
		bytes += used;
		len -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			take_field(block, head, &field);
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			return nghttp2_hd_inflate_end_headers(block->inflater) ? -EBADMSG : 0;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !len)
			return 0;
	}
}

int http2_block_feed(struct http2_block *block, struct http2_head *head, const void *bytes,
		     size_t len)
{
	return inflate(block, head, bytes, len, false);
}

int http2_block_end(struct http2_block *block, struct http2_head *head)
{
	static const uint8_t nothing;

	return inflate(block, head, &nothing, 0, true);
}
