// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "control_rig.h"

static void open_control(struct fixture *f)
{
	assert_int_equal(control_open(f->path, &f->source, &f->control), 0);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 20};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One line, byte by byte, so that nothing of the next is taken; NULL at the end of the stream. */
static char *read_line(int fd)
{
	size_t len = 0, size = 1024 * 1024;
	char *line = malloc(size);

	for (;;) {
		ssize_t n = recv(fd, line + len, 1, 0);

		if (n <= 0 || len == size - 1) {
			free(line);
			return NULL;
		}
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return line;
}

static void expect_ok(int fd, bool ok)
{
	char *line = read_line(fd);
	cJSON *json = parse_answer(line);

	check_bool(json, "ok", ok);
	cJSON_Delete(json);
	free(line);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define SUMMARY "{\"version\":1,\"command\":\"summary\"}"

static void requests_follow_each_other(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	open_control(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	fd = connect_to(f->path);
	for (int i = 0; i < 3; i++) {
		send_text(fd, SUMMARY "\n");
		expect_ok(fd, true);
	}
	send_text(fd, "nonsense\n");
	expect_ok(fd, false);
	send_text(fd, SUMMARY "\r\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_request_may_come_in_pieces_or_with_others(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	for (const char *at = SUMMARY "\n"; *at; at++) {
		char byte[2] = {*at, '\0'};

		send_text(fd, byte);
		poll(NULL, 0, 1);
	}
	expect_ok(fd, true);
	send_text(fd, SUMMARY "\nbad\n" SUMMARY "\n" SUMMARY);
	expect_ok(fd, true);
	expect_ok(fd, false);
	expect_ok(fd, true);
	/* the last one without its newline: the end of the stream ends it */
	shutdown(fd, SHUT_WR);
	expect_ok(fd, true);
	expect_end(fd);
	close(fd);
}

static void a_request_has_a_longest_length(void **state)
{
	struct fixture *f = *state;
	char line[KSPLIT_CONTROL_LINE + 2];
	char *large = malloc(200000);
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	/* as long as allowed, and its newline */
	memset(line, ' ', sizeof(line));
	memcpy(line, SUMMARY, strlen(SUMMARY));
	line[KSPLIT_CONTROL_LINE] = '\n';
	line[KSPLIT_CONTROL_LINE + 1] = '\0';
	send_text(fd, line);
	expect_ok(fd, true);
	/* one more */
	line[KSPLIT_CONTROL_LINE] = ' ';
	line[KSPLIT_CONTROL_LINE + 1] = '\0';
	send_text(fd, line);
	expect_ok(fd, false);
	expect_end(fd);
	close(fd);
	/* much more, with a request behind it that nobody answers */
	fd = connect_to(f->path);
	memset(large, 'x', 199999);
	strcpy(large + 150000, "\n" SUMMARY "\n");
	send_text(fd, large);
	expect_ok(fd, false);
	expect_end(fd);
	close(fd);
	free(large);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void clients_that_leave_harm_nobody(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_control(f);
	for (int i = 0; i < 50; i++) {
		fd = connect_to(f->path);
		if (i % 3 == 1)
			send_text(fd, "{\"version\"");
		else if (i % 3 == 2)
			send_text(fd, SUMMARY "\n" SUMMARY "\n");
		close(fd);
	}
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_ninth_client_waits_for_a_place(void **state)
{
	struct fixture *f = *state;
	struct pollfd ninth = {.events = POLLIN};
	int fds[8];

	open_control(f);
	for (int i = 0; i < 8; i++) {
		fds[i] = connect_to(f->path);
		send_text(fds[i], SUMMARY "\n");
		expect_ok(fds[i], true);
	}
	ninth.fd = connect_to(f->path);
	send_text(ninth.fd, SUMMARY "\n");
	assert_int_equal(poll(&ninth, 1, 200), 0);
	close(fds[3]);
	expect_ok(ninth.fd, true);
	close(ninth.fd);
	for (int i = 0; i < 8; i++) {
		if (i != 3)
			close(fds[i]);
	}
}

/* Silent, half a request, and not taking an answer: all end after 5 s, and hold up nobody
 * meanwhile. */
static void slow_clients_are_closed_and_hold_up_nobody(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	double start;
	int silent, half, lazy, quick;
	char *rest;

	set_connections(f, 600, &info); /* more than a socket's buffer takes */
	open_control(f);
	start = seconds_now();
	silent = connect_to(f->path);
	half = connect_to(f->path);
	lazy = connect_to(f->path);
	send_text(half, "{\"version\":1,");
	send_text(lazy, "{\"version\":1,\"command\":\"connections\"}\n");
	quick = connect_to(f->path);
	for (int i = 0; i < 20; i++) {
		send_text(quick, SUMMARY "\n");
		expect_ok(quick, true);
	}
	assert_true(seconds_now() - start < 4);
	expect_end(silent);
	assert_true(seconds_now() - start > 4.9);
	expect_end(half);
	assert_true(seconds_now() - start < 9);
	poll(NULL, 0, 3000);
	rest = read_line(lazy); /* cut: no newline comes */
	assert_null(rest);
	close(silent);
	close(half);
	close(lazy);
	close(quick);
}

/* Who takes an answer slowly, but does take it, is waited for longer than who takes nothing. */
static void a_slow_reader_gets_its_answer(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	char chunk[65536];
	double start;
	bool whole = false;
	int fd;

	set_connections(f, 3000, &info);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{\"version\":1,\"command\":\"connections\"}\n");
	start = seconds_now();
	while (!whole) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		assert_true(n > 0);
		whole = chunk[n - 1] == '\n';
		if (seconds_now() - start < 6)
			poll(NULL, 0, 200);
	}
	assert_true(seconds_now() - start > 5.5);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	char *line;
	cJSON *json;
	int fd;

	set_connections(f, 300, &info);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{\"version\":1,\"command\":\"connections\"}\n" SUMMARY "\n");
	line = read_line(fd);
	assert_true(strlen(line) > 300 * 1000);
	json = parse_answer(line);
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.connections")), 300);
	cJSON_Delete(json);
	free(line);
	expect_ok(fd, true);
	close(fd);
}

static void leave_a_dead_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	int fd;

	leave_a_dead_socket(f->path);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_live_daemons_socket_is_not(void **state)
{
	struct fixture *f = *state;
	struct control *second = NULL;
	int fd;

	open_control(f);
	assert_int_equal(control_open(f->path, &f->source, &second), -EADDRINUSE);
	assert_null(second);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void one_that_takes_over_answers_at_the_same_path(void **state)
{
	struct fixture *f = *state;
	struct control *next = NULL;
	struct stat st;
	int fd, before;

	open_control(f);
	before = connect_to(f->path);
	assert_int_equal(control_take_over(f->path, &f->source, &next), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	/* who is there already is still answered by the old one, which leaves the path alone */
	send_text(before, SUMMARY "\n");
	expect_ok(before, true);
	close(before);
	control_close(f->control);
	f->control = NULL;
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
	control_close(next);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->folder), 0); /* no name of the time between is left */
	assert_int_equal(mkdir(f->folder, 0700), 0);
}

static void only_a_socket_is_taken_over(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->path, "w");

	fclose(file);
	assert_int_equal(control_take_over(f->path, &f->source, &f->control), -EEXIST);
	unlink(f->path);
}

static void only_a_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->path, "w");
	struct stat st;

	fputs("precious", file);
	fclose(file);
	assert_int_equal(control_open(f->path, &f->source, &f->control), -EEXIST);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(f->path);
}

static void the_last_folder_is_made(void **state)
{
	struct fixture *f = *state;
	char folder[96], path[128];
	mode_t mask = umask(077);
	struct stat st;

	snprintf(folder, sizeof(folder), "%s/run", f->folder);
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	assert_int_equal(control_open(path, &f->source, &f->control), 0);
	umask(mask);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	control_close(f->control);
	f->control = NULL;
	assert_int_equal(rmdir(folder), 0);
	snprintf(path, sizeof(path), "%s/none/run/control.sock", f->folder);
	assert_int_equal(control_open(path, &f->source, &f->control), -ENOENT);
}

static void a_path_must_fit(void **state)
{
	struct fixture *f = *state;
	char path[200];

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_open(path, &f->source, &f->control), -ENAMETOOLONG);
	assert_int_equal(control_open("", &f->source, &f->control), -ENOENT);
}

