// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"

#define HEAD_LEN strlen("2026-01-31T23:59:59.123Z ")

/* stderr into a pipe for the time of one test. */
struct capture {
	int saved, read_fd;
	char text[65536];
};

static void capture_start(struct capture *capture)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->saved >= 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	capture->read_fd = fds[0];
}

static const char *capture_end(struct capture *capture)
{
	size_t used = 0;
	ssize_t n;

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	while ((n = read(capture->read_fd, capture->text + used,
			 sizeof(capture->text) - 1 - used)) > 0)
		used += (size_t)n;
	close(capture->read_fd);
	capture->text[used] = '\0';
	return capture->text;
}

/* "2026-01-31T23:59:59.123Z " and nothing else. */
static void assert_time(const char *line)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	size_t i;

	for (i = 0; form[i]; i++) {
		if (form[i] == 'd')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], form[i]);
	}
}

static void test_line(void **state)
{
	struct capture capture;
	const char *line;

	(void)state;
	log_setup(LOG_LEVEL_DEBUG, false);
	capture_start(&capture);
	log_error("cannot bind %s: %d", "127.0.0.1", 98);
	line = capture_end(&capture);
	assert_time(line);
	assert_string_equal(line + HEAD_LEN, "error: cannot bind 127.0.0.1: 98\n");
}

static void test_level_names(void **state)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	static const char *const wrong[] = {"", "Error", "errors", "warning", "4", "debug "};
	struct capture capture;
	enum log_level level;
	char expected[32];
	size_t i;

	(void)state;
	log_setup(LOG_LEVEL_DEBUG, false);
	for (i = 0; i < 4; i++) {
		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
		capture_start(&capture);
		log_write(level, "x");
		snprintf(expected, sizeof(expected), "%s: x\n", names[i]);
		assert_string_equal(capture_end(&capture) + HEAD_LEN, expected);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(log_level_parse(wrong[i], &level), -EINVAL);
}

static void test_levels_above_are_silent(void **state)
{
	struct capture capture;
	const char *text;

	(void)state;
	log_setup(LOG_LEVEL_WARN, false);
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	assert_true(log_enabled(LOG_LEVEL_WARN));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	capture_start(&capture);
	log_debug("no");
	log_info("no");
	log_warn("yes");
	text = capture_end(&capture);
	assert_string_equal(text + HEAD_LEN, "warn: yes\n");
}

static void test_escapes(void **state)
{
	static const struct {
		const char *message, *written;
	} cases[] = {
		{"", ""},
		{"plain \\ text", "plain \\ text"},
		{"a\nb\r\t\x1b[31m\x7f", "a\\x0ab\\x0d\\x09\\x1b[31m\\x7f"},
		{"b\xc3\xbc"
		 "cher \xe2\x82\xac",
		 "b\xc3\xbc"
		 "cher \xe2\x82\xac"},
		{"\xff\xc3", "\\xff\\xc3"},
		{"\xc2\x9b", "\\xc2\\x9b"}, /* CSI as one C1 control */
		{"\xe2\x80\xae"
		 "x",
		 "\\xe2\\x80\\xae"
		 "x"}, /* right-to-left override */
	};
	struct capture capture;
	char expected[128];
	size_t i;

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		capture_start(&capture);
		log_info("%s", cases[i].message);
		snprintf(expected, sizeof(expected), "info: %s\n", cases[i].written);
		assert_string_equal(capture_end(&capture) + HEAD_LEN, expected);
	}
}

/* A line is at most 1 KiB; its cut is marked, and falls between characters and escapes. */
static void test_cut(void **state)
{
	static const char *const units[] = {"x", "\xc3\xa4", "\xf0\x9f\x98\x80", "\x01"};
	char message[4096];
	struct capture capture;
	const char *line;
	size_t unit, shift, len;

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	for (unit = 0; unit < 4; unit++) {
		for (shift = 0; shift < 5; shift++) {
			memset(message, '.', shift);
			message[shift] = '\0';
			while (strlen(message) < 2000)
				strcat(message, units[unit]);
			capture_start(&capture);
			log_info("%s", message);
			line = capture_end(&capture);
			len = strlen(line);
			assert_in_range(len, 1024 - 8, 1024);
			assert_string_equal(line + len - 4, "...\n");
			if (unit < 3)
				assert_null(strstr(line, "\\x"));
			else
				assert_memory_equal(line + len - 8, "\\x01", 4);
		}
	}
}

static void test_longest_is_not_cut(void **state)
{
	char message[2048];
	struct capture capture;
	size_t fits = 0, len;
	const char *line;

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	for (len = 950; len < 1024; len++) {
		memset(message, 'x', len);
		message[len] = '\0';
		capture_start(&capture);
		log_info("%s", message);
		line = capture_end(&capture);
		if (!strstr(line, "..."))
			fits = len;
	}
	assert_in_range(fits, 980, 1000);
}

static void test_errno_is_kept(void **state)
{
	struct capture capture;

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	capture_start(&capture);
	errno = ENOTTY;
	log_info("%m");
	assert_int_equal(errno, ENOTTY);
	assert_string_equal(capture_end(&capture) + HEAD_LEN,
			    "info: Inappropriate ioctl for device\n");
	errno = EDOM;
	log_debug("not written");
	assert_int_equal(errno, EDOM);
}

static void test_closed_stderr_is_survived(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	close(STDERR_FILENO);
	log_info("nobody reads this");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void *write_lines(void *arg)
{
	int i;

	for (i = 0; i < 50; i++)
		log_info("thread %s %04d", (const char *)arg, i);
	return NULL;
}

/* Lines of several threads do not mix. */
static void test_threads(void **state)
{
	static char names[4][20] = {"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc",
				    "dddddddddddddddd"};
	pthread_t threads[4];
	struct capture capture;
	char *line, *rest;
	int i, lines = 0;

	(void)state;
	log_setup(LOG_LEVEL_INFO, false);
	capture_start(&capture);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	capture_end(&capture);
	for (line = strtok_r(capture.text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_time(line);
		assert_int_equal(strlen(line), HEAD_LEN + strlen("info: thread  0000") + 16);
		lines++;
	}
	assert_int_equal(lines, 200);
}

/* The lines go to syslog(3) and nothing to stderr, with or without a daemon that takes them. */
static void test_syslog_leaves_stderr_alone(void **state)
{
	struct capture capture;

	(void)state;
	capture_start(&capture);
	log_setup(LOG_LEVEL_DEBUG, true);
	log_debug("unit test of the log");
	log_setup(LOG_LEVEL_INFO, false);
	assert_string_equal(capture_end(&capture), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_level_names),
		cmocka_unit_test(test_levels_above_are_silent),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_longest_is_not_cut),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_closed_stderr_is_survived),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_syslog_leaves_stderr_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
