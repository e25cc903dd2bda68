// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "export/otlp_post.h"
#include "http_answers.h"

#define STATUS_400 "the collector answers with status 400"

/* What becomes of one request that is answered so; `before` and `after` go into the URL. */
static struct otlp_answer ask_at(const char *before, const char *after, const char *text)
{
	struct http_answers server = {.answers = {text}};
	struct otlp_answer answer;
	struct otlp_post *post;
	char url[128];

	http_answers_start(&server);
	snprintf(url, sizeof(url), "http://%s127.0.0.1:%u/v1/metrics%s", before, server.port,
		 after);
	assert_int_equal(otlp_post_new(url, NULL, &post), 0);
	assert_int_equal(otlp_post_start(post, "{}", 30000), 0);
	while (!otlp_post_step(post, &answer))
		otlp_post_wait(post, 100);
	assert_false(otlp_post_busy(post));
	otlp_post_free(post);
	http_answers_end(&server);
	return answer;
}

static struct otlp_answer ask(const char *text)
{
	return ask_at("", "", text);
}

/* OTLP/HTTP Response: these four, and no others. */
static void test_which_statuses_are_tried_again(void **state)
{
	static const struct {
		const char *status;
		enum otlp_result result;
	} cases[] = {
		{"200 OK", OTLP_ACCEPTED},         {"202 Accepted", OTLP_ACCEPTED},
		{"204 No Content", OTLP_ACCEPTED}, {"301 Moved", OTLP_REFUSED},
		{"307 There", OTLP_REFUSED},       {"400 Bad Request", OTLP_REFUSED},
		{"401 Who", OTLP_REFUSED},         {"403 No", OTLP_REFUSED},
		{"404 Not Found", OTLP_REFUSED},   {"408 Timeout", OTLP_REFUSED},
		{"413 Too Large", OTLP_REFUSED},   {"429 Too Many", OTLP_AGAIN},
		{"500 Oops", OTLP_REFUSED},        {"501 What", OTLP_REFUSED},
		{"502 Bad Gateway", OTLP_AGAIN},   {"503 Unavailable", OTLP_AGAIN},
		{"504 Timeout", OTLP_AGAIN},       {"505 Version", OTLP_REFUSED},
	};
	char text[256], wanted[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct otlp_answer answer;

		snprintf(
			text, sizeof(text),
			"HTTP/1.1 %s\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
			cases[i].status);
		answer = ask(text);
		assert_int_equal(answer.result, cases[i].result);
		assert_int_equal(answer.rejected_points, 0);
		assert_int_equal(answer.retry_after_s, 0);
		snprintf(wanted, sizeof(wanted), "the collector answers with status %.3s",
			 cases[i].status);
		assert_string_equal(answer.error, answer.result == OTLP_ACCEPTED ? "" : wanted);
	}
}

/* OTLP/HTTP Connection: no answer is no refusal. */
static void test_no_answer_is_tried_again(void **state)
{
	static const char *const none[] = {"", "garbage\r\n\r\n", "HTTP/1.1 2",
					   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct otlp_answer answer = ask(none[i]);

		assert_int_equal(answer.result, OTLP_AGAIN);
		assert_true(answer.error[0]);
		assert_int_equal(answer.retry_after_s, 0);
	}
}

static void test_retry_after_in_seconds(void **state)
{
	(void)state;
	assert_int_equal(ask(HTTP_ANSWER("503 Busy", "Retry-After: 7\r\n", "")).retry_after_s, 7);
	assert_int_equal(ask(HTTP_ANSWER("429 Slow", "retry-after: 120\r\n", "")).retry_after_s,
			 120);
	assert_int_equal(ask(HTTP_ANSWER("503 Busy", "Retry-After: 0\r\n", "")).retry_after_s, 0);
	assert_int_equal(ask(HTTP_ANSWER("503 Busy", "Retry-After: -5\r\n", "")).retry_after_s, 0);
	assert_int_equal(ask(HTTP_ANSWER("503 Busy", "Retry-After: soon\r\n", "")).retry_after_s,
			 0);
	/* A refusal is none the less one. */
	assert_int_equal(ask(HTTP_ANSWER("400 No", "Retry-After: 7\r\n", "")).result, OTLP_REFUSED);
}

static int64_t ask_with_date(time_t when)
{
	char date[64], text[256];
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: %s\r\n\r\n", date);
	return ask(text).retry_after_s;
}

