// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY "r"

/* In the process that was started: wait for the daemon's word and exit with it. */
static void wait_for_daemon(int fd)
{
	char text[1025];
	size_t len = 0;
	sigset_t all;
	ssize_t n;

	/* The daemon's signals are blocked by now; this process can be ended as any other. */
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);

	while (len < sizeof(text) - 1 &&
	       ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0 ||
		(n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	text[len] = '\0';
	if (!strcmp(text, READY))
		_exit(0);
	fprintf(stderr, "ksplitd: %s\n", len ? text : "ended before it was ready");
	fflush(stderr);
	_exit(1);
}

static int detach(void)
{
	int null_fd;
	pid_t pid;

	if (setsid() < 0)
		return -errno;
	pid = fork(); /* not a session leader: no terminal can come back */
	if (pid < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		dup2(null_fd, fd);
	if (null_fd > 2)
		close(null_fd);
	return chdir("/") ? -errno : 0;
}

int background_enter(struct background *background)
{
	int fds[2], err;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(fds[0]);
		close(fds[1]);
		return err;
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for_daemon(fds[0]);
	}
	close(fds[0]);
	background->notify_fd = fds[1];
	err = detach();
	if (err)
		background_failed(background, strerror(-err));
	return err;
}

static void tell(struct background *background, const char *text)
{
	ssize_t n;

	if (background->notify_fd < 0)
		return;
	n = write(background->notify_fd, text, strlen(text));
	(void)n; /* nobody may be waiting any more */
	close(background->notify_fd);
	background->notify_fd = -1;
}

void background_ready(struct background *background)
{
	tell(background, READY);
}

void background_failed(struct background *background, const char *error)
{
	tell(background, error);
}
