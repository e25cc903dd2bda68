// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "capture/keeper_child.h"
#include "capture/keeper_wire.h"

#define ORDER_MS 2000 /* to hand an order over */

struct keeper {
	pid_t pid;
	int fd;
	pthread_mutex_t send_lock; /* a message is whole */
	struct keeper_inbox inbox;
};

static void run(const void *arg, int fd)
{
	keeper_child_run(fd, arg);
}

int keeper_start(const struct keeper_options *options, struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return -ENOMEM;
	keeper->pid = child_start(SOCK_STREAM, run, options, &keeper->fd);
	if (keeper->pid < 0) {
		int err = keeper->pid;

		free(keeper);
		return err;
	}
	pthread_mutex_init(&keeper->send_lock, NULL);
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

static int send_order(struct keeper *keeper, enum keeper_message order, const void *body,
		      size_t len)
{
	int err;

	pthread_mutex_lock(&keeper->send_lock);
	err = keeper_wire_send(keeper->fd, order, body, len, NULL, 0, ORDER_MS);
	pthread_mutex_unlock(&keeper->send_lock);
	return err;
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
		err = send_order(keeper, KEEPER_MESSAGE_LOAD, all, size);
	free(all);
	return err;
}

int keeper_withdraw(struct keeper *keeper)
{
	return send_order(keeper, KEEPER_MESSAGE_WITHDRAW, NULL, 0);
}

int keeper_remove(struct keeper *keeper)
{
	return send_order(keeper, KEEPER_MESSAGE_REMOVE, NULL, 0);
}

void keeper_beat(struct keeper *keeper)
{
	if (pthread_mutex_trylock(&keeper->send_lock))
		return;
	keeper_wire_send(keeper->fd, KEEPER_MESSAGE_BEAT, NULL, 0, NULL, 0, 0);
	pthread_mutex_unlock(&keeper->send_lock);
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

void keeper_stop(struct keeper *keeper, int timeout_ms)
{
	if (!keeper)
		return;
	close(keeper->fd);
	if (!child_await(keeper->pid, timeout_ms)) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
	}
	keeper_wire_free(&keeper->inbox);
	pthread_mutex_destroy(&keeper->send_lock);
	free(keeper);
}
