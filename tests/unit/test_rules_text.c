// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whole texts: tests/unit/rules/NAME.json is a "capture" section, NAME.nft and NAME.iptables are
 * what becomes of it. tests/system/test_rules_load.py loads the same files.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/iptables_text.h"
#include "capture/rules_text.h"
#include "capture_read.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define FOLDER     "tests/unit/rules/"

static const char *const names[] = {
	"outgoing-v4",       "outgoing-chosen", "outgoing-cgroups", "incoming",   "incoming-all",
	"outgoing-networks", "forwarded",       "forwarded-tproxy", "many-ports",
	"incoming-transparent",
};

static char *read_case(const char *name, const char *extension)
{
	char path[128], *text = calloc(1, 16384);
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), FOLDER "%s.%s", name, extension);
	file = fopen(path, "re");
	if (!file || !text) {
		fail_msg("cannot read %s", path);
		return NULL;
	}
	len = fread(text, 1, 16383, file);
	assert_in_range(len, 1, 16382);
	fclose(file);
	return text;
}

/* What config_capture_resolve asks the host for is given here: where cgroups are, two listeners. */
static void resolve_cgroups_case(struct config *config)
{
	struct capture_part *part = &config->capture.parts[CAPTURE_OUTGOING];
	struct capture *capture = &config->capture;

	memcpy(&part->listener, &config->listeners[0].address, sizeof(part->listener));
	memcpy(&part->listener6, &config->listeners[1].address, sizeof(part->listener6));
	free(capture->cgroup_folder);
	capture->cgroup_folder = strdup("unified/");
}

static void read_config(struct config *config, const char *name)
{
	char *section = read_case(name, "json"), text[4096], error[1024];

	if (strcmp(name, "outgoing-cgroups") == 0) {
		snprintf(text, sizeof(text), "{\"listeners\": [%s], \"capture\": {%s}}",
			 CAPTURE_LISTENERS, section);
		if (config_read_text(config, text, error, sizeof(error)))
			fail_msg("%s: %s", name, error);
		resolve_cgroups_case(config);
	} else if (capture_read(config, section, error, sizeof(error))) {
		fail_msg("%s: %s", name, error);
	}
	config->capture.parts[CAPTURE_INCOMING].transparent =
		strcmp(name, "incoming-transparent") == 0;
	free(section);
}

static void expect_text(const char *name, const char *extension, const char *text)
{
	char *expected = read_case(name, extension);

	if (strcmp(text, expected) != 0)
		fail_msg("%s.%s is now:\n%s", name, extension, text);
	free(expected);
}

static void test_whole_texts(void **state)
{
	struct config config;
	char *text;

	(void)state;
	for (size_t i = 0; i < LEN(names); i++) {
		read_config(&config, names[i]);
		assert_int_equal(rules_text_make(&config.capture, false, &text), 0);
		expect_text(names[i], "nft", text);
		free(text);
		assert_int_equal(iptables_text_make(&config.capture, &text), 0);
		expect_text(names[i], "iptables", text);
		free(text);
		config_free(&config);
	}
}

/* The flag is a line of its own, and nothing else changes. */
static void test_owner(void **state)
{
	static const char flag[] = "\tflags owner;\n";
	char *without, *with, *at;
	struct config config;

	(void)state;
	read_config(&config, "incoming-all");
	assert_int_equal(rules_text_make(&config.capture, false, &without), 0);
	assert_int_equal(rules_text_make(&config.capture, true, &with), 0);
	assert_null(strstr(without, "owner"));
	at = strstr(with, flag);
	assert_non_null(at);
	memmove(at, at + strlen(flag), strlen(at + strlen(flag)) + 1);
	assert_string_equal(with, without);
	free(with);
	free(without);
	config_free(&config);
}

static void test_nothing_to_capture(void **state)
{
	struct config config;
	char error[1024], *text = error;

	(void)state;
	assert_int_equal(capture_read(&config, "\"mark\": 7", error, sizeof(error)), 0);
	assert_int_equal(rules_text_make(&config.capture, true, &text), -ENOENT);
	assert_null(text);
	text = error;
	assert_int_equal(iptables_text_make(&config.capture, &text), -ENOENT);
	assert_null(text);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_texts),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_nothing_to_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
