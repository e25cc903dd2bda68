// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http2_wire.h"
#include "scan_rows.h"
#include "scan_run.h"

#define HEAD_BYTES 512

static struct scan_run run;

static int setup(void **state)
{
	(void)state;
	scan_run_new(&run, HEAD_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scan_run_free(&run);
	return 0;
}

static void cut(enum scan_cut how, size_t at, bool skip)
{
	run.cut = how;
	run.at = at;
	run.skip = skip;
}

static void run_row(const struct scan_row *row)
{
	const size_t requests = strlen(row->requests), responses = strlen(row->responses);

	scan_run_begin(&run, false);
	scan_run_stream(&run, KSPLIT_REQUESTS, row->requests, requests);
	/* SCAN_CUT_AT: one cut anywhere in the two. */
	if (run.cut == SCAN_CUT_AT)
		run.at = run.at > requests ? run.at - requests : 0;
	scan_run_stream(&run, KSPLIT_RESPONSES, row->responses, responses);
	if (row->after)
		scan_run_stream(&run, KSPLIT_REQUESTS, row->after, strlen(row->after));
	scan_run_end(&run);
}

static void check_row(const struct scan_row *row)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		if (strcmp(run.events.meaning[i].text, row->meaning[i]) == 0)
			continue;
		print_error("%s, cut %d at %zu, skip %d\n", row->name, run.cut, run.at, run.skip);
		assert_string_equal(run.events.meaning[i].text, row->meaning[i]);
	}
}

static void try_row(const struct scan_row *row, enum scan_cut how, size_t at, bool skip)
{
	cut(how, at, skip);
	run_row(row);
	check_row(row);
}

static void test_whole(void **state)
{
	(void)state;
	run.check_memory = true;
	for (size_t i = 0; i < SCAN_ROWS; i++) {
		try_row(&scan_rows[i], SCAN_CUT_WHOLE, 0, false);
		try_row(&scan_rows[i], SCAN_CUT_WHOLE, 0, true);
	}
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < SCAN_ROWS; i++) {
		size_t len = strlen(scan_rows[i].requests) + strlen(scan_rows[i].responses);

		for (size_t at = 1; at < len; at++)
			try_row(&scan_rows[i], SCAN_CUT_AT, at, at % 2);
	}
}

static void test_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < SCAN_ROWS; i++) {
		run.check_memory = strlen(scan_rows[i].requests) < 200;
		try_row(&scan_rows[i], SCAN_CUT_BYTES, 0, false);
		try_row(&scan_rows[i], SCAN_CUT_BYTES, 0, true);
	}
}

static void test_random_pieces(void **state)
{
	(void)state;
	run.random = 42;
	for (size_t i = 0; i < SCAN_ROWS; i++)
		for (int n = 0; n < 50; n++)
			try_row(&scan_rows[i], SCAN_CUT_RANDOM, 0, n % 2);
}

/* --- what the decoder makes of it --- */

static void describe(const struct head_feed *feed, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < feed->count; i++) {
		const struct observe_request *r = &feed->requests[i];
		size_t used = strlen(text);

		snprintf(text + used, size - used, "%s %s %s%s %d%s %s %llu/%llu %llu/%llu\n",
			 r->method, r->host[0] ? r->host : "-", r->path, r->path_cut ? "+" : "",
			 r->status, r->complete ? "" : "!",
			 r->content_type[0] ? r->content_type : "-",
			 (unsigned long long)r->request_bytes, (unsigned long long)r->request_body,
			 (unsigned long long)r->response_bytes,
			 (unsigned long long)r->response_body);
	}
}

static void decode_row(const struct scan_row *row)
{
	struct head_feed feed;
	char text[8192];

	head_feed_begin(&feed);
	for (size_t i = 0; i < run.events.count; i++)
		http_decoder_feed(feed.decoder, run.events.list[i]);
	head_feed_end(&feed);
	describe(&feed, text, sizeof(text));
	if (strcmp(text, row->decoded) != 0)
		print_error("%s\n", row->name);
	assert_string_equal(text, row->decoded);
	assert_int_equal(head_feed_troubles(&feed), 0);
	head_feed_drop(&feed);
}

