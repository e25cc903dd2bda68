// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http2_wire.h"

#define REQUEST                                                                                    \
	":method GET\n:path /some/path?a=1&b=2\n:authority origin.example\naccept x\ncookie c=d\n"
#define RESPONSE ":status 200\ncontent-type application/grpc\nserver some\n"

struct pair {
	struct http2_wire *up, *down;
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	pair->up = wire_new(KSPLIT_REQUESTS);
	pair->down = wire_new(KSPLIT_RESPONSES);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	wire_free(pair->up);
	wire_free(pair->down);
	free(pair);
	return 0;
}

/* A header block in frames of `part` bytes each, the first with padding and a priority. */
static void wire_split(struct http2_wire *wire, uint32_t id, bool end, const char *lines,
		       size_t part)
{
	uint8_t block[4096], padded[4096] = {3, 0, 0, 0, 0, 16};
	size_t len = wire_deflate(wire, lines, block, sizeof(block)), at = part < len ? part : len;
	int flags = NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY;

	flags |= end ? NGHTTP2_FLAG_END_STREAM : 0;
	flags |= at == len ? NGHTTP2_FLAG_END_HEADERS : 0;
	memcpy(padded + 6, block, at);
	memset(padded + 6 + at, 0, 3);
	wire_frame(wire, NGHTTP2_HEADERS, flags, id, padded, 6 + at + 3);
	for (; at < len; at += part) {
		if (part > len - at)
			part = len - at;
		wire_frame(wire, NGHTTP2_CONTINUATION,
			   at + part == len ? NGHTTP2_FLAG_END_HEADERS : 0, id, block + at, part);
	}
}

