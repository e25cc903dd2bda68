// SPDX-License-Identifier: GPL-2.0-or-later
/* What a reload compares: keys that are fixed, rules of section "pass", what is captured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture_same.h"
#include "config_read.h"
#include "core/config_capture.h"
#include "core/config_keep.h"

#define RULES "\"capture\": {\"outgoing\": {\"ports\": [443]}}"

static void read_config(struct config *config, const char *members)
{
	char text[2048], error[512];

	snprintf(text, sizeof(text), "{" CONFIG_WHOLE "%s%s}", *members ? ", " : "", members);
	if (config_read_text(config, text, error, sizeof(error)) ||
	    config_capture_resolve(config, "file", error, sizeof(error)))
		fail_msg("%s: %s", text, error);
}

static void fixed_keys_keep_their_values_and_are_named(void **state)
{
	struct config now, next;
	char kept[200];

	(void)state;
	read_config(&now, "\"workers\": 1, \"access_log\": \"/a\", \"sampler\": \"user\", "
			  "\"capture\": {\"outgoing\": {\"ports\": [443]}}");
	read_config(&next, "\"workers\": 2, \"sampler\": \"off\", \"user\": \"u\", "
			   "\"metrics\": {\"max_series\": 5}, \"limits\": {\"deadlines_ms\": "
			   "{\"idle\": 7}}, \"capture\": {\"table\": \"ksplit_t\", \"mark\": 5, "
			   "\"outgoing\": {\"ports\": [443]}}");
	assert_int_equal(config_keep_fixed(&next, &now, kept, sizeof(kept)), 0);
	assert_string_equal(kept, "sampler, metrics.max_series, access_log, workers, user, "
				  "capture.mark, capture.table");
	assert_int_equal(next.workers, 1);
	assert_int_equal(next.sampler, SAMPLER_USER);
	assert_string_equal(next.access_log, "/a");
	assert_null(next.user);
	assert_int_equal(next.metrics.max_series, now.metrics.max_series);
	assert_string_equal(next.capture.table, now.capture.table);
	assert_int_equal(next.capture.mark, now.capture.mark);
	assert_int_equal(next.deadlines.idle, 7);
	config_free(&now);
	config_free(&next);
}

static void what_is_the_same_is_not_named(void **state)
{
	struct config now, next;
	char kept[200] = "x";

	(void)state;
	read_config(&now, "\"workers\": 1, \"access_log\": \"/a\", " RULES);
	read_config(&next,
		    "\"workers\": 1, \"access_log\": \"/a\", \"log_level\": \"debug\", " RULES);
	free(now.capture.table);
	now.capture.table = strdup("ksplit_2"); /* as an upgrade has named it */
	assert_int_equal(config_keep_fixed(&next, &now, kept, sizeof(kept)), 0);
	assert_string_equal(kept, "");
	assert_string_equal(next.capture.table, "ksplit_2");
	config_free(&now);
	config_free(&next);
}

/* Before the first rules, and after the last, there is nothing to keep or to tell. */
static void capture_that_comes_is_as_configured(void **state)
{
	struct config now, next, last;
	char kept[200] = "x";

	(void)state;
	read_config(&now, "");
	read_config(&next,
		    "\"capture\": {\"outgoing\": {\"ports\": [443]}, \"table\": \"ksplit_own\", "
			   "\"mark\": 5, \"watchdog\": 1000}");
	assert_int_equal(config_keep_fixed(&next, &now, kept, sizeof(kept)), 0);
	assert_string_equal(kept, "");
	assert_string_equal(next.capture.table, "ksplit_own");
	assert_int_equal(next.capture.mark, 5);
	assert_int_equal(next.capture.watchdog, 1000);
	read_config(&last, "");
	assert_int_equal(config_keep_fixed(&last, &next, kept, sizeof(kept)), 0);
	assert_string_equal(kept, "");
	assert_string_equal(last.capture.table, "ksplit_own");
	assert_int_equal(last.capture.watchdog, 1000);
	config_free(&now);
	config_free(&next);
	config_free(&last);
}

