// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "observe/http_text.h"

/* What a masked text says is the same as before, and the secret is not in it. */
static void test_masks_keep_what_is_kept(void **state)
{
	static const char *const paths[] = {
		"/a?b=secret&c#secret",
		"/?secret=secret&x=y=secret?&#",
		"https://u:secret@h/p?q=secret",
		"https://u:secret@h?q=secret#",
		"*",
		"/",
		"",
		"/#secret=&",
		"x?=secret&secret=",
		"secret",
	};
	static const char *const hosts[] = {"u:secret@h:1", "h", "", "@", "a@secret@b"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool cut = false;
		size_t len = strlen(paths[i]);
		char text[64], *before = http_text_path(paths[i], len, &cut), *after;

		memcpy(text, paths[i], len + 1);
		http_text_mask_path(text, len);
		after = http_text_path(text, len, &cut);
		assert_false(cut);
		assert_string_equal(before ? before : "", after ? after : "");
		if (i != 1) /* whose parameter has that name */
			assert_null(strstr(text, "secret"));
		assert_null(strstr(text, "=secret"));
		http_text_free(before);
		http_text_free(after);
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t len = strlen(hosts[i]);
		char text[64], *before = http_text_host(hosts[i], len), *after;

		memcpy(text, hosts[i], len + 1);
		http_text_mask_host(text, len);
		after = http_text_host(text, len);
		assert_string_equal(before ? before : "", after ? after : "");
		assert_null(strstr(text, "secret"));
		http_text_free(before);
		http_text_free(after);
	}
}

/* A NUL is a byte like others in HTTP/2. */
static void test_nul_hides_nothing(void **state)
{
	static const char text[] = "https://u\0secret@h/p\0q";
	bool cut = false;
	char *path = http_text_path(text, sizeof(text) - 1, &cut);

	(void)state;
	assert_string_equal(path, "/p%00q");
	http_text_free(path);
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*seed * below >> 32);
}

/* What the short functions make is what the others make. */
static void compare_short(const char *text, size_t len, unsigned int *made)
{
	char out[40];
	bool cut = false;
	size_t n = http_text_short_path(out, sizeof(out), text, len);
	char *full;

	if (n) {
		full = http_text_path(text, len, &cut);
		assert_int_equal(n, len);
		assert_string_equal(out, full);
		http_text_free(full);
		++*made;
	}
	n = http_text_short_name(out, sizeof(out), text, len);
	if (n) {
		full = http_text_host(text, len);
		assert_string_equal(out, full);
		http_text_free(full);
		if (!memchr(text, ';', len)) {
			full = http_text_type(text, len);
			assert_string_equal(out, full);
			http_text_free(full);
		}
		++*made;
	}
}

static void test_short_texts(void **state)
{
	static const char odd[] = "@;?#/ \t\x7f\x80\xff~!AZ[`az{";
	unsigned int made = 0;
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		size_t len = draw(&seed, 44);
		char *text = malloc(len ? len : 1); /* no more: a sanitizer sees what is read */

		assert_non_null(text);
		for (size_t i = 0; i < len; i++)
			text[i] = draw(&seed, 30) ? (char)('!' + draw(&seed, 30) * 3)
						  : odd[draw(&seed, sizeof(odd))];
		if (len && draw(&seed, 2))
			text[0] = '/';
		compare_short(text, len, &made);
		free(text);
	}
	assert_true(made > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_texts),
		cmocka_unit_test(test_masks_keep_what_is_kept),
		cmocka_unit_test(test_nul_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
