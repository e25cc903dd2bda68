// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "head_feed.h"

#define MS 1000000ull

#define FIRST KSPLIT_HEAD_FIRST
#define WHOLE KSPLIT_HEAD_WHOLE
#define END   KSPLIT_HEAD_END
#define ALL   (FIRST | WHOLE | END)

/* Message bytes are 1000 + body; the first byte was sent a millisecond before the event. */
static void send_head(struct head_feed *feed, enum ksplit_stream stream, unsigned int flags,
		      uint64_t ms, uint64_t body, const char *text)
{
	struct ksplit_head_event event = {
		.time_ns = ms * MS,
		.first_ns = (ms - 1) * MS,
		.kind = KSPLIT_EVENT_HTTP1,
		.stream = (uint8_t)stream,
		.flags = (uint8_t)flags,
	};

	if (flags & END) {
		event.message_bytes = 1000 + body;
		event.body_bytes = body;
	}
	head_feed_event(feed, &event, text, strlen(text));
}

static void request(struct head_feed *feed, unsigned int flags, uint64_t ms, const char *text)
{
	send_head(feed, KSPLIT_REQUESTS, flags, ms, 0, text);
}

static void response(struct head_feed *feed, unsigned int flags, uint64_t ms, const char *text)
{
	send_head(feed, KSPLIT_RESPONSES, flags, ms, 0, text);
}

static void expect(const struct head_feed *feed, size_t i, const char *method, const char *path,
		   int status, bool complete)
{
	assert_true(i < feed->count);
	assert_string_equal(feed->requests[i].method, method);
	assert_string_equal(feed->requests[i].path, path);
	assert_int_equal(feed->requests[i].status, status);
	assert_int_equal(feed->requests[i].complete, complete);
	assert_int_equal(feed->requests[i].grpc_status, -1);
}

