// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "observe/http1_shape.h"

#define ROUNDS 400000

static void expect_same_text(const struct http1_text *a, const struct http1_text *b)
{
	assert_int_equal(a->len, b->len);
	assert_true(!a->len || a->at == b->at);
}

/* Returns whether it has the shape; then http_parser has to read the same. */
static bool compare(bool request, const char *text, size_t len)
{
	char *exact = malloc(len ? len : 1); /* no more: a sanitizer sees what is read */
	struct http1_head shape, judged;
	bool has;

	assert_non_null(exact);
	memcpy(exact, text, len);
	has = http1_shape_read(&shape, request, exact, len);
	if (has) {
		assert_int_equal(http1_head_judge(&judged, request, exact, len, false), 0);
		assert_int_equal(shape.version, judged.version);
		assert_int_equal(shape.status, judged.status);
		assert_int_equal(shape.target_cut, judged.target_cut);
		expect_same_text(&shape.method, &judged.method);
		expect_same_text(&shape.target, &judged.target);
		expect_same_text(&shape.host, &judged.host);
		expect_same_text(&shape.content_type, &judged.content_type);
	}
	free(exact);
	return has;
}

static bool compare_string(bool request, const char *text)
{
	return compare(request, text, strlen(text));
}

static const char *const usual[2][8] = {
	{
		"HTTP/1.1 200 \r\n\r\n",
		"HTTP/1.0 404\r\ncontent-length: 12\r\n\r\n",
		"HTTP/1.1 200 \r\nContent-Type: text/html; charset=utf-8\r\n"
		"Content-Length: 123456789012345678\r\n\r\n",
		"HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\ncontent-type:a/b \r\n\r\n",
	},
	{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"DELETE /a?b#c HTTP/1.0\r\n\r\n",
		"POST /a/%20?x&y HTTP/1.1\r\nhost:[::1]:80\r\ncontent-type: a/b\r\n"
		"content-length: 5\r\n\r\n",
		"PUT /?/..//#?# HTTP/1.1\r\nHOST: u@h:1\r\nTRANSFER-encoding: chunked\r\n\r\n",
		"HEAD /a{|}~\"<> HTTP/1.1\r\nhost: a b\r\n\r\n",
		"PATCH /x HTTP/1.1\r\nhost: h\r\n\r\n",
	},
};

static void test_usual_heads_have_the_shape(void **state)
{
	(void)state;
	for (int request = 0; request < 2; request++)
		for (int i = 0; i < 8 && usual[request][i]; i++)
			assert_true(compare_string(request, usual[request][i]));
}

static void test_others_are_left_to_the_parser(void **state)
{
	static const char *const requests[] = {
		"",
		"\r\n",
		"GET / HTTP/1.1",
		"GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1\r\n\r\n ",
		"GET / HTTP/1.1\n\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.2\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"GET /a b HTTP/1.1\r\n\r\n",
		"GET /\x7f HTTP/1.1\r\n\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
		"GET http://h/ HTTP/1.1\r\n\r\n",
		"get / HTTP/1.1\r\n\r\n",
		"CONNECT h:443 HTTP/1.1\r\n\r\n",
		"BREW /pot HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nhost:\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: \r\n\r\n",
		"GET / HTTP/1.1\r\nhost:\th\r\n\r\n",
		"GET / HTTP/1.1\r\nhost : h\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: h\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nh\xefst: a\r\n\r\n",
		"GET / HTTP/1.1\r\ncookie: a\r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: 1 \r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: 1234567890123456789\r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
		"GET / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	};
	static const char *const responses[] = {
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 \r\n\r\n", "HTTP/1.1 099 \r\n\r\n",
		"HTTP/2.0 200 \r\n\r\n",   "HTTP/1.1200 \r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		assert_false(compare_string(true, requests[i]));
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		assert_false(compare_string(false, responses[i]));
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*seed * below >> 32);
}

/* Swaps, inserts and deletes bytes that mean something in a head, or any. */
static size_t mutate(char *text, size_t len, size_t size, uint32_t *seed)
{
	static const char meaning[] = "\r\n :\t/?#=0189aAzZ{~!\x7f\x80\xff";
	uint32_t at = draw(seed, (uint32_t)len);
	char byte = draw(seed, 4) ? meaning[draw(seed, sizeof(meaning))] : (char)draw(seed, 256);

	switch (draw(seed, 4)) {
	case 0: text[at] = (char)(text[at] ^ 0x20); break;
	case 1: text[at] = byte; break;
	case 2:
		if (len == size)
			break;
		memmove(text + at + 1, text + at, len - at);
		text[at] = byte;
		return len + 1;
	default:
		if (len < 2)
			break;
		memmove(text + at, text + at + 1, len - at - 1);
		return len - 1;
	}
	return len;
}

/* Any head of the shape reads as http_parser reads it; enough of them have it to tell. */
static void test_fuzz_against_the_parser(void **state)
{
	unsigned int with_shape = 0;
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		bool request = draw(&seed, 2);
		const char *from = usual[request][draw(&seed, request ? 6 : 4)];
		size_t len = strlen(from);
		uint32_t changes = 1 + draw(&seed, 4);
		char text[256];

		memcpy(text, from, len);
		while (changes--)
			len = mutate(text, len, sizeof(text), &seed);
		with_shape += compare(request, text, len);
	}
	assert_true(with_shape > ROUNDS / 50);
	assert_true(with_shape < ROUNDS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_heads_have_the_shape),
		cmocka_unit_test(test_others_are_left_to_the_parser),
		cmocka_unit_test(test_fuzz_against_the_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
