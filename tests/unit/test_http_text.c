// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masks_keep_what_is_kept),
		cmocka_unit_test(test_nul_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