/* RFC 9110, 10.2.3: or a date. */
static void test_retry_after_as_a_date(void **state)
{
	(void)state;
	assert_in_range(ask_with_date(time(NULL) + 300), 200, 300);
	assert_int_equal(ask_with_date(time(NULL) - 300), 0);
}

static void test_partial_success(void **state)
{
	static const struct {
		const char *body, *error;
		uint64_t rejected;
	} cases[] = {
		{"{}", "", 0},
		{"{\"partialSuccess\":{}}", "", 0},
		{"{\"partialSuccess\":null}", "", 0},
		{"{\"partialSuccess\":{\"rejectedDataPoints\":\"7\",\"errorMessage\":\"too\\nold\"}"
		 "}",
		 "the collector rejects 7 data points: too\\x0aold", 7},
		{"{\"partialSuccess\":{\"rejectedDataPoints\":2}}",
		 "the collector rejects 2 data points", 2},
		{"{\"partialSuccess\":{\"rejectedDataPoints\":\"0\",\"errorMessage\":\"slower\"}}",
		 "the collector warns: slower", 0},
		{"{\"partialSuccess\":{\"errorMessage\":\"slower\"}}",
		 "the collector warns: slower", 0},
		/* Nonsense is a success without words. */
		{"{\"partialSuccess\":{\"rejectedDataPoints\":\"-7\"}}", "", 0},
		{"{\"partialSuccess\":{\"rejectedDataPoints\":-7,\"errorMessage\":5}}", "", 0},
		{"{\"partialSuccess\":{\"rejectedDataPoints\":[\"7\"]}}", "", 0},
		{"{\"partialSuccess\":[7]}", "", 0},
		{"[", "", 0},
		{"", "", 0},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct otlp_answer answer;

		snprintf(text, sizeof(text), HTTP_ANSWER("200 OK", "", "%s"), cases[i].body);
		answer = ask(text);
		assert_int_equal(answer.result, OTLP_ACCEPTED);
		assert_int_equal(answer.rejected_points, cases[i].rejected);
		assert_string_equal(answer.error, cases[i].error);
	}
}

/* OTLP/HTTP Failures: the body is a Status. */
static void test_a_failure_s_words_are_told(void **state)
{
	char text[2048], long_words[1000];
	struct otlp_answer answer;

	(void)state;
	answer = ask(HTTP_ANSWER("400 Bad", "", "{\"code\":3,\"message\":\"bad \\u001b[31mred\"}"));
	assert_int_equal(answer.result, OTLP_REFUSED);
	assert_string_equal(answer.error, STATUS_400 ": bad \\x1b[31mred");
	assert_string_equal(ask(HTTP_ANSWER("400 Bad", "", "{\"message\":7}")).error, STATUS_400);
	assert_string_equal(ask(HTTP_ANSWER("400 Bad", "", "<html>no</html>")).error, STATUS_400);
	memset(long_words, 'x', sizeof(long_words) - 1);
	long_words[sizeof(long_words) - 1] = '\0';
	snprintf(text, sizeof(text), HTTP_ANSWER("503 Busy", "", "{\"message\":\"%s\"}"),
		 long_words);
	answer = ask(text);
	assert_int_equal(answer.result, OTLP_AGAIN);
	assert_int_equal(strlen(answer.error), sizeof(answer.error) - 1);
}

/* A collector that says what it was sent could bring a password into the log. */
static void test_words_could_repeat_the_urls_secrets(void **state)
{
	static const char *const texts[] = {
		HTTP_ANSWER("400 Bad", "", "{\"message\":\"no user u:secret\"}"),
		HTTP_ANSWER("200 OK", "", "{\"partialSuccess\":{\"errorMessage\":\"secret\"}}")};
	static const char *const wanted[] = {STATUS_400, "the collector warns"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(ask_at("u:secret@", "", texts[i]).error, wanted[i]);
		assert_string_equal(ask_at("", "?token=secret", texts[i]).error, wanted[i]);
		assert_non_null(strstr(ask(texts[i]).error, "secret"));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_statuses_are_tried_again),
		cmocka_unit_test(test_no_answer_is_tried_again),
		cmocka_unit_test(test_retry_after_in_seconds),
		cmocka_unit_test(test_retry_after_as_a_date),
		cmocka_unit_test(test_partial_success),
		cmocka_unit_test(test_a_failure_s_words_are_told),
		cmocka_unit_test(test_words_could_repeat_the_urls_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
