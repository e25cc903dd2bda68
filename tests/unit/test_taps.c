// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap/taps.h"

/* Taps in a folder of the test's own; the writers are ended before files are looked at. */
struct rig {
	char folder[64], content[128], keys[128], packets[128];
	struct taps *taps;
	struct taps_options options;
};

static int begin(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	snprintf(rig->folder, sizeof(rig->folder), "/tmp/ksplit-taps-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->content, sizeof(rig->content), "%s/%%D/%%i", rig->folder);
	snprintf(rig->keys, sizeof(rig->keys), "%s/keys", rig->folder);
	snprintf(rig->packets, sizeof(rig->packets), "%s/packets", rig->folder);
	rig->options = (struct taps_options){.content_connection = 1000,
					     .content_total = 1 << 20,
					     .pcapng_connection = 1 << 20,
					     .pcapng_file = 1 << 20,
					     .pcapng_files = 1,
					     .keylog_side = {true, true}};
	assert_int_equal(taps_new(&rig->taps), 0);
	*state = rig;
	return 0;
}

static int end(void **state)
{
	struct rig *rig = *state;
	char command[128];

	taps_free(rig->taps);
	snprintf(command, sizeof(command), "rm -r %s", rig->folder);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

static void configure(struct rig *rig)
{
	struct taps_change *change;
	char error[300];

	assert_int_equal(taps_prepare(rig->taps, &rig->options, &change, error, sizeof(error)), 0);
	taps_commit(change);
}

/* Everything is written: then there are no taps any more. */
static struct tap_status finish(struct rig *rig, enum tap_kind kind)
{
	struct tap_status status[TAP_KINDS];

	taps_read(rig->taps, status);
	taps_free(rig->taps);
	rig->taps = NULL;
	return status[kind];
}

static struct tap_conn *connection(struct rig *rig)
{
	struct tap_about about = {.id = 7, .start_ms = 1769860800123,
				  .wanted = {[TAP_CONTENT] = true, [TAP_PCAPNG] = true}};

	about.client.in.sin_family = about.origin.in.sin_family = AF_INET;
	return tap_conn_new(rig->taps, &about);
}

/* 0600 and these bytes. */
static void expect_file(const struct rig *rig, const char *name, const void *bytes, size_t len)
{
	char path[200], read_back[2000];
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fread(read_back, 1, sizeof(read_back), file), len);
	assert_memory_equal(read_back, bytes, len);
	fclose(file);
}

/* What is spliced goes by a pipe, in turn with what goes by a buffer. */
static void spliced(struct tap_conn *tap, enum conn_flow flow, const char *text)
{
	int fds[2];
	char drained[100];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	tap_conn_spliced(tap, flow, fds[0], strlen(text));
	/* The relay's own bytes are still there. */
	assert_int_equal(read(fds[0], drained, sizeof(drained)), strlen(text));
	assert_memory_equal(drained, text, strlen(text));
	close(fds[0]);
	close(fds[1]);
}

static void test_content_of_buffers_and_pipes_in_order(void **state)
{
	struct rig *rig = *state;
	struct tap_conn *tap;
	char name[300], all[350];

	rig->options.content = rig->content;
	configure(rig);
	tap = connection(rig);
	assert_non_null(tap);
	for (int i = 0; i < 50; i++) {
		tap_conn_data(tap, FLOW_TO_ORIGIN, "up ", 3);
		spliced(tap, FLOW_TO_ORIGIN, "pipe");
		memcpy(all + 7 * i, "up pipe", 7);
	}
	tap_conn_data(tap, FLOW_TO_CLIENT, "down", 4);
	tap_conn_end(tap);
	finish(rig, TAP_CONTENT);
	snprintf(name, sizeof(name), "20260131/7.to-origin");
	expect_file(rig, name, all, sizeof(all));
	expect_file(rig, "20260131/7.to-client", "down", 4);
}

static void test_what_is_beyond_the_limit_is_marked(void **state)
{
	struct rig *rig = *state;
	struct tap_conn *tap;

	rig->options.content = rig->content;
	rig->options.content_connection = 10;
	configure(rig);
	tap = connection(rig);
	tap_conn_data(tap, FLOW_TO_ORIGIN, "1234567", 7);
	spliced(tap, FLOW_TO_ORIGIN, "89abc");
	tap_conn_data(tap, FLOW_TO_ORIGIN, "def", 3);
	tap_conn_data(tap, FLOW_TO_CLIENT, "whole", 5);
	tap_conn_end(tap);
	finish(rig, TAP_CONTENT);
	expect_file(rig, "20260131/7.to-origin.truncated", "123456789a", 10);
	expect_file(rig, "20260131/7.to-client", "whole", 5);
}

static void test_all_content_has_a_limit(void **state)
{
	struct rig *rig = *state;
	struct tap_conn *tap;

	rig->options.content = rig->content;
	rig->options.content_total = 6;
	configure(rig);
	tap = connection(rig);
	tap_conn_data(tap, FLOW_TO_ORIGIN, "1234", 4);
	tap_conn_data(tap, FLOW_TO_CLIENT, "5678", 4);
	tap_conn_end(tap);
	finish(rig, TAP_CONTENT);
	expect_file(rig, "20260131/7.to-origin", "1234", 4);
	expect_file(rig, "20260131/7.to-client.truncated", "56", 2);
}

static void test_off_is_at_once(void **state)
{
	struct rig *rig = *state;
	struct tap_conn *tap;
	char error[300];

	rig->options.content = rig->content;
	configure(rig);
	tap = connection(rig);
	tap_conn_data(tap, FLOW_TO_ORIGIN, "before", 6);
	assert_int_equal(taps_switch(rig->taps, TAP_CONTENT, false, error, sizeof(error)), 0);
	tap_conn_data(tap, FLOW_TO_ORIGIN, "after", 5);
	assert_null(connection(rig));
	assert_int_equal(taps_switch(rig->taps, TAP_CONTENT, true, error, sizeof(error)), 0);
	tap_conn_data(tap, FLOW_TO_ORIGIN, "on again", 8);
	tap_conn_end(tap);
	finish(rig, TAP_CONTENT);
	expect_file(rig, "20260131/7.to-origin.truncated", "before", 6);
}

static void test_a_name_that_is_there_is_left_alone(void **state)
{
	struct rig *rig = *state;

	rig->options.content = rig->content;
	configure(rig);
	for (int i = 0; i < 2; i++) {
		struct tap_conn *tap = connection(rig);

		tap_conn_data(tap, FLOW_TO_ORIGIN, i ? "second" : "first", i ? 6 : 5);
		tap_conn_end(tap);
	}
	finish(rig, TAP_CONTENT);
	expect_file(rig, "20260131/7.to-origin", "first", 5);
	expect_file(rig, "20260131/7~1.to-origin", "second", 6);
}

static void test_lines_of_keys_of_the_sides_that_are_meant(void **state)
{
	struct rig *rig = *state;

	rig->options.keylog = rig->keys;
	rig->options.keylog_side[SIDE_CLIENT] = false;
	assert_false(taps_want_keys(rig->taps, SIDE_UPSTREAM));
	configure(rig);
	assert_true(taps_want_keys(rig->taps, SIDE_UPSTREAM));
	assert_false(taps_want_keys(rig->taps, SIDE_CLIENT));
	taps_key_line(rig->taps, "CLIENT_RANDOM 01 02");
	taps_key_line(rig->taps, "CLIENT_RANDOM 03 04");
	finish(rig, TAP_KEYLOG);
	expect_file(rig, "keys", "CLIENT_RANDOM 01 02\nCLIENT_RANDOM 03 04\n", 40);
}

static void refused(struct rig *rig, const char *why)
{
	struct taps_change *change;
	char error[300] = "";

	assert_true(taps_prepare(rig->taps, &rig->options, &change, error, sizeof(error)) < 0);
	if (!strstr(error, why))
		fail_msg("\"%s\" says nothing of \"%s\"", error, why);
}

static void test_files_of_others_and_links_are_refused(void **state)
{
	struct rig *rig = *state;
	char missing[160];
	int fd;

	assert_int_equal(symlink("/nowhere", rig->keys), 0);
	rig->options.keylog = rig->keys;
	refused(rig, "symbolic");
	rig->options.keylog = NULL;
	fd = open(rig->packets, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	rig->options.pcapng = rig->packets;
	refused(rig, "0600");
	rig->options.pcapng = NULL;
	snprintf(missing, sizeof(missing), "%s/missing/%%i", rig->folder);
	rig->options.content = missing;
	refused(rig, "folder");
}

static void test_a_full_file_makes_room(void **state)
{
	struct rig *rig = *state;
	static const uint8_t bytes[20000];
	struct tap_conn *tap;
	char old[160];
	struct stat st;

	rig->options.pcapng = rig->packets;
	rig->options.pcapng_file = 60000;
	configure(rig);
	tap = connection(rig);
	for (int i = 0; i < 10; i++)
		tap_conn_data(tap, FLOW_TO_CLIENT, bytes, sizeof(bytes));
	tap_conn_end(tap);
	finish(rig, TAP_PCAPNG);
	assert_int_equal(stat(rig->packets, &st), 0);
	assert_in_range(st.st_size, 100, 60000);
	snprintf(old, sizeof(old), "%s.1", rig->packets);
	assert_int_equal(stat(old, &st), 0);
	assert_in_range(st.st_size, 20000, 60000);
	snprintf(old, sizeof(old), "%s.2", rig->packets);
	assert_int_equal(stat(old, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_content_of_buffers_and_pipes_in_order, begin,
						end),
		cmocka_unit_test_setup_teardown(test_what_is_beyond_the_limit_is_marked, begin, end),
		cmocka_unit_test_setup_teardown(test_all_content_has_a_limit, begin, end),
		cmocka_unit_test_setup_teardown(test_off_is_at_once, begin, end),
		cmocka_unit_test_setup_teardown(test_a_name_that_is_there_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_lines_of_keys_of_the_sides_that_are_meant, begin,
						end),
		cmocka_unit_test_setup_teardown(test_files_of_others_and_links_are_refused, begin,
						end),
		cmocka_unit_test_setup_teardown(test_a_full_file_makes_room, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
