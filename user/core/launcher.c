// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/launcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "core/fd_message.h"
#include "core/launcher_process.h"
#include "core/launcher_wire.h"

#define ANSWER_MS 1000
#define END_MS	  1000

struct launcher {
	int fd;
	pid_t pid;
	uint32_t number; /* of the last order */
};

static void run(const void *arg, int fd)
{
	launcher_process(arg, fd);
}

int launcher_start(const struct launcher_options *options, struct launcher **out)
{
	struct launcher *launcher = calloc(1, sizeof(*launcher));

	if (!launcher)
		return -ENOMEM;
	launcher->pid = child_start(SOCK_SEQPACKET, run, options, &launcher->fd);
	if (launcher->pid < 0) {
		int err = launcher->pid;

		free(launcher);
		return err;
	}
	*out = launcher;
	return 0;
}

/* The answer to the last order; what comes late, to an earlier one, is thrown away. */
static int take_answer(const struct launcher *launcher, struct launcher_answer *answer, int *fd)
{
	ssize_t n;

	do {
		size_t fds_len = 1;

		*fd = -1;
		n = fd_message_receive(launcher->fd, answer, sizeof(*answer), fd, &fds_len,
				       ANSWER_MS);
		if (!fds_len)
			*fd = -1;
		if (n == sizeof(*answer) && answer->number == launcher->number)
			return answer->err;
		if (*fd >= 0)
			close(*fd);
	} while (n == sizeof(*answer));
	return n < 0 ? (int)n : -EPIPE;
}

static int give_order(struct launcher *launcher, enum launcher_order order, int *fd, pid_t *pid)
{
	const struct launcher_ask ask = {.order = order, .number = ++launcher->number};
	struct launcher_answer answer = {0};
	int err = fd_message_send(launcher->fd, &ask, sizeof(ask), NULL, 0, ANSWER_MS);

	if (!err)
		err = take_answer(launcher, &answer, fd);
	if (!err)
		*pid = answer.pid;
	return err;
}

static int explain(int err, char *error, size_t error_len)
{
	if (err == -EBUSY)
		snprintf(error, error_len, "this was asked too often: %d times a second at most",
			 LAUNCHER_RATE);
	else if (err == -ETIMEDOUT)
		snprintf(error, error_len, "the launcher does not answer");
	else if (err == -EPIPE)
		snprintf(error, error_len, "the launcher has gone; restart ksplitd");
	else if (err)
		snprintf(error, error_len, "the launcher: %s", strerror(-err));
	return err;
}

/* An order whose answer brings a descriptor. */
static int ask_for(struct launcher *launcher, enum launcher_order order, int *fd, pid_t *pid,
		   char *error, size_t error_len)
{
	int err = give_order(launcher, order, fd, pid);

	if (!err && *fd < 0)
		err = -EPROTO;
	return explain(err, error, error_len);
}

int launcher_signer(struct launcher *launcher, int *fd, pid_t *pid, char *error, size_t error_len)
{
	return ask_for(launcher, LAUNCHER_SIGNER, fd, pid, error, error_len);
}

int launcher_upgrade(struct launcher *launcher, int *fd, pid_t *pid, char *error,
		     size_t error_len)
{
	return ask_for(launcher, LAUNCHER_UPGRADE, fd, pid, error, error_len);
}

int launcher_cancel(struct launcher *launcher)
{
	int fd = -1;
	pid_t pid;

	return give_order(launcher, LAUNCHER_CANCEL, &fd, &pid);
}

pid_t launcher_pid(const struct launcher *launcher)
{
	return launcher->pid;
}

void launcher_stop(struct launcher *launcher)
{
	if (!launcher)
		return;
	close(launcher->fd); /* it ends by that */
	child_await(launcher->pid, END_MS);
	free(launcher);
}
