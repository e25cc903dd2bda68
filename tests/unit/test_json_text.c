// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json_text.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void test_comments_become_blanks(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{"", ""},
		{"{}", "{}"},
		{"// x", "    "},
		{"1 // x\n2", "1     \n2"},
		{"1 /* x\ny */ 2", "1     \n     2"},
		{"/**/1", "    1"},
		{"/*/ */1", "      1"},
		{"/* // */1", "        1"},
		{"// /*\n1", "     \n1"},
		{"\"// no\"", "\"// no\""},
		{"\"/* no\"", "\"/* no\""},
		{"\"\\\"// no\" // yes", "\"\\\"// no\"       "},
		{"\"\\\\\"// yes", "\"\\\\\"      "},
		{"1 / 2", "1 / 2"},
		{"/", "/"},
		{"\"open // x", "\"open // x"},
		{"\"open\\", "\"open\\"},
	};
	char text[64];
	size_t i, line;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		strcpy(text, cases[i].before);
		assert_int_equal(json_text_blank_comments(text, strlen(text), &line), 0);
		assert_string_equal(text, cases[i].after);
	}
}

static void test_comment_without_end(void **state)
{
	static const struct {
		const char *text;
		size_t line;
	} cases[] = {{"/*", 1}, {"/*/", 1}, {"{\n} /* x\n\n", 2}, {"/* a */\n\n /* b", 3}};
	char text[64];
	size_t i, line;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		strcpy(text, cases[i].text);
		assert_int_equal(json_text_blank_comments(text, strlen(text), &line), -EINVAL);
		assert_int_equal(line, cases[i].line);
	}
}

static void test_check_accepts(void **state)
{
	static const char *const cases[] = {
		"",
		"[0, -0, 10, -1.5, 0.25, 1e9, 1E+9, 1e-9, 1.5e3]",
		"[1,2\t,\r\n3]",
		"{\"a\": \"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"}",
		"\"\\u0001 \\\\u0000 \\n\"",
		"\"007 1. -\"",
	};
	const char *what;
	size_t i, line;

	(void)state;
	for (i = 0; i < LEN(cases); i++)
		assert_int_equal(json_text_check(cases[i], strlen(cases[i]), &line, &what), 0);
}

static void test_check_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: all of it */
		size_t line;
		const char *what;
	} cases[] = {
		{"[\n007]", 0, 2, "not a number as JSON writes it"},
		{"[1.]", 0, 1, "not a number as JSON writes it"},
		{"[-]", 0, 1, "not a number as JSON writes it"},
		{"[-.5]", 0, 1, "not a number as JSON writes it"},
		{"[1e]", 0, 1, "not a number as JSON writes it"},
		{"[1e+]", 0, 1, "not a number as JSON writes it"},
		{"[0x10]", 0, 1, "not a number as JSON writes it"},
		{"[10ms]", 0, 1, "not a number as JSON writes it"},
		{"[1-2]", 0, 1, "not a number as JSON writes it"},
		{"[1_000]", 0, 1, "not a number as JSON writes it"},
		{"\n\"a\nb\"", 0, 2, "line break or tab inside a string"},
		{"\"a\tb\"", 0, 1, "line break or tab inside a string"},
		{"\"a\\u0000b\"", 0, 1, "\\u0000 inside a string"},
		{"{\n\n\x01}", 0, 3, "control character"},
		{"\"\x7f\"", 0, 1, "control character"},
		{"{\0}", 3, 1, "control character"},
		{"\n\"\xff\"", 0, 2, "not valid UTF-8"},
		{"\"\xc3\"", 0, 1, "not valid UTF-8"},
		{"\"\xc0\xaf\"", 0, 1, "not valid UTF-8"},         /* overlong */
		{"\"\xe0\x80\xaf\"", 0, 1, "not valid UTF-8"},     /* overlong */
		{"\"\xed\xa0\x80\"", 0, 1, "not valid UTF-8"},     /* surrogate */
		{"\"\xf4\x90\x80\x80\"", 0, 1, "not valid UTF-8"}, /* above U+10FFFF */
		{"\xe2\x82", 0, 1, "not valid UTF-8"},             /* cut */
	};
	const char *what;
	size_t i, line, len;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		len = cases[i].len ? cases[i].len : strlen(cases[i].text);
		assert_int_equal(json_text_check(cases[i].text, len, &line, &what), -EINVAL);
		assert_string_equal(what, cases[i].what);
		assert_int_equal(line, cases[i].line);
	}
}

static void test_line_of_path(void **state)
{
	static const char text[] = "\n{ \"a\": 1,\n"                 /* 2 */
				   "  \"b\": [\n"                    /* 3 */
				   "    {\"x\\\"}]\": \"}]{[,\"},\n" /* 4 */
				   "    {\n"                         /* 5 */
				   "      \"y\": [], \"z\"\n"        /* 6 */
				   "      :\n"                       /* 7 */
				   "      {\"deep\": [[1, [2]],\n"   /* 8 */
				   "        true]}}\n"               /* 9 */
				   "  ],\n"                          /* 10 */
				   "  \"a\": {}, \"c\":\n null}";    /* 11 */
	static const struct {
		size_t path[5], depth, line;
	} cases[] = {
		{{0}, 0, 2},
		{{0}, 1, 2},
		{{1}, 1, 3},
		{{1, 0}, 2, 4},
		{{1, 0, 0}, 3, 4},
		{{1, 1}, 2, 5},
		{{1, 1, 0}, 3, 6},
		{{1, 1, 1}, 3, 6},
		{{1, 1, 1, 0}, 4, 8},
		{{1, 1, 1, 0, 1}, 5, 9},
		{{2}, 1, 11},
		{{3}, 1, 11},
		/* Paths that lead nowhere. */
		{{4}, 1, 2},
		{{0, 0}, 2, 2},
		{{1, 7}, 2, 3},
		{{2, 0}, 2, 11},
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++)
		assert_int_equal(json_text_line_of(text, cases[i].path, cases[i].depth),
				 cases[i].line);
}

/* Whatever the text, the walk ends and stays inside it (seen by the sanitizers). */
static void test_line_of_broken_text(void **state)
{
	static const char text[] = "{\"a\": [1, \"x\\\"\", {\"b\": null}], \"c\": {\"d\": [[]]}}";
	char cut[sizeof(text)];
	size_t len, first, second;

	(void)state;
	for (len = 0; len < sizeof(text); len++) {
		memcpy(cut, text, len);
		cut[len] = '\0';
		for (first = 0; first < 3; first++) {
			for (second = 0; second < 4; second++) {
				const size_t path[] = {first, second, 0};

				assert_int_equal(json_text_line_of(cut, path, 3), 1);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comments_become_blanks),
		cmocka_unit_test(test_comment_without_end),
		cmocka_unit_test(test_check_accepts),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_line_of_path),
		cmocka_unit_test(test_line_of_broken_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
