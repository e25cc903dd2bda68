// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/handover_offer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/capture_hook.h"
#include "core/fd_message.h"
#include "core/handover_wire.h"
#include "core/listener.h"
#include "core/server.h"
#include "core/sessions.h"
#include "export/metrics_http.h"

#define SEND_MS 5000

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void handover_offer_drop(struct handover_offer *offer)
{
	for (size_t i = 0; i < offer->listeners_len; i++)
		close(offer->listeners[i]);
	free(offer->listeners);
	close_fd(&offer->metrics_fd);
	close_fd(&offer->calls_fd);
	OPENSSL_cleanse(offer->tickets, sizeof(offer->tickets));
	*offer = HANDOVER_OFFER_NONE;
}

/* 0, with -1 in *copy where there is nothing to copy. */
static int copy_fd(int fd, int *copy)
{
	*copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 && *copy < 0 ? -errno : 0;
}

static int collect_of(const struct worker *worker, struct handover_offer *offer)
{
	for (size_t i = 0; i < worker->listeners_len; i++) {
		int copy, err = copy_fd(worker->listeners[i]->fd, &copy);

		if (err)
			return err;
		if (copy >= 0)
			offer->listeners[offer->listeners_len++] = copy;
	}
	return 0;
}

static int collect_listeners(const struct server *server, struct handover_offer *offer)
{
	size_t room = 1;
	int err = 0;

	for (size_t i = 0; i < server->workers_len; i++)
		room += server->workers[i].listeners_len;
	offer->listeners = calloc(room, sizeof(*offer->listeners));
	if (!offer->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < server->workers_len && !err; i++)
		err = collect_of(&server->workers[i], offer);
	return err;
}

static uint32_t read_flags(const struct server *server)
{
	struct capture_status rules;
	struct steer_status hook;
	uint32_t flags = 0;

	capturing_read(server->capturing, &rules);
	capture_hook_read_status(server, &hook);
	if (rules.state == CAPTURE_OFF || hook.state.state == CAPTURE_OFF)
		flags |= HANDOVER_CAPTURE_OFF;
	if (rules.state == CAPTURE_ON)
		flags |= HANDOVER_RULES_ON;
	if (hook.state.state == CAPTURE_ON)
		flags |= HANDOVER_HOOK_ON;
	return flags;
}

int handover_offer_collect(const struct server *server, struct handover_offer *offer)
{
	int err;

	*offer = HANDOVER_OFFER_NONE;
	offer->flags = read_flags(server);
	sessions_hand_over(server, offer->tickets, sizeof(offer->tickets));
	err = collect_listeners(server, offer);
	if (!err && server->metrics)
		err = copy_fd(metrics_http_fd(server->metrics), &offer->metrics_fd);
	if (!err && server->steer)
		err = copy_fd(steer_calls_fd(server->steer), &offer->calls_fd);
	return err;
}

int handover_offer_send(const struct handover_offer *offer, int sock)
{
	int err = 0;

	for (size_t i = 0; i < offer->listeners_len && !err; i += FD_MESSAGE_FDS) {
		size_t left = offer->listeners_len - i;

		err = handover_send(sock, HANDOVER_LISTENERS, 0, NULL, offer->listeners + i,
				    left < FD_MESSAGE_FDS ? left : FD_MESSAGE_FDS, SEND_MS);
	}
	if (!err && offer->metrics_fd >= 0)
		err = handover_send(sock, HANDOVER_METRICS, 0, NULL, &offer->metrics_fd, 1,
				    SEND_MS);
	if (!err && offer->calls_fd >= 0)
		err = handover_send(sock, HANDOVER_CALLS, 0, NULL, &offer->calls_fd, 1, SEND_MS);
	if (!err)
		err = handover_send(sock, HANDOVER_STATE, offer->flags, offer->tickets, NULL, 0,
				    SEND_MS);
	/* it has ended already: what it said before tells why */
	return err == -EPIPE ? 0 : err;
}
