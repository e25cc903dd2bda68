// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tap/content_name.h"

static struct tap_about about(const char *sni)
{
	/* 2026-01-31T12:00:00Z */
	struct tap_about about = {.id = 42, .start_ms = 1769860800123};

	about.client.in.sin_family = AF_INET;
	about.client.in.sin_port = htons(40000);
	inet_pton(AF_INET, "192.0.2.7", &about.client.in.sin_addr);
	about.origin.in6.sin6_family = AF_INET6;
	about.origin.in6.sin6_port = htons(443);
	inet_pton(AF_INET6, "2001:db8::1", &about.origin.in6.sin6_addr);
	strncpy(about.sni, sni, sizeof(about.sni) - 1);
	return about;
}

static void expect(const char *pattern, const char *sni, const char *path)
{
	struct tap_about of = about(sni);
	char out[PATH_MAX];

	assert_int_equal(content_name_expand(pattern, &of, out, sizeof(out)), 0);
	assert_string_equal(out, path);
}

static void test_every_escape_is_filled_in(void **state)
{
	(void)state;
	expect("/t/%D/%T-%i-%s", "shop.example", "/t/20260131/20260131T120000Z-42-shop.example");
	expect("/t/%c,%p,%o,%r%%%i", "", "/t/192.0.2.7,40000,2001_db8__1,443%42");
	expect("/t/%i-%s", "", "/t/42-none");
}

static void test_what_a_peer_chose_leads_nowhere(void **state)
{
	struct tap_about of = about("");
	char out[PATH_MAX], *name;

	(void)state;
	expect("/t/%s/%i", "..", "/t/_./42");
	expect("/t/%s%i", "../../etc/passwd", "/t/_._.._etc_passwd42");
	expect("/t/%s%i", "a/b\\c\n\xff %i", "/t/a_b_c____i42");
	memset(of.sni, 'x', sizeof(of.sni) - 1);
	assert_int_equal(content_name_expand("/t/%i%s", &of, out, sizeof(out)), 0);
	name = strrchr(out, '/') + 1;
	assert_int_equal(strlen(name), 102);
}

static void test_v4_mapped_is_shown_as_v4(void **state)
{
	struct tap_about of = about("");
	char out[64];

	(void)state;
	inet_pton(AF_INET6, "::ffff:198.51.100.9", &of.origin.in6.sin6_addr);
	assert_int_equal(content_name_expand("/%i%o", &of, out, sizeof(out)), 0);
	assert_string_equal(out, "/42198.51.100.9");
}

static void test_too_long_is_refused(void **state)
{
	struct tap_about of = about("shop.example");
	char out[12];

	(void)state;
	assert_int_equal(content_name_expand("/t/%i-%s", &of, out, sizeof(out)), -ENAMETOOLONG);
	assert_int_equal(content_name_expand("/t/%i-", &of, out, sizeof(out)), 0);
}

static void test_patterns_are_checked(void **state)
{
	static const char *const wrong[] = {"t/%i",	"/t/%i/", "/t/%s",     "/t/%x%i",
					    "/t/%i%",	"/t/../%i", "/t/.%s/%i", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(content_name_check(wrong[i]));
	assert_null(content_name_check("/t/%i"));
	assert_null(content_name_check("/var/log/%D/%T-%i-%s-%c-%p-%o-%r%%"));
}

static void test_the_folder_that_has_to_be_there(void **state)
{
	(void)state;
	assert_int_equal(content_name_fixed("/var/log/x-%D/%i"), strlen("/var/log"));
	assert_int_equal(content_name_fixed("/%i"), 1);
	assert_int_equal(content_name_fixed("/a/b/c-%i"), strlen("/a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_escape_is_filled_in),
		cmocka_unit_test(test_what_a_peer_chose_leads_nowhere),
		cmocka_unit_test(test_v4_mapped_is_shown_as_v4),
		cmocka_unit_test(test_too_long_is_refused),
		cmocka_unit_test(test_patterns_are_checked),
		cmocka_unit_test(test_the_folder_that_has_to_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
