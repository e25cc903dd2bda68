// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http1_send.h"

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
		cmocka_unit_test(test_pipelining_and_interim),
		cmocka_unit_test(test_responses_ahead),
		cmocka_unit_test(test_early_response),
		cmocka_unit_test(test_what_never_ended),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_random_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