/* Both streams of a connection with all that there is: 30 requests, of some kinds. */
static void write_connection(struct pair *pair)
{
	uint8_t promise[512] = {0, 0, 0, 0, 8};
	char text[512];
	size_t len;

	wire_frame(pair->up, NGHTTP2_SETTINGS, 0, 0, "\0\1\0\1\0\0\0\4\0\1\0\0", 12);
	wire_frame(pair->down, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	for (uint32_t i = 0; i < 10; i++) {
		uint32_t id = i * 6 + 1;

		snprintf(text, sizeof(text), REQUEST "x-count %u\n", i);
		wire_headers(pair->up, id, true, text);
		wire_split(pair->up, id + 2, false, text, i + 1);
		wire_data(pair->up, id + 2, i, false);
		wire_headers(pair->up, id + 2, true, "trailer t\n");
		wire_split(pair->up, id + 4, true, text, 4000);
		snprintf(text, sizeof(text), RESPONSE "x-count %u\n", i);
		wire_headers(pair->down, id + 2, false, ":status 103\nlink l\n");
		wire_split(pair->down, id + 2, false, text, i + 1);
		wire_headers(pair->down, id, false, text);
		wire_data(pair->down, id, 100000 + i, false);
		wire_data(pair->down, id, i, true);
		len = wire_deflate(pair->down, REQUEST, promise + 5, sizeof(promise) - 5);
		promise[0] = 0;
		wire_frame(pair->down, NGHTTP2_PUSH_PROMISE,
			   NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_PADDED, id, promise, 5 + len);
		wire_data(pair->down, id + 2, 17, false);
		wire_headers(pair->down, id + 2, true, "grpc-status 7\n");
		wire_frame(pair->down, NGHTTP2_RST_STREAM, 0, id + 4, "\0\0\0\7", 4);
	}
	wire_frame(pair->down, NGHTTP2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0bye", 11);
}

static void describe(const struct observe_request *got, char *out, size_t size)
{
	snprintf(out, size, "%s %s %s %s %d %d %d %d %d | %lu %lu %lu %lu %lu %lu %lu", got->method,
		 got->host, got->path, got->content_type, got->status, got->grpc_status,
		 got->path_cut, got->has_first_byte, got->complete, (unsigned long)got->time_ns,
		 (unsigned long)got->first_byte_us, (unsigned long)got->last_byte_us,
		 (unsigned long)got->request_bytes, (unsigned long)got->request_body,
		 (unsigned long)got->response_bytes, (unsigned long)got->response_body);
}

static void expect_same(const struct head_feed *feed, const struct head_feed *as)
{
	char one[8192], other[8192];

	assert_int_equal(head_feed_troubles(feed), 0);
	assert_int_equal(feed->count, as->count);
	for (size_t i = 0; i < feed->count; i++) {
		describe(&feed->requests[i], one, sizeof(one));
		describe(&as->requests[i], other, sizeof(other));
		assert_string_equal(one, other);
	}
}

static void feed_whole(struct head_feed *feed, const struct pair *pair)
{
	head_feed_begin(feed);
	wire_event(feed, pair->up, 10, 0, pair->up->len);
	wire_event(feed, pair->down, 30, 0, pair->down->len);
	head_feed_end(feed);
}

/* What is told does not depend on where events end: one cut at every place, then in small parts. */
static void test_cuts(void **state)
{
	struct pair *pair = *state;
	struct head_feed whole, cut;
	unsigned int seed = 1;

	write_connection(pair);
	feed_whole(&whole, pair);
	assert_int_equal(head_feed_troubles(&whole), 0);
	assert_int_equal(whole.count, 30);
	assert_string_equal(whole.requests[0].path, "/some/path?a&b");
	for (size_t i = 0; i < whole.count; i++) {
		bool reset = whole.requests[i].status == 0;

		assert_int_equal(whole.requests[i].complete, !reset);
		assert_string_equal(whole.requests[i].host, "origin.example");
	}
	for (size_t at = 1; at < pair->up->len || at < pair->down->len; at++) {
		size_t up = at < pair->up->len ? at : pair->up->len;
		size_t down = at < pair->down->len ? at : pair->down->len;

		head_feed_begin(&cut);
		wire_event(&cut, pair->up, 10, 0, up);
		wire_event(&cut, pair->up, 10, up, pair->up->len);
		wire_event(&cut, pair->down, 30, 0, down);
		wire_event(&cut, pair->down, 30, down, pair->down->len);
		head_feed_end(&cut);
		expect_same(&cut, &whole);
		head_feed_drop(&cut);
	}
	for (int round = 0; round < 100; round++) {
		const struct http2_wire *wires[] = {pair->up, pair->down};

		head_feed_begin(&cut);
		for (int i = 0; i < 2; i++) {
			for (size_t at = 0, to; at < wires[i]->len; at = to) {
				to = at + 1 + (size_t)rand_r(&seed) % (1 + round % 20);
				to = to < wires[i]->len ? to : wires[i]->len;
				wire_event(&cut, wires[i], i ? 30 : 10, at, to);
			}
		}
		head_feed_end(&cut);
		expect_same(&cut, &whole);
		head_feed_drop(&cut);
	}
	head_feed_drop(&whole);
}

/* A stream that ends anywhere: nothing but less is told, and no trouble. */
static void test_truncated(void **state)
{
	struct pair *pair = *state;
	struct head_feed feed;
	size_t last = 0;

	write_connection(pair);
	for (size_t at = 0; at <= pair->down->len; at += 3) {
		head_feed_begin(&feed);
		wire_event(&feed, pair->up, 10, 0, pair->up->len);
		wire_event(&feed, pair->down, 30, 0, at);
		assert_true(feed.count >= last);
		last = feed.count;
		head_feed_end(&feed);
		assert_int_equal(feed.count, 30);
		assert_int_equal(head_feed_troubles(&feed), 0);
		head_feed_drop(&feed);
	}
	assert_true(last >= 29);
}

/* The server's encoder may use a larger table, up to 64 KiB, or a smaller one. */
static void test_table_sizes(void **state)
{
	static const size_t sizes[] = {65536, 0, 100, 65536, 4096, 30000};
	struct pair *pair = *state;
	struct head_feed feed;
	char text[4096];

	for (uint32_t i = 0; i < 600; i++) {
		if (i % 100 == 0)
			nghttp2_hd_deflate_change_table_size(pair->down->deflater, sizes[i / 100]);
		wire_headers(pair->up, i * 2 + 1, true, REQUEST);
		memset(text, 'v', sizeof(text));
		snprintf(text + 100, sizeof(text) - 100, "%u\ncontent-type t/%u\n:status 299\n",
			 i % 60, i % 60);
		memcpy(text, "x-long ", 7);
		wire_headers(pair->down, i * 2 + 1, true, text);
	}
	feed_whole(&feed, pair);
	assert_int_equal(head_feed_troubles(&feed), 0);
	assert_int_equal(feed.count, 600);
	for (uint32_t i = 0; i < 600; i++) {
		snprintf(text, sizeof(text), "t/%u", i % 60);
		assert_string_equal(feed.requests[i].content_type, text);
		assert_int_equal(feed.requests[i].status, 299);
	}
	head_feed_drop(&feed);
}

static void expect_malformed(struct pair *pair, enum http_decoder_trouble trouble)
{
	struct head_feed feed;

	feed_whole(&feed, pair);
	assert_int_equal(feed.troubles[trouble], 1);
	assert_int_equal(head_feed_troubles(&feed), 1);
	head_feed_drop(&feed);
	pair->up->len = 0;
	pair->down->len = 0;
}

static void test_malformed(void **state)
{
	/* Table sizes of 65537 and of more than 64 bits; an index that is not there; a cut field.
	 */
	static const struct {
		const char *bytes;
		size_t len;
	} blocks[] = {
		{"\x3f\xe2\xff\x03", 4},
		{"\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 12},
		{"\xbf", 1},
		{"\x80", 1},
		{"\x40\x05xyz", 5},
		{"\x40\x7f\xff\xff\xff\xff\xff\x7f", 8},
	};
	static const struct {
		int type, flags;
		uint32_t id;
		size_t len, sent;
	} frames[] = {
		{NGHTTP2_DATA, 0, 0, 5, 0},
		{NGHTTP2_HEADERS, 4, 0, 0, 0},
		{NGHTTP2_HEADERS, 4, 2, 0, 0},          /* a stream of the server's */
		{NGHTTP2_HEADERS, 4 | 8, 1, 0, 0},      /* no room for the padding's length */
		{NGHTTP2_HEADERS, 4 | 8 | 32, 1, 5, 5}, /* nor for the priority */
		{NGHTTP2_HEADERS, 4, 1, 65537, 0},
		{NGHTTP2_HEADERS, 4, 1, 16777215, 0},
		{NGHTTP2_PUSH_PROMISE, 4, 1, 10, 10},
		{NGHTTP2_CONTINUATION, 4, 1, 0, 0},
		{NGHTTP2_SETTINGS, 0, 1, 0, 0},
		{NGHTTP2_SETTINGS, 0, 0, 5, 5},
		{NGHTTP2_RST_STREAM, 0, 1, 3, 3},
		{NGHTTP2_RST_STREAM, 0, 0, 4, 4},
		{NGHTTP2_PRIORITY, 0, 1, 5, 5},
		{NGHTTP2_PING, 0, 0, 8, 8},
		{0x20, 0, 0, 0, 0},
	};
	struct pair *pair = *state;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		wire_frame(pair->up, NGHTTP2_HEADERS, 4, 1, blocks[i].bytes, blocks[i].len);
		expect_malformed(pair, HTTP_TROUBLE_MALFORMED);
	}
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		wire_frame(pair->up, frames[i].type, frames[i].flags, frames[i].id,
			   "\0\0\0\0\0\0\0\0\0", frames[i].sent);
		pair->up->bytes[0] = (uint8_t)(frames[i].len >> 16);
		pair->up->bytes[1] = (uint8_t)(frames[i].len >> 8);
		pair->up->bytes[2] = (uint8_t)frames[i].len;
		expect_malformed(pair, HTTP_TROUBLE_MALFORMED);
	}
	/* More padding than there is; a frame amid a header block; another stream's CONTINUATION.
	 */
	wire_frame(pair->up, NGHTTP2_HEADERS, 4 | 8, 1, "\3\x82\0", 3);
	expect_malformed(pair, HTTP_TROUBLE_MALFORMED);
	wire_frame(pair->up, NGHTTP2_HEADERS, 0, 1, "\x82", 1);
	wire_data(pair->up, 1, 1, false);
	expect_malformed(pair, HTTP_TROUBLE_MALFORMED);
	wire_frame(pair->up, NGHTTP2_HEADERS, 0, 1, "\x82", 1);
	wire_frame(pair->up, NGHTTP2_CONTINUATION, 4, 3, "\x84", 1);
	expect_malformed(pair, HTTP_TROUBLE_MALFORMED);
}

static void test_limits(void **state)
{
	static uint8_t block[4096]; /* ":method GET", again and again */
	struct pair *pair = *state;
	struct head_feed feed;

	memset(block, 0x82, sizeof(block));
	for (int i = 0; i < 16; i++)
		wire_frame(pair->up, i ? NGHTTP2_CONTINUATION : NGHTTP2_HEADERS, 0, 1, block,
			   sizeof(block));
	feed_whole(&feed, pair);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
	wire_frame(pair->up, NGHTTP2_CONTINUATION, 4, 1, block, 1);
	expect_malformed(pair, HTTP_TROUBLE_MALFORMED);

	for (uint32_t i = 0; i < 1024; i++)
		wire_headers(pair->up, i * 2 + 1, true, ":method GET\n");
	feed_whole(&feed, pair);
	assert_int_equal(feed.count, 1024);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
	wire_headers(pair->up, 2049, true, ":method GET\n");
	expect_malformed(pair, HTTP_TROUBLE_TOO_MANY);
	for (uint32_t i = 0; i <= 1024; i++)
		wire_headers(pair->down, i * 2 + 1, true, ":status 200\n");
	expect_malformed(pair, HTTP_TROUBLE_TOO_MANY);
}

/* Good streams with some bytes changed, and bytes without any sense. */
static void test_random_bytes(void **state)
{
	struct pair *pair = *state;
	unsigned int seed = 1;
	size_t good = 0;

	write_connection(pair);
	for (int round = 0; round < 3000; round++) {
		struct http2_wire *wire = round % 2 ? pair->up : pair->down;
		uint8_t kept[8];
		size_t at[8];
		struct head_feed feed;

		for (int i = 0; i < 8; i++) {
			at[i] = (size_t)rand_r(&seed) % wire->len;
			kept[i] = wire->bytes[at[i]];
			if (i <= round % 9)
				wire->bytes[at[i]] = (uint8_t)rand_r(&seed);
		}
		feed_whole(&feed, pair);
		good += head_feed_troubles(&feed) == 0;
		assert_true(head_feed_troubles(&feed) <= 1);
		assert_true(feed.count <= 100);
		head_feed_drop(&feed);
		for (int i = 7; i >= 0; i--)
			wire->bytes[at[i]] = kept[i];
	}
	assert_true(good < 3000);
	for (int round = 0; round < 2000; round++) {
		struct head_feed feed;

		pair->up->len = pair->down->len = 2000;
		for (size_t i = 0; i < 2000; i++) {
			pair->up->bytes[i] = (uint8_t)rand_r(&seed);
			pair->down->bytes[i] = (uint8_t)rand_r(&seed);
		}
		memcpy(pair->up->bytes, "\0\3\0\1\5\0\0\0\1", 9); /* HEADERS of 768 bytes */
		memcpy(pair->down->bytes, "\0\3\0\1\4\0\0\0\1", 9);
		feed_whole(&feed, pair);
		assert_true(feed.count <= 100);
		head_feed_drop(&feed);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(cuts),      TEST(truncated), TEST(table_sizes),
		TEST(malformed), TEST(limits),    TEST(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
