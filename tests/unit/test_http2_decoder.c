// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http2_wire.h"

#define GET    ":method GET\n:scheme https\n:authority h\n:path /\n"
#define OK_200 ":status 200\ncontent-type text/plain\n"

struct rig {
	struct head_feed feed;
	struct http2_wire *up, *down;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	head_feed_begin(&rig->feed);
	rig->up = wire_new(KSPLIT_REQUESTS);
	rig->down = wire_new(KSPLIT_RESPONSES);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	head_feed_drop(&rig->feed);
	wire_free(rig->up);
	wire_free(rig->down);
	free(rig);
	return 0;
}

static void send_up(struct rig *rig, uint64_t ms)
{
	wire_send(&rig->feed, rig->up, ms);
}

static void send_down(struct rig *rig, uint64_t ms)
{
	wire_send(&rig->feed, rig->down, ms);
}

static void test_one_request(void **state)
{
	struct rig *rig = *state;
	const struct observe_request *got;
	size_t up, down;

	wire_frame(rig->up, NGHTTP2_SETTINGS, 0, 0, "\0\1\0\0\20\0", 6);
	up = wire_headers(rig->up, 1, false,
			  ":method POST\n:scheme https\n:authority user:secret@H.example:8443\n"
			  ":path /a/42?q=secret&page\nauthorization secret\ncookie secret\n");
	send_up(rig, 100);
	wire_data(rig->up, 1, 16000, false);
	wire_data(rig->up, 1, 7, true);
	send_up(rig, 110);
	assert_int_equal(http_decoder_version(rig->feed.decoder), OBSERVE_HTTP_2);
	down = wire_headers(rig->down, 1, false, ":status 103\nlink secret\n");
	send_down(rig, 120);
	down += wire_headers(rig->down, 1, false,
			     ":status 201\ncontent-type Text/HTML; charset=x\nset-cookie secret\n");
	send_down(rig, 150);
	wire_data(rig->down, 1, 500, false);
	send_down(rig, 160);
	assert_int_equal(rig->feed.count, 0);
	wire_data(rig->down, 1, 0, true);
	send_down(rig, 300);
	assert_int_equal(rig->feed.count, 1);
	got = rig->feed.requests;
	assert_string_equal(got->method, "POST");
	assert_string_equal(got->host, "h.example:8443");
	assert_string_equal(got->path, "/a/42?q&page");
	assert_string_equal(got->content_type, "text/html");
	assert_int_equal(got->version, OBSERVE_HTTP_2);
	assert_int_equal(got->status, 201);
	assert_int_equal(got->grpc_status, -1);
	assert_int_equal(got->time_ns, 100000000);
	assert_true(got->has_first_byte && got->complete && !got->joined_in_kernel);
	assert_int_equal(got->first_byte_us, 50000);
	assert_int_equal(got->last_byte_us, 200000);
	assert_int_equal(got->request_bytes, up + 9 + 16000 + 9 + 7);
	assert_int_equal(got->request_body, 16007);
	assert_int_equal(got->response_bytes, down + 9 + 500 + 9);
	assert_int_equal(got->response_body, 500);
	head_feed_end(&rig->feed);
	assert_int_equal(rig->feed.count, 1);
	assert_int_equal(head_feed_troubles(&rig->feed), 0);
}

/* 50 streams at once, answered in another order, each with its own path, status and length. */
static void test_interleaved_streams(void **state)
{
	struct rig *rig = *state;
	char text[256];

	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < 50; i++) {
			snprintf(text, sizeof(text), ":method GET\n:path /%u\n:authority h%u\n",
				 round * 50 + i, i);
			wire_headers(rig->up, (round * 50 + i) * 2 + 1, true, text);
		}
		send_up(rig, 10);
		for (uint32_t i = 0; i < 50; i++) {
			snprintf(text, sizeof(text), ":status %u\ncontent-type t/%u\n", 200 + i, i);
			wire_headers(rig->down, (round * 50 + (i * 7) % 50) * 2 + 1, false, text);
		}
		send_down(rig, 20);
		for (uint32_t i = 0; i < 50; i++)
			wire_data(rig->down, (round * 50 + i) * 2 + 1, i, false);
		for (uint32_t i = 0; i < 50; i++)
			wire_data(rig->down, (round * 50 + i) * 2 + 1, 100, true);
		send_down(rig, 30);
		assert_int_equal(rig->feed.count, (round + 1) * 50);
	}
	for (uint32_t i = 0; i < 500; i++) {
		const struct observe_request *got = &rig->feed.requests[i];
		uint32_t answer = (i % 50) * 43 % 50; /* 7 * 43 = 1 modulo 50 */

		snprintf(text, sizeof(text), "/%u", i);
		assert_string_equal(got->path, text);
		snprintf(text, sizeof(text), "h%u", i % 50);
		assert_string_equal(got->host, text);
		snprintf(text, sizeof(text), "t/%u", answer);
		assert_string_equal(got->content_type, text);
		assert_int_equal(got->status, 200 + answer);
		assert_int_equal(got->response_body, 100 + i % 50);
	}
	assert_int_equal(head_feed_troubles(&rig->feed), 0);
}

