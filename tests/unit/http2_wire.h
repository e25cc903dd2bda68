/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_HTTP2_WIRE_H
#define KSPLIT_TESTS_HTTP2_WIRE_H

/* One stream of HTTP/2 frames as samplers pass it on: no preface, DATA without its payload. */

#include <nghttp2/nghttp2.h>

#include "head_feed.h"

struct http2_wire {
	enum ksplit_stream stream;
	nghttp2_hd_deflater *deflater;
	uint8_t bytes[1 << 17];
	size_t len;
};

static inline struct http2_wire *wire_new(enum ksplit_stream stream)
{
	struct http2_wire *wire = calloc(1, sizeof(*wire));

	assert_non_null(wire);
	wire->stream = stream;
	assert_int_equal(nghttp2_hd_deflate_new(&wire->deflater, 65536), 0);
	return wire;
}

static inline void wire_free(struct http2_wire *wire)
{
	nghttp2_hd_deflate_del(wire->deflater);
	free(wire);
}

static inline void wire_bytes(struct http2_wire *wire, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(wire->bytes) - wire->len);
	if (len)
		memcpy(wire->bytes + wire->len, bytes, len);
	wire->len += len;
}

/* A frame's header, which tells of `len` bytes that the caller may add. */
static inline void wire_header(struct http2_wire *wire, size_t len, int type, int flags,
			       uint32_t id)
{
	const uint8_t header[9] = {
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
		(uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id,
	};

	wire_bytes(wire, header, sizeof(header));
}

static inline void wire_frame(struct http2_wire *wire, int type, int flags, uint32_t id,
			      const void *bytes, size_t len)
{
	wire_header(wire, len, type, flags, id);
	wire_bytes(wire, bytes, len);
}

static inline void wire_data(struct http2_wire *wire, uint32_t id, size_t len, bool end)
{
	wire_header(wire, len, NGHTTP2_DATA, end ? NGHTTP2_FLAG_END_STREAM : 0, id);
}

/* "name value\n" lines into a header block; how long it is. */
static inline size_t wire_deflate(struct http2_wire *wire, const char *lines, uint8_t *out,
				  size_t size)
{
	nghttp2_nv fields[16];
	size_t count = 0;
	ssize_t len;

	while (*lines) {
		const char *space = strchr(lines, ' '), *end = strchr(lines, '\n');

		assert_true(count < 16 && space && end > space);
		fields[count++] =
			(nghttp2_nv){(uint8_t *)(uintptr_t)lines, (uint8_t *)(uintptr_t)(space + 1),
				     (size_t)(space - lines), (size_t)(end - space - 1), 0};
		lines = end + 1;
	}
	len = nghttp2_hd_deflate_hd(wire->deflater, out, size, fields, count);
	assert_true(len >= 0);
	return (size_t)len;
}

/* HEADERS, whole in one frame; its length with the frame's header. */
static inline size_t wire_headers(struct http2_wire *wire, uint32_t id, bool end, const char *lines)
{
	uint8_t block[16384];
	size_t len = wire_deflate(wire, lines, block, sizeof(block));

	wire_frame(wire, NGHTTP2_HEADERS,
		   NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), id, block, len);
	return 9 + len;
}

static inline void wire_event(struct head_feed *feed, const struct http2_wire *wire, uint64_t ms,
			      size_t from, size_t to)
{
	const struct ksplit_head_event event = {
		.time_ns = ms * 1000000,
		.kind = KSPLIT_EVENT_HTTP2,
		.stream = (uint8_t)wire->stream,
	};

	while (from < to) {
		size_t part = to - from < KSPLIT_HEAD_MAX ? to - from : KSPLIT_HEAD_MAX;

		head_feed_event(feed, &event, wire->bytes + from, part);
		from += part;
	}
}

/* Feeds what is there, at once, and forgets it. */
static inline void wire_send(struct head_feed *feed, struct http2_wire *wire, uint64_t ms)
{
	wire_event(feed, wire, ms, 0, wire->len);
	wire->len = 0;
}

#endif