static void test_decoder(void **state)
{
	(void)state;
	for (size_t i = 0; i < SCAN_ROWS; i++) {
		if (!scan_rows[i].decoded)
			continue;
		for (enum scan_cut how = SCAN_CUT_WHOLE; how <= SCAN_CUT_RANDOM; how++) {
			cut(how, 20, true);
			run_row(&scan_rows[i]);
			decode_row(&scan_rows[i]);
		}
	}
}

/* --- limits --- */

/* The 257th that nobody has answered ends it; with answers between it never does. */
static void test_pipelined(void **state)
{
	static const char text[] = "HEAD / HTTP/1.1\r\n\r\n";
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
	const struct scan_meaning *requests = &run.events.meaning[KSPLIT_REQUESTS];

	(void)state;
	scan_run_begin(&run, false);
	for (int i = 0; i < 600; i++) {
		scan_run_stream(&run, KSPLIT_REQUESTS, text, strlen(text));
		if (i >= 255)
			scan_run_stream(&run, KSPLIT_RESPONSES, answer, strlen(answer));
	}
	assert_null(strstr(requests->text, "LOST"));
	assert_int_equal(requests->message_bytes, 600 * strlen(text));
	assert_int_equal(run.events.meaning[KSPLIT_RESPONSES].message_bytes, 345 * strlen(answer));
	assert_int_equal(run.pair.pair.asked, 600);
	assert_int_equal(run.pair.pair.answered, 345);
	scan_run_stream(&run, KSPLIT_REQUESTS, text, strlen(text));
	assert_null(strstr(requests->text, "LOST"));
	scan_run_stream(&run, KSPLIT_REQUESTS, text, strlen(text));
	assert_non_null(strstr(requests->text, "LOST"));
	assert_true(run.pair.stream[KSPLIT_REQUESTS].skip == KSPLIT_SKIP_ALL);
	scan_run_end(&run);
}

/* The largest and the smallest heads that can be configured: a line's end is always there. */
static void test_head_bytes(void **state)
{
	static const uint32_t sizes[] = {64, 500, 512, 4090, 4096};
	char line[6000];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		scan_run_free(&run);
		scan_run_new(&run, sizes[i]);
		for (size_t len = sizes[i] - 30; len < sizes[i] + 60; len++) {
			const char *expected = len + 11 > sizes[i] || len + 11 > 4094 ? "C" : "E ";

			snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\n\r\n", (int)len - 3, 0);
			scan_run_begin(&run, false);
			scan_run_stream(&run, KSPLIT_REQUESTS, line, strlen(line));
			scan_run_end(&run);
			assert_non_null(strstr(run.events.meaning[0].text, "~~[FWE"));
			assert_non_null(strstr(run.events.meaning[0].text, expected));
			assert_int_equal(run.events.meaning[0].message_bytes, strlen(line));
		}
	}
}

/* More went by unseen than the state allows: it is told, once, and nothing more. */
static void test_skipped_too_much(void **state)
{
	static const char text[] = "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n";

	(void)state;
	scan_run_begin(&run, false);
	scan_run_stream(&run, KSPLIT_REQUESTS, text, strlen(text));
	assert_int_equal(run.pair.stream[0].skip, 5);
	stream_scanner_skip(run.scanner, &run.pair, KSPLIT_REQUESTS, 6);
	scan_run_stream(&run, KSPLIT_REQUESTS, text, strlen(text));
	stream_scanner_skip(run.scanner, &run.pair, KSPLIT_REQUESTS, 100000);
	scan_run_end(&run);
	assert_string_equal(run.events.meaning[0].text, "PUT / HTTP/1.1~Content-Length: 5~~LOST");
}