/* Names that have no room are told of. */
static void little_room(void **state)
{
	struct config now, next;
	char kept[16];

	(void)state;
	read_config(&now, "\"workers\": 1");
	read_config(&next, "\"workers\": 2, \"user\": \"u\", \"sampler\": \"off\"");
	for (size_t len = 1; len <= sizeof(kept); len++) {
		struct config again;

		read_config(&again, "\"workers\": 2, \"user\": \"u\", \"sampler\": \"off\"");
		memset(kept, 'x', sizeof(kept));
		assert_int_equal(config_keep_fixed(&again, &now, kept, len), 0);
		assert_true(strlen(kept) < len);
		assert_int_equal(again.workers, 1);
		config_free(&again);
	}
	assert_string_equal(kept, "sampler, ...");
	config_free(&now);
	config_free(&next);
}

static void expect_policy(const char *a, const char *b, bool same)
{
	struct config one, two;

	read_config(&one, a);
	read_config(&two, b);
	if (policy_is_same(&one.policy, &two.policy) != same)
		fail_msg("%s and %s: expected %d", a, b, same);
	config_free(&one);
	config_free(&two);
}

static void policies_are_compared(void **state)
{
	static const char *const all[] = {
		"",
		"\"pass\": [{\"sni\": [\"a.test\"]}]",
		"\"pass\": [{\"sni\": [\"b.test\"]}]",
		"\"pass\": [{\"sni\": [\"a.test\"], \"comment\": \"c\"}]",
		"\"pass\": [{\"sni\": [\"a.test\", \"b.test\"]}]",
		"\"pass\": [{\"sni\": [\"a.test\"]}, {\"sni\": [\"b.test\"]}]",
		"\"pass\": [{\"networks\": [\"10.0.0.0/8\"]}]",
		"\"pass\": [{\"networks\": [\"10.0.0.0/9\"]}]",
		"\"pass\": [{\"ports\": [443]}]",
		"\"pass\": [{\"ports\": [\"443-444\"]}]",
		"\"pass\": [{\"alpn\": [\"h2\"]}]",
		"\"pass\": [{\"process\": [\"java\"]}]",
		"\"pass\": [{\"process\": [\"/java\"]}]",
	};
	const size_t len = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < len; j++)
			expect_policy(all[i], all[j], i == j);
}

static void expect_capture(const char *a, const char *b, bool rules, bool hook)
{
	struct config one, two;

	read_config(&one, a);
	read_config(&two, b);
	if (capture_same_rules(&one.capture, &two.capture) != rules ||
	    capture_same_hook(&one.capture, &two.capture) != hook)
		fail_msg("%s and %s: expected %d %d", a, b, rules, hook);
	config_free(&one);
	config_free(&two);
}

static void captures_are_compared(void **state)
{
	static const char *const all[] = {
		"\"capture\": {\"outgoing\": {\"ports\": [443]}}",
		"\"capture\": {\"outgoing\": {\"ports\": [443, 8443]}}",
		"\"capture\": {\"outgoing\": {\"ports\": [443], \"networks\": [\"10.0.0.0/8\"]}}",
		"\"capture\": {\"outgoing\": {\"ports\": [443], \"networks\": [\"10.0.0.0/9\"]}}",
		"\"capture\": {\"outgoing\": {\"ports\": [443], \"exempt\": {\"users\": [7]}}}",
		"\"capture\": {\"outgoing\": {\"ports\": [443]}, \"refuse_quic\": true}",
	};
	const char *hook =
		"\"capture\": {\"hook\": {\"cgroups\": [\"a.slice\"], \"ports\": [443]}}";
	const char *other =
		"\"capture\": {\"hook\": {\"cgroups\": [\"b.slice\"], \"ports\": [443]}}";
	const size_t len = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < len; j++)
			expect_capture(all[i], all[j], i == j, true);
	expect_capture("", "", true, true);
	expect_capture("", all[0], false, true);
	expect_capture(hook, hook, true, true);
	expect_capture(hook, other, true, false);
	expect_capture(hook, all[0], false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_keys_keep_their_values_and_are_named),
		cmocka_unit_test(what_is_the_same_is_not_named),
		cmocka_unit_test(capture_that_comes_is_as_configured),
		cmocka_unit_test(little_room),
		cmocka_unit_test(policies_are_compared),
		cmocka_unit_test(captures_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
