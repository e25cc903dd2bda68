// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker_accept.h"

#include <string.h>

#include "core/listener.h"
#include "core/log.h"
#include "core/worker.h"

#define PAUSE_TOLD_US 60000000

static void accept_all_off(struct worker *worker)
{
	for (size_t i = 0; i < worker->listeners_len; i++)
		listener_accept_off(worker->listeners[i]);
}

/* A listener that epoll does not take now (memory, its limit of watches) is tried again later. */
void worker_accept_begin(struct worker *worker)
{
	int err = 0;

	if (worker->accept_held)
		return;
	for (size_t i = 0; i < worker->listeners_len && !err; i++)
		err = listener_accept_on(worker->listeners[i]);
	if (!err)
		return;
	accept_all_off(worker);
	worker_pause_accept(worker, strerror(-err));
}

void worker_accept_on(struct worker *worker, struct listener *listener)
{
	int err = 0;

	if (!worker->accept_paused && !worker->accept_held && !worker->draining)
		err = listener_accept_on(listener);

	if (err)
		worker_pause_accept(worker, strerror(-err));
}

void worker_pause_accept(struct worker *worker, const char *why)
{
	if (worker->accept_paused || worker->draining)
		return;
	/* A shortage goes on and off many times a second: one line a minute tells of it. */
	if (!worker->pause_told_us || worker->now_us - worker->pause_told_us > PAUSE_TOLD_US) {
		log_warn("worker %u: %s with %zu connections; new ones wait", worker->index, why,
			 worker->conns_len);
		worker->pause_told_us = worker->now_us;
	}
	stats_add(&worker->stats, STAT_ACCEPT_PAUSED, 1);
	worker->accept_paused = true;
	accept_all_off(worker);
	deadline_set(&worker->deadlines, &worker->accept_pause, DEADLINE_ACCEPT_PAUSE,
		     worker->now_us);
}

void worker_resume_accept(struct worker *worker)
{
	if (!worker->accept_paused || worker->draining || worker->conns_len >= worker->conns_max)
		return;
	worker->accept_paused = false;
	deadline_clear(&worker->deadlines, &worker->accept_pause);
	worker_accept_begin(worker);
}

/* Descriptors may have come free elsewhere in the process or the system. */
void worker_accept_pause_expired(struct deadline *deadline)
{
	struct worker *worker =
		(void *)((char *)deadline - offsetof(struct worker, accept_pause));

	worker_resume_accept(worker);
	if (worker->accept_paused)
		deadline_set(&worker->deadlines, deadline, DEADLINE_ACCEPT_PAUSE, worker->now_us);
}

static void close_listeners(struct worker *worker)
{
	for (size_t i = 0; i < worker->listeners_len; i++)
		listener_close(worker->listeners[i]);
}

void worker_accept_end(struct worker *worker)
{
	/* Clients that the kernel has accepted already are served, not reset. */
	for (size_t i = 0; i < worker->listeners_len && !worker->draining; i++)
		listener_accept_rest(worker->listeners[i]);
	worker->draining = true;
	deadline_clear(&worker->deadlines, &worker->accept_pause);
	close_listeners(worker);
}

void worker_accept_hold(struct worker *worker)
{
	worker->accept_held = true;
	accept_all_off(worker);
}

void worker_accept_release(struct worker *worker)
{
	if (!worker->accept_held)
		return;
	worker->accept_held = false;
	if (!worker->accept_paused && !worker->draining)
		worker_accept_begin(worker);
}
