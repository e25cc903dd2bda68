// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "process_count.h"

#define PATIENCE_MS 20000

/* What a child tells of itself. */
struct told {
	int pid;
	bool blocks_term, blocks_chld;
	int open[8]; /* of those that were asked about */
};

static void await_end(pid_t pid, int fd)
{
	close(fd);
	assert_true(child_await(pid, PATIENCE_MS));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void tell_mask(const void *arg, int fd)
{
	struct told told = {.pid = (int)getpid()};
	sigset_t now;
	char none;

	(void)arg;
	sigprocmask(SIG_SETMASK, NULL, &now);
	told.blocks_term = sigismember(&now, SIGTERM);
	told.blocks_chld = sigismember(&now, SIGCHLD);
	if (write(fd, &told, sizeof(told)) == sizeof(told))
		(void)!read(fd, &none, 1); /* until the other end goes */
}

static void test_child_talks_and_blocks_signals(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	const int before = count_fds();
	sigset_t mask, after;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct told told = {0};
		int fd, type = 0;
		socklen_t len = sizeof(type);
		pid_t pid = child_start(types[i], tell_mask, NULL, &fd);

		assert_true(pid > 0);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
		assert_int_equal(type, types[i]);
		assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
		assert_int_equal(told.pid, pid);
		assert_true(told.blocks_term && told.blocks_chld);
		pthread_sigmask(SIG_SETMASK, NULL, &after);
		assert_true(sigismember(&after, SIGUSR1) && !sigismember(&after, SIGTERM));
		assert_false(child_await(pid, 0));
		await_end(pid, fd);
	}
	assert_int_equal(count_fds(), before);
}

static void come_back(const void *arg, int fd)
{
	(void)arg;
	(void)fd;
}

static void test_child_that_comes_back_has_failed(void **state)
{
	int fd, status = 0;
	pid_t pid = child_start(SOCK_STREAM, come_back, NULL, &fd);

	(void)state;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	close(fd);
	assert_true(child_await(pid, 0)); /* nobody is there to wait for */
}

static void test_child_without_descriptors_is_none(void **state)
{
	int fd = 7;

	(void)state;
	assert_int_equal(child_start(-1, come_back, NULL, &fd), -EINVAL);
	assert_int_equal(fd, -1);
}

struct keeping {
	int asked[8], keep[2];
};

static void tell_open(const void *arg, int fd)
{
	const struct keeping *keeping = arg;
	struct told told = {.pid = (int)getpid()};
	/* the socket itself stays open in any case, or nothing could be told */
	const int talk = dup2(fd, 2);

	child_close_others(keeping->keep[0], keeping->keep[1]);
	for (int i = 0; i < 8; i++)
		told.open[i] = fcntl(keeping->asked[i], F_GETFD) >= 0;
	(void)!write(talk, &told, sizeof(told));
}

static void assert_kept(const int *fds, int a, int b)
{
	struct keeping keeping = {.keep = {a, b}};
	struct told told = {0};
	pid_t pid;
	int fd;

	memcpy(keeping.asked, fds, sizeof(keeping.asked));
	pid = child_start(SOCK_SEQPACKET, tell_open, &keeping, &fd);
	assert_true(pid > 0);
	assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
	for (int i = 0; i < 8; i++)
		assert_int_equal(told.open[i], fds[i] < 3 || fds[i] == a || fds[i] == b);
	await_end(pid, fd);
}

static void test_child_keeps_what_it_is_told_to(void **state)
{
	int fds[8] = {0, 1};

	(void)state;
	for (int i = 2; i < 8; i++)
		fds[i] = dup(0);
	assert_kept(fds, fds[2], fds[2]);
	assert_kept(fds, fds[3], fds[6]);
	assert_kept(fds, fds[6], fds[3]); /* in whatever order */
	assert_kept(fds, fds[4], fds[5]); /* neighbours */
	assert_kept(fds, fds[7], -1);
	assert_kept(fds, -1, 2); /* none */
	for (int i = 2; i < 8; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_talks_and_blocks_signals),
		cmocka_unit_test(test_child_that_comes_back_has_failed),
		cmocka_unit_test(test_child_without_descriptors_is_none),
		cmocka_unit_test(test_child_keeps_what_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