/* --- HTTP/2 --- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct http2_case {
	char *wire;
	size_t len;
	struct scan_meaning *expected;
};

static void case_frame(struct http2_case *c, int type, int flags, size_t len, bool kept)
{
	uint8_t header[9] = {(uint8_t)(len >> 16),
			     (uint8_t)(len >> 8),
			     (uint8_t)len,
			     (uint8_t)type,
			     (uint8_t)flags,
			     0,
			     0,
			     0,
			     1};

	memcpy(c->wire + c->len, header, sizeof(header));
	if (kept || type == NGHTTP2_DATA)
		scan_meaning_hex(c->expected, header, sizeof(header));
	c->len += sizeof(header);
	for (size_t i = 0; i < len; i++)
		c->wire[c->len + i] = kept ? (char)(i * 7 + len) : SCAN_SECRET[i % 6];
	if (kept)
		scan_meaning_hex(c->expected, (uint8_t *)c->wire + c->len, len);
	c->len += len;
}

/* Every type of frame, padding, blocks that fill several events. */
static void case_frames(struct http2_case *c)
{
	static const size_t sizes[] = {0, 1, 8, 9, 511, 513, 4087, 4096, 9000, 16384};

	for (int type = 0; type < 14; type++) {
		bool kept = type == NGHTTP2_HEADERS || type == NGHTTP2_RST_STREAM ||
			    type == NGHTTP2_SETTINGS || type == NGHTTP2_PUSH_PROMISE ||
			    type == NGHTTP2_GOAWAY || type == NGHTTP2_CONTINUATION;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			if (!kept || sizes[i] < 1000 || type == NGHTTP2_HEADERS)
				case_frame(c, type, NGHTTP2_FLAG_PADDED, sizes[i], kept);
	}
	case_frame(c, NGHTTP2_DATA, 0, 100000, false);
	case_frame(c, NGHTTP2_HEADERS, 0, 10, true);
}

static void http2_compare(const struct http2_case *c, const struct http2_case *answers, bool alpn)
{
	scan_run_begin(&run, alpn);
	if (alpn) /* the server may speak first */
		scan_run_stream(&run, KSPLIT_RESPONSES, answers->wire, answers->len);
	scan_run_stream(&run, KSPLIT_REQUESTS, c->wire, c->len);
	if (!alpn)
		scan_run_stream(&run, KSPLIT_RESPONSES, answers->wire, answers->len);
	scan_run_end(&run);
	assert_true(strcmp(run.events.meaning[0].text, c->expected->text) == 0);
	assert_true(strcmp(run.events.meaning[1].text, answers->expected->text) == 0);
}

static void test_http2(void **state)
{
	struct http2_case cases[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		cases[i].wire = malloc(1 << 20);
		cases[i].expected = calloc(1, sizeof(*cases[i].expected));
		cases[i].len = i ? 0 : strlen(PREFACE);
		assert_true(cases[i].wire && cases[i].expected);
		memcpy(cases[i].wire, PREFACE, strlen(PREFACE));
		case_frames(&cases[i]);
	}
	run.random = 1;
	for (int n = 0; n < 20; n++) {
		cut(SCAN_CUT_RANDOM, 0, n % 2);
		http2_compare(&cases[0], &cases[1], n % 3 == 0);
	}
	cut(SCAN_CUT_WHOLE, 0, false);
	http2_compare(&cases[0], &cases[1], true);
	cut(SCAN_CUT_BYTES, 0, false);
	http2_compare(&cases[0], &cases[1], true);
	for (size_t at = 1; at < 200; at += at < 50 ? 1 : 7) {
		cut(SCAN_CUT_AT, at, true);
		http2_compare(&cases[0], &cases[1], false);
	}
	for (int i = 0; i < 2; i++) {
		free(cases[i].wire);
		free(cases[i].expected);
	}
}

