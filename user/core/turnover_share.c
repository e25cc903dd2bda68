// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker does for a turnover. */
#include "core/turnover_inner.h"

#include <stdlib.h>
#include <string.h>

#include "core/generation.h"
#include "core/listener.h"

static bool takes_captured(const struct config_listener *config)
{
	return config->destination == DESTINATION_ORIGINAL ||
	       config->destination == DESTINATION_TPROXY;
}

bool turnover_is_early(const struct turnover *turnover, size_t index)
{
	const size_t old = turnover->was[index];

	return old != TURNOVER_NOT_THERE && takes_captured(&turnover->next->listeners[index]) &&
	       !takes_captured(&turnover->now->listeners[old]);
}

size_t turnover_index_of(const struct turnover *turnover, const struct listener *listener)
{
	if (listener->generation == turnover->now)
		return (size_t)(listener->config - turnover->now->listeners);
	return turnover->was[listener->config - turnover->next->listeners];
}

static void follow(struct listener *listener, struct generation *generation, size_t index)
{
	listener_follow(listener, generation, &generation->listeners[index]);
}

/* One address may have several sockets here (worker_listen.h). */
static void follow_all(struct share *share, size_t was, struct generation *generation, size_t index)
{
	for (size_t i = 0; i < share->present_len; i++)
		if (turnover_index_of(share->turnover, share->worker->listeners[i]) == was)
			follow(share->worker->listeners[i], generation, index);
}

static void set_list(struct worker *worker, struct listener ***list, size_t len)
{
	free(worker->listeners);
	worker->listeners = *list;
	worker->listeners_len = len;
	*list = NULL;
}

void turnover_open_share(struct share *share)
{
	struct turnover *turnover = share->turnover;
	struct worker *worker = share->worker;
	size_t len = share->present_len;

	/* It ends: what it listened on is closed, and stays so. */
	if (worker->draining)
		return;
	memcpy(share->opened, worker->listeners, len * sizeof(*share->opened));
	for (size_t i = 0; i < turnover->next->listeners_len; i++) {
		if (turnover_is_early(turnover, i))
			follow_all(share, turnover->was[i], turnover->next, i);
		if (!share->fresh[i])
			continue;
		worker_accept_on(worker, share->fresh[i]);
		share->opened[len++] = share->fresh[i];
	}
	set_list(worker, &share->opened, len);
}

void turnover_undo_share(struct share *share)
{
	struct turnover *turnover = share->turnover;
	struct worker *worker = share->worker;

	if (share->opened)
		return;
	for (size_t i = 0; i < turnover->next->listeners_len; i++) {
		if (turnover_is_early(turnover, i))
			follow_all(share, turnover->was[i], turnover->now, turnover->was[i]);
		if (share->fresh[i])
			worker_drop_listener(worker, share->fresh[i]);
		share->fresh[i] = NULL;
	}
	worker->listeners_len = share->present_len;
}

static void close_others(struct worker *worker, struct listener *const *kept, size_t len)
{
	for (size_t i = 0; i < worker->listeners_len; i++) {
		bool stays = false;

		for (size_t j = 0; j < len && !stays; j++)
			stays = kept[j] == worker->listeners[i];
		if (stays)
			continue;
		listener_accept_rest(worker->listeners[i]);
		worker_drop_listener(worker, worker->listeners[i]);
	}
}

/* Further sockets of addresses that stay, behind the first of each. How many there are in all. */
static size_t add_others(struct share *share)
{
	const struct turnover *turnover = share->turnover;
	size_t len = turnover->next->listeners_len;

	for (size_t i = turnover->now->listeners_len; i < share->present_len; i++)
		if (share->worker->listeners[i]->generation == turnover->next)
			share->final[len++] = share->worker->listeners[i];
	return len;
}

void turnover_commit_share(struct share *share)
{
	struct turnover *turnover = share->turnover;
	struct generation *next = turnover->next;
	struct worker *worker = share->worker;
	size_t len;

	if (share->opened)
		return;
	for (size_t i = 0; i < next->listeners_len; i++) {
		share->final[i] = share->fresh[i];
		share->fresh[i] = NULL;
		if (turnover->was[i] == TURNOVER_NOT_THERE)
			continue;
		share->final[i] = worker->listeners[turnover->was[i]];
		follow_all(share, turnover->was[i], next, i);
	}
	len = add_others(share);
	close_others(worker, share->final, len);
	set_list(worker, &share->final, len);
	share->callers = worker_adopt(worker, next, share->callers);
}