static void close_removes_its_own_socket_only(void **state)
{
	struct fixture *f = *state;

	open_control(f);
	control_close(f->control);
	assert_int_equal(access(f->path, F_OK), -1);
	open_control(f);
	unlink(f->path);
	leave_a_dead_socket(f->path);
	control_close(f->control);
	f->control = NULL;
	assert_int_equal(access(f->path, F_OK), 0);
	unlink(f->path);
	control_close(NULL);
}

static void close_does_not_wait_for_clients(void **state)
{
	struct fixture *f = *state;
	double start = seconds_now();
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{");
	control_close(f->control);
	f->control = NULL;
	assert_true(seconds_now() - start < 2);
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(requests_follow_each_other),
		T(a_request_may_come_in_pieces_or_with_others),
		T(a_request_has_a_longest_length),
		T(clients_that_leave_harm_nobody),
		T(a_ninth_client_waits_for_a_place),
		T(slow_clients_are_closed_and_hold_up_nobody),
		T(a_slow_reader_gets_its_answer),
		T(a_large_answer_arrives_whole),
		T(a_dead_daemons_socket_is_replaced),
		T(a_live_daemons_socket_is_not),
		T(one_that_takes_over_answers_at_the_same_path),
		T(only_a_socket_is_taken_over),
		T(only_a_socket_is_replaced),
		T(the_last_folder_is_made),
		T(a_path_must_fit),
		T(close_removes_its_own_socket_only),
		T(close_does_not_wait_for_clients),
	};
#undef T

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