static void test_grpc(void **state)
{
	static const struct {
		const char *head, *trailers;
		int status;
	} calls[] = {
		{":status 200\ncontent-type application/grpc+proto\n", "grpc-status 0\n", 0},
		{":status 200\ncontent-type application/grpc\n", "x y\ngrpc-status 14\n", 14},
		{":status 200\ncontent-type application/grpc\ngrpc-status 12\n", NULL, 12},
		{":status 200\ncontent-type application/grpc\n", "grpc-status what\n", 2},
		{":status 200\ncontent-type application/grpc\n", "x y\n", -1},
		{":status 200\ncontent-type text/html\n", "grpc-status 3\n", -1},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint32_t id = (uint32_t)i * 2 + 1;

		wire_headers(rig->up, id, false, ":method POST\n:path /s/m\nte trailers\n");
		wire_data(rig->up, id, 5, true);
		send_up(rig, 10);
		wire_headers(rig->down, id, !calls[i].trailers, calls[i].head);
		if (calls[i].trailers) {
			wire_data(rig->down, id, 5, false);
			wire_headers(rig->down, id, true, calls[i].trailers);
		}
		send_down(rig, 20);
		assert_int_equal(rig->feed.count, i + 1);
		assert_int_equal(rig->feed.requests[i].grpc_status, calls[i].status);
		assert_int_equal(rig->feed.requests[i].status, 200);
		assert_true(rig->feed.requests[i].complete);
	}
}

static void expect_first(const struct rig *rig, const char *path, int status, bool complete)
{
	assert_int_equal(rig->feed.count, 1);
	assert_string_equal(rig->feed.requests[0].path, path);
	assert_int_equal(rig->feed.requests[0].status, status);
	assert_int_equal(rig->feed.requests[0].complete, complete);
	assert_int_equal(head_feed_troubles(&rig->feed), 0);
}

static const uint8_t cancel[4] = {0, 0, 0, 8};

static void test_resets(void **state)
{
	struct rig *rig = *state;

	wire_headers(rig->up, 1, true, GET);
	send_up(rig, 10);
	wire_headers(rig->down, 1, false, ":status 200\ncontent-type application/grpc\n");
	send_down(rig, 20);
	wire_frame(rig->up, NGHTTP2_RST_STREAM, 0, 1, cancel, 4);
	send_up(rig, 30);
	expect_first(rig, "/", 200, false);
	assert_true(rig->feed.requests[0].has_first_byte);
	assert_int_equal(rig->feed.requests[0].grpc_status, -1);
	/* What was under way is of nothing any more, but its header block counts. */
	wire_data(rig->down, 1, 100, false);
	wire_headers(rig->down, 1, true, "grpc-status 0\nnew field\n");
	wire_headers(rig->up, 1, true, "trailer x\n");
	send_up(rig, 40);
	send_down(rig, 40);
	wire_headers(rig->up, 3, true, GET);
	wire_headers(rig->down, 3, true, ":status 204\nnew field\n");
	send_up(rig, 50);
	send_down(rig, 60);
	assert_int_equal(rig->feed.count, 2);
	assert_int_equal(rig->feed.requests[1].status, 204);
}

