// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/keeper_child.h"
#include "capture/keeper_wire.h"

#define ORDER_MS 2000 /* to hand an order over */
#define REAP_MS  5    /* between two looks whether it has ended */

struct keeper {
	pid_t pid;
	int fd;
	struct keeper_inbox inbox;
};

/* Between fork and the child's own mask no signal may find the daemon's ways of handling it. */
static pid_t fork_keeper(int ours, int its, const struct keeper_options *options)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		close(ours);
		keeper_child_run(its, options);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int keeper_start(const struct keeper_options *options, struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int fds[2], err = 0;

	if (!keeper)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		err = -errno;
		free(keeper);
		return err;
	}
	keeper->pid = fork_keeper(fds[0], fds[1], options);
	if (keeper->pid < 0)
		err = -errno;
	close(fds[1]);
	keeper->fd = fds[0];
	if (err) {
		close(fds[0]);
		free(keeper);
		return err;
	}
	*out = keeper;
	return 0;
}

int keeper_fd(const struct keeper *keeper)
{
	return keeper->fd;
}

pid_t keeper_pid(const struct keeper *keeper)
{
	return keeper->pid;
}

int keeper_load(struct keeper *keeper, const struct keeper_rules *rules)
{
	const char *const texts[] = {rules->owned, rules->plain, rules->open_owned,
				     rules->open_plain};
	char *all = NULL;
	size_t len, size = 0;
	FILE *stream = open_memstream(&all, &len);
	int err;

	if (!stream)
		return -errno;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		size += fwrite(texts[i], 1, strlen(texts[i]) + 1, stream);
	err = fclose(stream) ? -errno : 0;
	if (!err)
		err = keeper_wire_send(keeper->fd, KEEPER_MESSAGE_LOAD, all, size, NULL, 0,
				       ORDER_MS);
	free(all);
	return err;
}

int keeper_withdraw(struct keeper *keeper)
{
	return keeper_wire_send(keeper->fd, KEEPER_MESSAGE_WITHDRAW, NULL, 0, NULL, 0, ORDER_MS);
}

int keeper_remove(struct keeper *keeper)
{
	return keeper_wire_send(keeper->fd, KEEPER_MESSAGE_REMOVE, NULL, 0, NULL, 0, ORDER_MS);
}

void keeper_beat(struct keeper *keeper)
{
	keeper_wire_send(keeper->fd, KEEPER_MESSAGE_BEAT, NULL, 0, NULL, 0, 0);
}

static bool take_report(struct keeper *keeper, struct keeper_report *report)
{
	struct keeper_head head;
	struct keeper_said said;
	const char *body;
	bool found = false;

	while (!found && keeper_wire_next(&keeper->inbox, &head, &body)) {
		if (head.message == KEEPER_MESSAGE_REPORT && head.len > sizeof(said)) {
			memcpy(&said, body, sizeof(said));
			*report = (struct keeper_report){.event = (enum keeper_event)said.event,
							 .error = said.error,
							 .loaded = said.loaded,
							 .held = said.held,
							 .has_owner = said.has_owner};
			snprintf(report->text, sizeof(report->text), "%.*s",
				 (int)(head.len - sizeof(said)), body + sizeof(said));
			found = true;
		}
		keeper_wire_drop(&keeper->inbox);
	}
	return found;
}

int keeper_read(struct keeper *keeper, struct keeper_report *report)
{
	int err;

	if (take_report(keeper, report))
		return 1;
	err = keeper_wire_read(&keeper->inbox, keeper->fd);
	if (take_report(keeper, report))
		return 1;
	return err ? -EPIPE : 0;
}

int keeper_wait(struct keeper *keeper, struct keeper_report *report, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = keeper->fd, .events = POLLIN};
	int64_t until_ms = keeper_wire_now_ms() + timeout_ms, left;
	int rc;

	while ((rc = keeper_read(keeper, report)) == 0) {
		left = until_ms - keeper_wire_now_ms();
		if (left <= 0)
			return 0;
		if (poll(&poll_fd, 1, (int)left) < 0 && errno != EINTR)
			return -EPIPE;
	}
	return rc;
}

/* true: it has ended and was reaped. */
static bool reap(pid_t pid, int timeout_ms)
{
	int64_t until_ms = keeper_wire_now_ms() + timeout_ms;
	pid_t ended;

	while ((ended = waitpid(pid, NULL, WNOHANG)) == 0) {
		if (keeper_wire_now_ms() >= until_ms)
			return false;
		poll(NULL, 0, REAP_MS);
	}
	return true;
}

void keeper_stop(struct keeper *keeper, int timeout_ms)
{
	if (!keeper)
		return;
	close(keeper->fd);
	if (!reap(keeper->pid, timeout_ms)) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
	}
	keeper_wire_free(&keeper->inbox);
	free(keeper);
}