static void test_one_request(void **state)
{
	struct head_feed feed;
	const struct observe_request *got;

	(void)state;
	head_feed_begin(&feed);
	assert_int_equal(http_decoder_version(feed.decoder), 0);
	send_head(&feed, KSPLIT_REQUESTS, ALL, 101, 7,
		  "POST /a/42?q&page HTTP/1.1\r\nHost: User:pw@Example.com:8443\r\n"
		  "Content-Length: 7\r\n\r\n");
	assert_int_equal(http_decoder_version(feed.decoder), OBSERVE_HTTP_1_1);
	response(&feed, FIRST | WHOLE, 151,
		 "HTTP/1.1 201 Created\r\nContent-Type: "
		 "Text/HTML; charset=x\r\nContent-Length: 500\r\n\r\n");
	assert_int_equal(feed.count, 0);
	send_head(&feed, KSPLIT_RESPONSES, END, 300, 500, "");
	assert_int_equal(feed.count, 1);
	expect(&feed, 0, "POST", "/a/42?q&page", 201, true);
	got = &feed.requests[0];
	assert_string_equal(got->host, "example.com:8443");
	assert_string_equal(got->content_type, "text/html");
	assert_int_equal(got->version, OBSERVE_HTTP_1_1);
	assert_int_equal(got->time_ns, 100 * MS);
	assert_true(got->has_first_byte && !got->joined_in_kernel && !got->path_cut);
	assert_int_equal(got->first_byte_us, 50000);
	assert_int_equal(got->last_byte_us, 200000);
	assert_int_equal(got->request_bytes, 1007);
	assert_int_equal(got->request_body, 7);
	assert_int_equal(got->response_bytes, 1500);
	assert_int_equal(got->response_body, 500);
	head_feed_end(&feed);
	assert_int_equal(feed.count, 1);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

static void test_latency_of_the_kernel(void **state)
{
	struct head_feed feed;
	struct ksplit_head_event event = {
		.time_ns = 30 * MS,
		.first_ns = 30 * MS,
		.latency_ns = 1234567,
		.kind = KSPLIT_EVENT_HTTP1,
		.stream = KSPLIT_RESPONSES,
		.flags = FIRST,
	};

	(void)state;
	head_feed_begin(&feed);
	request(&feed, ALL, 11, "GET / HTTP/1.1\r\n\r\n");
	head_feed_event(&feed, &event, "HTTP/1.1 200 OK\r\n", 17);
	event.latency_ns = 0;
	event.flags = WHOLE | END;
	head_feed_event(&feed, &event, "\r\n", 2);
	expect(&feed, 0, "GET", "/", 200, true);
	assert_true(feed.requests[0].joined_in_kernel);
	assert_int_equal(feed.requests[0].first_byte_us, 1234);
	assert_int_equal(feed.requests[0].last_byte_us, 20000);
	head_feed_drop(&feed);
}

/* Whatever the fields say of a body, none is fed; versions, missing Host, forms of targets. */
static void test_shapes(void **state)
{
	static const struct {
		const char *text, *method, *path, *host;
		enum observe_http_version version;
	} shapes[] = {
		{"GET /x HTTP/1.0\r\n\r\n", "GET", "/x", "", OBSERVE_HTTP_1_0},
		{"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS", "*", "a", OBSERVE_HTTP_1_1},
		{"GET http://u:secret@h.example/p?k=secret HTTP/1.1\r\nHost: H\r\n\r\n", "GET",
		 "/p?k", "h", OBSERVE_HTTP_1_1},
		{"GET http://u:secret@h.example HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "h",
		 OBSERVE_HTTP_1_1},
		{"CONNECT origin.example:443 HTTP/1.1\r\n\r\n", "CONNECT", "", "origin.example:443",
		 OBSERVE_HTTP_1_1},
		{"BREW /pot HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "BREW",
		 "/pot", "h", OBSERVE_HTTP_1_1},
		{"M-SEARCH /m HTTP/1.1\r\nHost:\r\n\r\n", "M-SEARCH", "/m", "", OBSERVE_HTTP_1_1},
		{"POST /both HTTP/1.1\r\nHost: first\r\nHost: second\r\nContent-Length: 3\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 "POST", "/both", "first", OBSERVE_HTTP_1_1},
		{"GET /\xc3\xa4?a=secret&b=x=y&c HTTP/1.1\r\n\r\n", "GET", "/%C3%A4?a&b&c", "",
		 OBSERVE_HTTP_1_1},
	};
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		request(&feed, ALL, 10 + i, shapes[i].text);
		response(&feed, ALL | KSPLIT_HEAD_BODYLESS, 20 + i,
			 "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
		expect(&feed, i, shapes[i].method, shapes[i].path, 200, true);
		assert_string_equal(feed.requests[i].host, shapes[i].host);
		assert_int_equal(feed.requests[i].version, shapes[i].version);
	}
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

static void test_cut_first_lines(void **state)
{
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	request(&feed, ALL | KSPLIT_HEAD_CUT, 10, "GET /long/lon\r\nhost: a\r\n\r\n");
	request(&feed, FIRST | KSPLIT_HEAD_CUT, 11, "GET /long?a=1&b");
	request(&feed, WHOLE | END, 12, "Host: b\r\n\r\n");
	request(&feed, ALL | KSPLIT_HEAD_CUT, 13, "GET /just HTTP/1\r\n\r\n");
	for (int i = 0; i < 2; i++)
		response(&feed, ALL, 20, "HTTP/1.1 200 OK\r\n\r\n");
	response(&feed, ALL | KSPLIT_HEAD_CUT, 20, "HTTP/1.1 404 A very long rea");
	expect(&feed, 0, "GET", "/long/lon", 200, true);
	expect(&feed, 1, "GET", "/long?a&b", 200, true);
	expect(&feed, 2, "GET", "/just", 404, true);
	assert_true(feed.requests[0].path_cut && feed.requests[1].path_cut);
	assert_false(feed.requests[2].path_cut);
	assert_string_equal(feed.requests[0].host, "a");
	assert_string_equal(feed.requests[1].host, "b");
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

/* A head may come in pieces of any size, each an event. */
static void test_heads_in_pieces(void **state)
{
	static const char *const lines =
		"PUT /p?x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n";
	size_t len = strlen(lines);

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct head_feed feed;
		char text[128];

		head_feed_begin(&feed);
		memcpy(text, lines, cut);
		text[cut] = '\0';
		request(&feed, FIRST, 10, text);
		request(&feed, WHOLE | END, 11, lines + cut);
		response(&feed, ALL, 12, "HTTP/1.1 200 OK\r\n\r\n");
		assert_int_equal(feed.count, 1);
		expect(&feed, 0, "PUT", "/p?x", 200, true);
		assert_string_equal(feed.requests[0].host, "h");
		assert_int_equal(head_feed_troubles(&feed), 0);
		head_feed_drop(&feed);
	}
}

static void test_pipelining_and_interim(void **state)
{
	struct head_feed feed;
	char line[64];

	(void)state;
	head_feed_begin(&feed);
	for (unsigned int i = 0; i < 1024; i++) {
		snprintf(line, sizeof(line), "GET /%u HTTP/1.1\r\n\r\n", i);
		request(&feed, ALL, 10, line);
	}
	for (unsigned int i = 0; i < 1024; i++) {
		response(&feed, ALL, 11, "HTTP/1.1 100 Continue\r\n\r\n");
		response(&feed, ALL, 12, "HTTP/1.1 103 Early Hints\r\n\r\n");
		snprintf(line, sizeof(line), "HTTP/1.1 %u X\r\n\r\n", 200 + i % 300);
		response(&feed, ALL, 13 + i, line);
		assert_int_equal(feed.count, i + 1);
	}
	for (unsigned int i = 0; i < 1024; i++) {
		snprintf(line, sizeof(line), "/%u", i);
		expect(&feed, i, "GET", line, (int)(200 + i % 300), true);
		assert_int_equal(feed.requests[i].first_byte_us, (3 + i) * 1000);
	}
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

/* Also when the events of responses come first, as they can from two samplers. */
static void test_responses_ahead(void **state)
{
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	response(&feed, ALL, 12, "HTTP/1.1 201 A\r\n\r\n");
	response(&feed, ALL, 13, "HTTP/1.1 202 B\r\n\r\n");
	request(&feed, ALL, 10, "GET /1 HTTP/1.1\r\n\r\n");
	request(&feed, ALL, 11, "GET /2 HTTP/1.1\r\n\r\n");
	expect(&feed, 0, "GET", "/1", 201, true);
	expect(&feed, 1, "GET", "/2", 202, true);
	assert_int_equal(feed.requests[1].first_byte_us, 2000);
	head_feed_drop(&feed);
}

static void test_early_response(void **state)
{
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	request(&feed, FIRST, 10, "POST /up HTTP/1.1\r\n");
	response(&feed, ALL, 12, "HTTP/1.1 413 Too Large\r\n\r\n");
	assert_int_equal(feed.count, 0);
	request(&feed, WHOLE, 13, "content-length: 100\r\n\r\n");
	assert_int_equal(feed.count, 0);
	send_head(&feed, KSPLIT_REQUESTS, END, 20, 100, "");
	expect(&feed, 0, "POST", "/up", 413, true);
	assert_int_equal(feed.requests[0].request_body, 100);
	assert_int_equal(feed.requests[0].last_byte_us, 3000);
	head_feed_drop(&feed);
}

static void test_what_never_ended(void **state)
{
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	request(&feed, ALL, 10, "GET /aborted HTTP/1.1\r\n\r\n");
	response(&feed, FIRST | WHOLE, 12, "HTTP/1.1 200 OK\r\n\r\n");
	send_head(&feed, KSPLIT_RESPONSES, END | KSPLIT_HEAD_ABORTED, 13, 5, "");
	request(&feed, ALL, 14, "GET /unanswered HTTP/1.1\r\n\r\n");
	request(&feed, FIRST | END | KSPLIT_HEAD_ABORTED, 15, "GET /hal");
	head_feed_end(&feed);
	assert_int_equal(feed.count, 2);
	expect(&feed, 0, "GET", "/aborted", 200, false);
	assert_int_equal(feed.requests[0].response_body, 5);
	assert_true(feed.requests[0].has_first_byte);
	expect(&feed, 1, "GET", "/unanswered", 0, false);
	assert_false(feed.requests[1].has_first_byte);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);

	/* A response that nobody asked for; a request whose body goes on when the connection ends.
	 */
	head_feed_begin(&feed);
	response(&feed, ALL, 12, "HTTP/1.0 408 Request Timeout\r\n\r\n");
	head_feed_end(&feed);
	expect(&feed, 0, "", "", 408, true);
	assert_false(feed.requests[0].has_first_byte);
	assert_int_equal(feed.requests[0].version, OBSERVE_HTTP_1_0);
	head_feed_drop(&feed);
	head_feed_begin(&feed);
	request(&feed, FIRST | WHOLE, 10, "POST /up HTTP/1.1\r\n\r\n");
	response(&feed, ALL, 12, "HTTP/1.1 400 No\r\n\r\n");
	head_feed_end(&feed);
	expect(&feed, 0, "POST", "/up", 400, true);
	head_feed_drop(&feed);
}

static void test_upgrade(void **state)
{
	struct head_feed feed;
	struct ksplit_head_event other = {.kind = KSPLIT_EVENT_OTHER, .stream = KSPLIT_REQUESTS};

	(void)state;
	head_feed_begin(&feed);
	request(&feed, FIRST | WHOLE, 10, "GET /ws HTTP/1.1\r\nhost: h\r\n\r\n");
	response(&feed, ALL | KSPLIT_HEAD_UPGRADED, 12, "HTTP/1.1 101 Switching\r\n\r\n");
	assert_int_equal(feed.count, 0);
	request(&feed, END, 13, "");
	expect(&feed, 0, "GET", "/ws", 101, true);
	request(&feed, ALL, 14, "garbage");
	response(&feed, ALL, 14, "garbage");
	head_feed_event(&feed, &other, "", 0);
	head_feed_end(&feed);
	assert_int_equal(feed.count, 1);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

static void test_too_many(void **state)
{
	struct head_feed feed;

	(void)state;
	head_feed_begin(&feed);
	for (int i = 0; i < 1025; i++)
		request(&feed, ALL, 10, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(feed.count, 1024);
	response(&feed, ALL, 11, "HTTP/1.1 200 OK\r\n\r\n");
	head_feed_end(&feed);
	assert_int_equal(feed.count, 1024);
	for (size_t i = 0; i < feed.count; i++)
		expect(&feed, i, "GET", "/", 0, false);
	assert_int_equal(feed.troubles[HTTP_TROUBLE_TOO_MANY], 1);
	assert_int_equal(head_feed_troubles(&feed), 1);
	head_feed_drop(&feed);
}

static void test_malformed(void **state)
{
	static const struct {
		unsigned int flags;
		const char *text;
	} broken[] = {
		{ALL, ""},
		{ALL, "\r\n"},
		{ALL, "GET\r\n\r\n"},
		{ALL, "GET /\r\n\r\n"},
		{ALL, "GET / HTTP/2.0\r\n\r\n"},
		{ALL, "GET / HTTP/0.9\r\n\r\n"},
		{ALL, "GET / HTTP/1.1"},
		{ALL, "G(T / HTTP/1.1\r\n\r\n"},
		{ALL, "GET /a b HTTP/1.1\r\n\r\n"},
		{ALL, "GET / HTTP/1.1\r\nno colon\r\n\r\n"},
		{ALL, "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"},
		{ALL, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		{ALL, "HTTP/1.1 200 OK\r\n\r\n"},
		{WHOLE | END, "GET / HTTP/1.1\r\n\r\n"},
		{END, ""},
		{ALL | KSPLIT_HEAD_CUT, "G"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct head_feed feed;

		head_feed_begin(&feed);
		request(&feed, ALL, 9, "GET /ok HTTP/1.1\r\n\r\n");
		request(&feed, broken[i].flags, 10, broken[i].text);
		assert_int_equal(feed.troubles[HTTP_TROUBLE_MALFORMED], 1);
		assert_int_equal(head_feed_troubles(&feed), 1);
		assert_int_equal(feed.count, 1);
		expect(&feed, 0, "GET", "/ok", 0, false);
		response(&feed, ALL, 11, "HTTP/1.1 200 OK\r\n\r\n");
		assert_int_equal(feed.count, 1);
		head_feed_drop(&feed);
	}
}

static void test_head_without_end(void **state)
{
	struct head_feed feed;
	char line[4001];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	head_feed_begin(&feed);
	request(&feed, FIRST, 10, "GET / HTTP/1.1\r\nhost: ");
	for (int i = 0; i < 10; i++)
		request(&feed, 0, 10, line);
	assert_int_equal(feed.troubles[HTTP_TROUBLE_MALFORMED], 1);
	head_feed_drop(&feed);
	assert_int_equal(feed.count, 0);
}

/* Longer than a request holds, counting what is percent-encoded. */
static void test_long_values(void **state)
{
	char text[4096] = "GET /";
	struct head_feed feed;

	(void)state;
	memset(text + 5, '\xff', 2000);
	strcpy(text + 2005, " HTTP/1.1\r\nhost: ");
	memset(text + strlen(text), 'h', 1000);
	strcat(text, "\r\n\r\n");
	head_feed_begin(&feed);
	request(&feed, ALL, 10, text);
	response(&feed, ALL, 12, "HTTP/1.1 200 OK\r\ncontent-type: ; charset=x\r\n\r\n");
	assert_int_equal(feed.count, 1);
	assert_true(feed.requests[0].path_cut);
	assert_int_equal(strlen(feed.requests[0].path), 1 + 3 * 1364);
	assert_int_equal(strlen(feed.requests[0].host), OBSERVE_HOST_MAX - 1);
	assert_string_equal(feed.requests[0].content_type, "");
	head_feed_drop(&feed);
}

/* Whatever comes, nothing breaks; and the sum of what is told stays within what was fed. */
static void test_random_events(void **state)
{
	static const char *const pieces[] = {
		"GET / HTTP/1.1\r\n",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 100 C\r\n",
		"host: a\r\n",
		"\r\n",
		"POST /b?c=d HTTP/1.0\r\n",
		"GET /cut",
		"",
		"transfer-encoding: chunked\r\n",
		"content-length: 18446744073709551615\r\n",
		"\xff\xff",
	};
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct head_feed feed;

		head_feed_begin(&feed);
		for (int i = 0; i < 40; i++) {
			char text[256] = "";
			struct ksplit_head_event event = {
				.time_ns = (uint64_t)i * MS,
				.first_ns = (uint64_t)(rand_r(&seed) % 40) * MS,
				.latency_ns =
					rand_r(&seed) % 2 ? 0 : (uint64_t)(rand_r(&seed) % 9) * MS,
				.kind = rand_r(&seed) % 50 ? KSPLIT_EVENT_HTTP1
							   : (uint8_t)(rand_r(&seed) % 6),
				.stream = rand_r(&seed) % 2,
				.flags = rand_r(&seed) % 2 ? ALL : (uint8_t)rand_r(&seed),
			};

			for (int j = rand_r(&seed) % 4; j >= 0; j--)
				strcat(text, pieces[(size_t)rand_r(&seed) %
						    (sizeof(pieces) / sizeof(pieces[0]))]);
			if (rand_r(&seed) % 30 == 0)
				feed.sequence[event.stream]++;
			head_feed_event(&feed, &event, text, strlen(text));
		}
		head_feed_end(&feed);
		assert_true(feed.count <= 40);
		for (int i = 0; i < HTTP_TROUBLES; i++)
			assert_true(feed.troubles[i] <= 1);
		head_feed_drop(&feed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_request),
		cmocka_unit_test(test_latency_of_the_kernel),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_cut_first_lines),
		cmocka_unit_test(test_heads_in_pieces),
		cmocka_unit_test(test_pipelining_and_interim),
		cmocka_unit_test(test_responses_ahead),
		cmocka_unit_test(test_early_response),
		cmocka_unit_test(test_what_never_ended),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_head_without_end),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_random_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