/* --- hostile bytes: whatever they are, pieces make no difference --- */

static size_t mutate(char *text, size_t size, uint64_t *random)
{
	static const char *const words[] = {"\r\n",
					    "\n",
					    "\r",
					    "HTTP/1.1 200 OK\r\n",
					    " ",
					    "GET / HTTP/1.1\r\n",
					    "Content-Length: 3\r\n",
					    "0\r\n",
					    "Transfer-Encoding: chunked\r\n",
					    "\r\n\r\n",
					    ":",
					    "?",
					    PREFACE,
					    "\t",
					    "5\r\n",
					    "//",
					    "@",
					    "HTTP/1.1 101 \r\n",
					    X512};
	const struct scan_row *row = &scan_rows[scan_random(random) % SCAN_ROWS];
	const char *from = scan_random(random) % 2 ? row->requests : row->responses;
	size_t len = 0, at = 0, from_len = strlen(from);

	while (at < from_len && len < size - 600) {
		uint32_t dice = scan_random(random) % 60;
		const char *word = words[scan_random(random) % (sizeof(words) / sizeof(*words))];

		if (dice == 0)
			text[len++] = (char)scan_random(random);
		else if (dice == 1)
			at++;
		else if (dice == 2)
			len += (size_t)(stpcpy(text + len, word) - (text + len));
		else
			text[len++] = from[at++];
	}
	return len;
}

static void fuzz_run(const char *requests, size_t requests_len, const char *responses,
		     size_t responses_len, char *text[2])
{
	scan_run_begin(&run, false);
	scan_run_stream(&run, KSPLIT_REQUESTS, requests, requests_len);
	scan_run_stream(&run, KSPLIT_RESPONSES, responses, responses_len);
	scan_run_end(&run);
	for (int i = 0; i < 2; i++) {
		if (!text[i])
			text[i] = strdup(run.events.meaning[i].text);
		if (strcmp(text[i], run.events.meaning[i].text) != 0)
			print_error("requests: %.*s\nresponses: %.*s\n", (int)requests_len,
				    requests, (int)responses_len, responses);
		assert_string_equal(text[i], run.events.meaning[i].text);
	}
}

static void test_mutated(void **state)
{
	static char requests[20000], responses[20000];
	uint64_t random = 2;

	(void)state;
	run.random = 3;
	run.events.any_bytes = true;
	for (int n = 0; n < 2000; n++) {
		size_t requests_len = mutate(requests, sizeof(requests), &random);
		size_t responses_len = mutate(responses, sizeof(responses), &random);
		char *text[2] = {NULL, NULL};

		cut(SCAN_CUT_WHOLE, 0, false);
		fuzz_run(requests, requests_len, responses, responses_len, text);
		cut(SCAN_CUT_RANDOM, 0, n % 2);
		fuzz_run(requests, requests_len, responses, responses_len, text);
		cut(SCAN_CUT_BYTES, 0, n % 2);
		fuzz_run(requests, requests_len, responses, responses_len, text);
		free(text[0]);
		free(text[1]);
	}
}

static void test_random_bytes(void **state)
{
	uint64_t random = 4;
	char bytes[3000];

	(void)state;
	for (int n = 0; n < 3000; n++) {
		size_t len = 1 + scan_random(&random) % sizeof(bytes);
		char *text[2] = {NULL, NULL};

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)scan_random(&random);
		if (n % 2)
			memcpy(bytes, PREFACE, len < 24 ? len : 24);
		cut(SCAN_CUT_WHOLE, 0, false);
		fuzz_run(bytes, len, bytes, len, text);
		cut(SCAN_CUT_RANDOM, 0, true);
		fuzz_run(bytes, len, bytes, len, text);
		free(text[0]);
		free(text[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_decoder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipelined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skipped_too_much, setup, teardown),
		cmocka_unit_test_setup_teardown(test_http2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mutated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
