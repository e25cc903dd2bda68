// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http2_wire.h"

#define MS 1000000ull

static struct head_feed feed; /* of the test at hand */

static int setup(void **state)
{
	(void)state;
	head_feed_begin(&feed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	head_feed_drop(&feed);
	return 0;
}

/* A whole message, its first byte at `ms`; `latency` as of the kernel. */
static void message(enum ksplit_stream stream, uint64_t ms, uint64_t latency, const char *text)
{
	const struct ksplit_head_event event = {
		.time_ns = ms * MS,
		.first_ns = ms * MS,
		.latency_ns = latency * MS,
		.kind = KSPLIT_EVENT_HTTP1,
		.stream = (uint8_t)stream,
		.flags = KSPLIT_HEAD_FIRST | KSPLIT_HEAD_WHOLE | KSPLIT_HEAD_END,
	};

	head_feed_event(&feed, &event, text, strlen(text));
}

static void request(uint64_t ms, const char *text)
{
	message(KSPLIT_REQUESTS, ms, 0, text);
}

static void response(uint64_t ms, uint64_t latency, const char *text)
{
	message(KSPLIT_RESPONSES, ms, latency, text);
}

static void special(enum ksplit_stream stream, enum ksplit_event_kind kind)
{
	const struct ksplit_head_event event = {.stream = (uint8_t)stream, .kind = (uint8_t)kind};

	head_feed_event(&feed, &event, "", 0);
}

static void expect(size_t i, const char *path, int status)
{
	assert_true(i < feed.count);
	assert_string_equal(feed.requests[i].path, path);
	assert_int_equal(feed.requests[i].status, status);
	assert_int_equal(feed.requests[i].complete, status != 0);
}

static void expect_only(enum http_decoder_trouble trouble)
{
	assert_int_equal(feed.troubles[trouble], trouble ? 1 : 0);
	assert_int_equal(head_feed_troubles(&feed), trouble ? 1 : 0);
}

/* Without a latency of the kernel nothing proves which request a response answers. */
static void test_gap_ends_http1(void **state)
{
	(void)state;
	request(10, "GET /1 HTTP/1.1\r\n\r\n");
	request(11, "GET /2 HTTP/1.1\r\n\r\n");
	feed.sequence[KSPLIT_RESPONSES]++;
	response(12, 0, "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(feed.count, 2);
	expect(0, "/1", 0);
	expect(1, "/2", 0);
	expect_only(HTTP_TROUBLE_GAP);
	request(13, "GET /3 HTTP/1.1\r\n\r\n");
	response(14, 1, "HTTP/1.1 200 OK\r\n\r\n");
	head_feed_end(&feed);
	assert_int_equal(feed.count, 2);
	expect_only(HTTP_TROUBLE_GAP);
}

/* With one, decoding goes on: the request whose first byte was just so long ago is the one. */
static void test_gap_is_mended(void **state)
{
	(void)state;
	request(10, "GET /1 HTTP/1.1\r\n\r\n");
	feed.sequence[KSPLIT_REQUESTS]++;
	request(20, "GET /3 HTTP/1.1\r\n\r\n");
	expect(0, "/1", 0);
	response(30, 15, "HTTP/1.1 201 to the lost one\r\n\r\n");
	assert_int_equal(feed.count, 1);
	request(40, "GET /4 HTTP/1.1\r\n\r\n");
	request(41, "GET /5 HTTP/1.1\r\n\r\n");
	response(50, 10, "HTTP/1.1 204 to the fourth\r\n\r\n");
	assert_int_equal(feed.count, 3);
	expect(1, "/3", 0);
	expect(2, "/4", 204);
	assert_true(feed.requests[2].joined_in_kernel);
	response(60, 0, "HTTP/1.1 205 to the fifth\r\n\r\n");
	expect(3, "/5", 205);
	request(70, "GET /6 HTTP/1.1\r\n\r\n");
	response(80, 0, "HTTP/1.1 206 to the sixth\r\n\r\n");
	expect(4, "/6", 206);
	assert_int_equal(feed.count, 5);
	expect_only(HTTP_TROUBLE_GAP);
	feed.sequence[KSPLIT_RESPONSES] += 7; /* told once */
	response(90, 1, "HTTP/1.1 200 OK\r\n\r\n");
	expect_only(HTTP_TROUBLE_GAP);
}

/* Two requests began at the same time: either could be meant. */
static void test_gap_with_doubt(void **state)
{
	(void)state;
	feed.sequence[KSPLIT_REQUESTS]++;
	request(10, "GET /1 HTTP/1.1\r\n\r\n");
	request(10, "GET /2 HTTP/1.1\r\n\r\n");
	response(20, 10, "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(feed.count, 2);
	expect(0, "/1", 0);
	expect(1, "/2", 0);
	expect_only(HTTP_TROUBLE_GAP);
}

/* Amid a message, its rest is passed over. */
static void test_gap_within_messages(void **state)
{
	struct ksplit_head_event event = {
		.time_ns = 10 * MS, .kind = KSPLIT_EVENT_HTTP1, .flags = KSPLIT_HEAD_FIRST};

	(void)state;
	head_feed_event(&feed, &event, "GET /lost HT", 12);
	feed.sequence[KSPLIT_REQUESTS]++;
	event.flags = KSPLIT_HEAD_WHOLE;
	head_feed_event(&feed, &event, "host: h\r\n\r\n", 11);
	event.flags = KSPLIT_HEAD_END;
	head_feed_event(&feed, &event, "", 0);
	request(20, "GET /found HTTP/1.1\r\n\r\n");
	response(30, 10, "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(feed.count, 1);
	expect(0, "/found", 200);
	expect_only(HTTP_TROUBLE_GAP);
}

static void test_gap_ends_http2(void **state)
{
	struct http2_wire *up = wire_new(KSPLIT_REQUESTS);

	(void)state;
	wire_headers(up, 1, true, ":method GET\n:path /1\n");
	wire_send(&feed, up, 10);
	feed.sequence[KSPLIT_RESPONSES]++;
	special(KSPLIT_RESPONSES, KSPLIT_EVENT_HTTP2);
	expect(0, "/1", 0);
	wire_headers(up, 3, true, ":method GET\n:path /2\n");
	wire_send(&feed, up, 20);
	assert_int_equal(http_decoder_version(feed.decoder), OBSERVE_HTTP_2);
	head_feed_end(&feed);
	assert_int_equal(feed.count, 1);
	expect_only(HTTP_TROUBLE_GAP);
	wire_free(up);
}

static void test_lost(void **state)
{
	(void)state;
	request(10, "GET /1 HTTP/1.0\r\n\r\n");
	special(KSPLIT_RESPONSES, KSPLIT_EVENT_LOST);
	expect(0, "/1", 0);
	assert_int_equal(http_decoder_version(feed.decoder), OBSERVE_HTTP_1_0);
	special(KSPLIT_REQUESTS, KSPLIT_EVENT_LOST);
	request(20, "GET /2 HTTP/1.0\r\n\r\n");
	head_feed_end(&feed);
	assert_int_equal(feed.count, 1);
	expect_only(HTTP_TROUBLE_SAMPLER);
}

/* Neither stream is HTTP: no trouble. One of them is: broken. */
static void test_other(void **state)
{
	(void)state;
	special(KSPLIT_REQUESTS, KSPLIT_EVENT_OTHER);
	special(KSPLIT_RESPONSES, KSPLIT_EVENT_OTHER);
	assert_int_equal(http_decoder_version(feed.decoder), 0);
	head_feed_end(&feed);
	assert_int_equal(feed.count, 0);
	expect_only(HTTP_TROUBLE_NONE);
}

static void test_other_answers_http(void **state)
{
	(void)state;
	request(10, "GET /1 HTTP/1.1\r\n\r\n");
	special(KSPLIT_RESPONSES, KSPLIT_EVENT_OTHER);
	expect(0, "/1", 0);
	expect_only(HTTP_TROUBLE_MALFORMED);
}

static void test_switch_of_versions(void **state)
{
	struct http2_wire *up = wire_new(KSPLIT_REQUESTS);

	(void)state;
	wire_headers(up, 1, true, ":method GET\n:path /1\n");
	wire_send(&feed, up, 10);
	response(20, 0, "HTTP/1.1 400 Bad Request\r\n\r\n");
	expect(0, "/1", 0);
	expect_only(HTTP_TROUBLE_MALFORMED);
	head_feed_drop(&feed);

	head_feed_begin(&feed);
	request(10, "GET /2 HTTP/1.1\r\n\r\n");
	special(KSPLIT_RESPONSES, KSPLIT_EVENT_HTTP2);
	expect(0, "/2", 0);
	expect_only(HTTP_TROUBLE_MALFORMED);
	wire_free(up);
}

/* Events that break their own layout are dropped, and leave a gap. */
static void test_impossible_events(void **state)
{
	static const uint8_t bytes[KSPLIT_HEAD_MAX + 1];
	struct ksplit_head_event event = {.kind = KSPLIT_EVENT_HTTP1, .stream = KSPLIT_STREAMS};

	(void)state;
	head_feed_event(&feed, &event, "x", 1);
	event.stream = KSPLIT_REQUESTS;
	head_feed_event(&feed, &event, bytes, sizeof(bytes));
	expect_only(HTTP_TROUBLE_NONE);
	request(10, "GET /1 HTTP/1.1\r\n\r\n");
	expect_only(HTTP_TROUBLE_GAP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(gap_ends_http1),
		TEST(gap_is_mended),
		TEST(gap_with_doubt),
		TEST(gap_within_messages),
		TEST(gap_ends_http2),
		TEST(lost),
		TEST(other),
		TEST(other_answers_http),
		TEST(switch_of_versions),
		TEST(impossible_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
