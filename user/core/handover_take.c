// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/handover_take.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd_message.h"
#include "core/handover_wire.h"
#include "core/launcher_process.h"
#include "core/listen_fds.h"
#include "core/log.h"

/* The other one answers at once, but for its workers, which may be busy. */
#define OFFER_MS  10000
#define ANSWER_MS 15000

struct handover_take {
	int fd;
	int metrics_fd, calls_fd; /* -1: none */
	int *listeners;		  /* owned, as all descriptors here */
	size_t listeners_len;
	uint32_t flags;
	char tickets[HANDOVER_TEXT];
	bool alone; /* the other one has died */
};

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void handover_take_free(struct handover_take *take)
{
	if (!take)
		return;
	close_fd(take->fd);
	close_fd(take->metrics_fd);
	close_fd(take->calls_fd);
	for (size_t i = 0; i < take->listeners_len; i++)
		close_fd(take->listeners[i]);
	free(take->listeners);
	handover_take_forget_tickets(take);
	free(take);
}

static int keep_listeners(struct handover_take *take, const int *fds, size_t fds_len)
{
	int *all = reallocarray(take->listeners, take->listeners_len + fds_len + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	memcpy(all + take->listeners_len, fds, fds_len * sizeof(*fds));
	take->listeners = all;
	take->listeners_len += fds_len;
	return 0;
}

static int keep_one(int *place, const int *fds, size_t fds_len)
{
	if (fds_len != 1 || *place >= 0)
		return -EPROTO;
	*place = fds[0];
	return 0;
}

/* 0, 1: that was the last, or -errno; then the descriptors are still the caller's. */
static int keep(struct handover_take *take, const struct handover_message *message, const int *fds,
		size_t fds_len)
{
	switch (message->type) {
	case HANDOVER_LISTENERS: return keep_listeners(take, fds, fds_len);
	case HANDOVER_METRICS: return keep_one(&take->metrics_fd, fds, fds_len);
	case HANDOVER_CALLS: return keep_one(&take->calls_fd, fds, fds_len);
	case HANDOVER_STATE:
		take->flags = message->flags;
		memcpy(take->tickets, message->text, sizeof(take->tickets));
		return fds_len ? -EPROTO : 1;
	default: return -EPROTO;
	}
}

static int receive_offers(struct handover_take *take)
{
	struct handover_message message;
	int fds[FD_MESSAGE_FDS], err = 0;

	while (!err) {
		size_t fds_len = FD_MESSAGE_FDS;

		err = handover_receive(take->fd, &message, fds, &fds_len, OFFER_MS);
		if (!err)
			err = keep(take, &message, fds, fds_len);
		for (size_t i = 0; err < 0 && i < fds_len; i++)
			close(fds[i]);
	}
	OPENSSL_cleanse(&message, sizeof(message));
	return err < 0 ? err : 0;
}

static int open_number(const char *text, int *fd)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (!*text || *end || number < 3 || number > 1 << 20 ||
	    fcntl((int)number, F_SETFD, FD_CLOEXEC))
		return -EINVAL;
	*fd = (int)number;
	return 0;
}

int handover_take_open(struct handover_take **out, char *error, size_t error_len)
{
	const char *text = getenv(LAUNCHER_HANDOVER);
	struct handover_take *take;
	int err;

	*out = NULL;
	if (!text)
		return 0;
	take = calloc(1, sizeof(*take));
	if (!take) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	take->fd = take->metrics_fd = take->calls_fd = -1;
	err = open_number(text, &take->fd);
	unsetenv(LAUNCHER_HANDOVER);
	if (!err)
		err = receive_offers(take);
	if (!err) {
		*out = take;
		return 0;
	}
	snprintf(error, error_len,
		 "cannot take over from the ksplitd that runs: %s; restart it instead",
		 err == -EPROTONOSUPPORT ? "it is of a version that hands over in another way"
					 : strerror(-err));
	if (take->fd >= 0)
		handover_take_refuse(take, error);
	handover_take_free(take);
	return err;
}

int handover_take_listeners(struct handover_take *take, struct listen_fds *out, char *error,
			    size_t error_len)
{
	int err = 0;

	for (size_t i = 0; take && i < take->listeners_len && !err; i++) {
		err = listen_fds_add(out, take->listeners[i], "handed over", error, error_len);
		take->listeners[i] = -1;
	}
	return err;
}

static int give_away(int *place)
{
	int fd = *place;

	*place = -1;
	return fd;
}

int handover_take_metrics(struct handover_take *take)
{
	return take ? give_away(&take->metrics_fd) : -1;
}

int handover_take_calls(struct handover_take *take)
{
	return take ? give_away(&take->calls_fd) : -1;
}

uint32_t handover_take_flags(const struct handover_take *take)
{
	return take ? take->flags : 0;
}

const char *handover_take_tickets(const struct handover_take *take)
{
	return take ? take->tickets : NULL;
}

void handover_take_forget_tickets(struct handover_take *take)
{
	if (take)
		OPENSSL_cleanse(take->tickets, sizeof(take->tickets));
}

/* Say one thing and wait for another. */
static int ask(struct handover_take *take, enum handover_type said, uint32_t flags,
	       enum handover_type expected, char *error, size_t error_len)
{
	struct handover_message message;
	size_t none = 0;
	int err;

	if (!take || take->alone)
		return 0;
	err = handover_send(take->fd, said, flags, NULL, NULL, 0, ANSWER_MS);
	if (!err)
		err = handover_receive(take->fd, &message, NULL, &none, ANSWER_MS);
	if (err == -EPIPE) {
		log_warn("the ksplitd to take over from has died; this one goes on alone");
		take->alone = true;
		return 0;
	}
	if (!err && message.type == HANDOVER_CANCELLED) {
		snprintf(error, error_len, "the ksplitd to take over from goes on itself: %s",
			 message.text);
		return -ECANCELED;
	}
	if (!err && message.type != expected)
		err = -EPROTO;
	if (err)
		snprintf(error, error_len, "cannot take over from the ksplitd that runs: %s",
			 strerror(-err));
	return err;
}

int handover_take_stop(struct handover_take *take, uint32_t mark, char *error, size_t error_len)
{
	return ask(take, HANDOVER_READY, mark, HANDOVER_STOPPED, error, error_len);
}

int handover_take_finish(struct handover_take *take, char *error, size_t error_len)
{
	return ask(take, HANDOVER_DONE, 0, HANDOVER_BYE, error, error_len);
}

void handover_take_leave(struct handover_take *take)
{
	close_fd(take->fd);
	take->fd = -1;
}

void handover_take_refuse(struct handover_take *take, const char *why)
{
	if (take && take->fd >= 0)
		handover_send(take->fd, HANDOVER_REFUSED, 0, why, NULL, 0, ANSWER_MS);
}
