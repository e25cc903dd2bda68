// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening sockets of others: which are taken, for whom. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/listen_fds.h"
#include "process_count.h"

static int open_socket(struct config_listener *listener, int type)
{
	const int on = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(listener->address.in);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	listener->address.in.sin_family = AF_INET;
	listener->address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &listener->address.sa, len), 0);
	assert_int_equal(getsockname(fd, &listener->address.sa, &len), 0);
	return fd;
}

static int open_listener(struct config_listener *listener)
{
	int fd = open_socket(listener, SOCK_STREAM);

	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

static void sockets_go_to_listeners_of_their_address(void **state)
{
	struct config_listener a = {0}, b = {0}, none = {0};
	struct listen_fds *fds;
	char error[200] = "", text[160];
	int before = count_fds(), first, second, got;
	uint64_t cookie;

	(void)state;
	assert_int_equal(listen_fds_new(&fds), 0);
	first = open_listener(&a);
	second = open_listener(&a); /* the same port: SO_REUSEPORT */
	cookie = cookie_of(second);
	assert_int_equal(listen_fds_add(fds, first, "first", error, sizeof(error)), 0);
	assert_int_equal(listen_fds_add(fds, second, "second", error, sizeof(error)), 0);
	assert_int_equal(listen_fds_add(fds, open_listener(&b), "b", error, sizeof(error)), 0);
	none.address.in = a.address.in;
	none.address.in.sin_addr.s_addr = htonl(INADDR_ANY);
	assert_int_equal(listen_fds_count(fds, &a), 2);
	assert_int_equal(listen_fds_count(fds, &b), 1);
	assert_int_equal(listen_fds_count(fds, &none), 0);
	assert_int_equal(listen_fds_count(NULL, &a), 0);
	got = listen_fds_get(fds, &a, 1);
	assert_true(got >= 0 && cookie_of(got) == cookie);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
	close(got);
	assert_int_equal(listen_fds_get(fds, &a, 2), -ENOENT);
	close(listen_fds_get(fds, &a, 0));
	assert_true(listen_fds_unused(fds, text, sizeof(text)));
	assert_non_null(strstr(text, "b (127.0.0.1:"));
	close(listen_fds_get(fds, &b, 0));
	assert_false(listen_fds_unused(fds, text, sizeof(text)));
	listen_fds_free(fds);
	assert_int_equal(count_fds(), before);
}

static void the_same_socket_counts_once(void **state)
{
	struct config_listener a = {0};
	struct listen_fds *fds;
	char error[200] = "";
	int fd = open_listener(&a), before;

	(void)state;
	assert_int_equal(listen_fds_new(&fds), 0);
	before = count_fds();
	assert_int_equal(listen_fds_add(fds, dup(fd), "a", error, sizeof(error)), 0);
	assert_int_equal(listen_fds_add(fds, dup(fd), "a", error, sizeof(error)), 0);
	assert_int_equal(listen_fds_count(fds, &a), 1);
	assert_int_equal(count_fds(), before + 1);
	listen_fds_free(fds);
	close(fd);
}

static void what_is_no_listener_is_refused_and_closed(void **state)
{
	struct config_listener a = {0}, b = {0};
	int before = count_fds();
	const int wrong[] = {open_socket(&a, SOCK_STREAM), open_socket(&b, SOCK_DGRAM),
			     open("/dev/null", O_RDONLY), socket(AF_UNIX, SOCK_STREAM, 0)};
	struct listen_fds *fds;

	(void)state;
	assert_int_equal(listen_fds_new(&fds), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char error[200] = "";

		assert_int_equal(listen_fds_add(fds, wrong[i], "web", error, sizeof(error)),
				 -EINVAL);
		assert_non_null(strstr(error, "(web) is no listening TCP socket"));
	}
	listen_fds_free(fds);
	assert_int_equal(count_fds(), before);
}

/* In a process of its own, whose descriptors from 3 on are the manager's. */
static int as_started_by_manager(const struct config_listener *a, const char *pid)
{
	struct listen_fds *fds;
	char error[200] = "", text[160];
	size_t count;

	if (!pid) {
		snprintf(text, sizeof(text), "%d", (int)getpid());
		pid = text;
	}
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDNAMES", "https:", 1);
	if (listen_fds_new(&fds) || listen_fds_from_manager(fds, error, sizeof(error)))
		return 10;
	count = listen_fds_count(fds, a);
	if (count && (!listen_fds_unused(fds, text, sizeof(text)) || strncmp(text, "https (", 7)))
		return 11;
	if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
		return 12;
	listen_fds_free(fds);
	return (int)count;
}

static int start_by_manager(const char *pid)
{
	struct config_listener a = {0}, b = {0};
	int first = fcntl(open_listener(&a), F_DUPFD, 20);
	int second = fcntl(open_listener(&b), F_DUPFD, 20);
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		close_range(3, 19, 0);
		dup2(first, 3);
		dup2(second, 4);
		_exit(as_started_by_manager(&a, pid));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	close_range(3, ~0U, 0);
	return WEXITSTATUS(status);
}

static void the_manager_opens_them_for_one_process(void **state)
{
	(void)state;
	assert_int_equal(start_by_manager(NULL), 1);
	assert_int_equal(start_by_manager("1"), 0);
	assert_int_equal(start_by_manager(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_go_to_listeners_of_their_address),
		cmocka_unit_test(the_same_socket_counts_once),
		cmocka_unit_test(what_is_no_listener_is_refused_and_closed),
		cmocka_unit_test(the_manager_opens_them_for_one_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
