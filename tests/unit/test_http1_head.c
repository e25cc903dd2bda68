// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http1_send.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),           cmocka_unit_test(test_cut_first_lines),
		cmocka_unit_test(test_heads_in_pieces),  cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_head_without_end), cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