/* A server that has answered stops an upload by RST_STREAM (RFC 9113 8.1). */
static void test_reset_after_the_response(void **state)
{
	struct rig *rig = *state;

	wire_headers(rig->up, 1, false, GET);
	wire_data(rig->up, 1, 100, false);
	send_up(rig, 10);
	wire_headers(rig->down, 1, true, ":status 413\n");
	send_down(rig, 20);
	assert_int_equal(rig->feed.count, 0);
	wire_frame(rig->down, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\0", 4);
	send_down(rig, 20);
	expect_first(rig, "/", 413, true);
	assert_int_equal(rig->feed.requests[0].request_body, 100);
}

static void test_responses_ahead(void **state)
{
	struct rig *rig = *state;

	wire_headers(rig->down, 1, true, OK_200);
	wire_headers(rig->down, 3, false, OK_200);
	wire_frame(rig->down, NGHTTP2_RST_STREAM, 0, 3, cancel, 4);
	send_down(rig, 20);
	wire_headers(rig->up, 1, true, GET);
	send_up(rig, 10);
	expect_first(rig, "/", 200, true);
	assert_int_equal(rig->feed.requests[0].first_byte_us, 10000);
	wire_headers(rig->up, 3, true, GET);
	send_up(rig, 10);
	assert_int_equal(rig->feed.count, 2);
	assert_false(rig->feed.requests[1].complete);
}

static void test_pushed_streams_are_passed_over(void **state)
{
	struct rig *rig = *state;
	uint8_t promise[256] = {0, 0, 0, 2};
	size_t len;

	wire_headers(rig->up, 1, true, GET);
	send_up(rig, 10);
	len = wire_deflate(rig->down, GET "x pushed\n", promise + 4, sizeof(promise) - 4);
	wire_frame(rig->down, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, promise, 4 + len);
	wire_headers(rig->down, 2, false, OK_200 "x pushed\n");
	wire_data(rig->down, 2, 1000, true);
	len = wire_headers(rig->down, 1, true, OK_200 "x pushed\n");
	send_down(rig, 20);
	expect_first(rig, "/", 200, true);
	assert_int_equal(rig->feed.requests[0].response_bytes, len);
	head_feed_end(&rig->feed);
	assert_int_equal(rig->feed.count, 1);
}

static void test_finish_tells_of_open_streams(void **state)
{
	struct rig *rig = *state;

	wire_headers(rig->up, 1, false, GET);
	wire_frame(rig->up, NGHTTP2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0why", 11);
	send_up(rig, 10);
	wire_headers(rig->down, 1, false, ":status 100\n");
	send_down(rig, 20);
	head_feed_end(&rig->feed);
	expect_first(rig, "/", 0, false);
	assert_false(rig->feed.requests[0].has_first_byte);
}

static void test_targets(void **state)
{
	static const struct {
		const char *head, *path, *host;
		bool cut;
	} targets[] = {
		{":method OPTIONS\n:path *\nhost a\n", "*", "a", false},
		{":method CONNECT\n:authority b:443\n", "", "b:443", false},
		{":method GET\n:path https://u:secret@c/x?y=secret\n:authority c\nhost d\n", "/x?y",
		 "c", false},
		{":method GET\n:path x?y=://secret/\n", "", "", false},
		{":method GET\n:path /a?b=://c/secret#secret\n", "/a?b", "", false},
		{":method GET\n:path /a\tb\x7f\x1b[0m\n", "/a%09b%7F%1B[0m", "", false},
		{":method GET\n:path https://u:secret@e?k=secret\n", "/?k", "", false},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		wire_headers(rig->up, (uint32_t)i * 2 + 1, true, targets[i].head);
		wire_headers(rig->down, (uint32_t)i * 2 + 1, true, ":status 200\n");
		send_up(rig, 10);
		send_down(rig, 20);
		assert_int_equal(rig->feed.count, i + 1);
		assert_string_equal(rig->feed.requests[i].path, targets[i].path);
		assert_string_equal(rig->feed.requests[i].host, targets[i].host);
		assert_int_equal(rig->feed.requests[i].path_cut, targets[i].cut);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_request),
		TEST(interleaved_streams),
		TEST(grpc),
		TEST(resets),
		TEST(reset_after_the_response),
		TEST(responses_ahead),
		TEST(pushed_streams_are_passed_over),
		TEST(finish_tells_of_open_streams),
		TEST(targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
