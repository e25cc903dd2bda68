// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS	 5 /* between two looks whether it has ended */
#define FIRST_FD 3 /* behind stderr */

/* The mask that it leaves is the one that it found, but in the child. */
static pid_t fork_masked(void)
{
	sigset_t all, old;
	pid_t pid;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		return 0;
	err = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid < 0 ? -err : pid;
}

pid_t child_start(int type, child_fn run, const void *arg, int *fd)
{
	int fds[2];
	pid_t pid;

	*fd = -1;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds))
		return -errno;
	pid = fork_masked();
	if (pid == 0) {
		close(fds[0]);
		run(arg, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	if (pid > 0)
		*fd = fds[0];
	else
		close(fds[0]);
	return pid;
}

void child_close_others(int a, int b)
{
	const int kept[] = {a < b ? a : b, a < b ? b : a};
	int next = FIRST_FD;

	for (int i = 0; i < 2; i++) {
		if (kept[i] < next)
			continue;
		if (kept[i] > next)
			close_range((unsigned int)next, (unsigned int)kept[i] - 1, 0);
		next = kept[i] + 1;
	}
	close_range((unsigned int)next, ~0U, 0);
}

bool child_await(pid_t pid, int timeout_ms)
{
	pid_t ended;

	for (int waited = 0; (ended = waitpid(pid, NULL, WNOHANG)) == 0; waited += LOOK_MS) {
		if (waited >= timeout_ms)
			return false;
		poll(NULL, 0, LOOK_MS);
	}
	return true;
}
