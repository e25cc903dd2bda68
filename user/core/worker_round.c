// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker_round.h"

#include <errno.h>
#include <poll.h>

#include "base/timed_wait.h"
#include "core/server.h"

#define LOOK_MS 1

static bool all_held(const struct server *server)
{
	for (size_t i = 0; i < server->workers_len; i++)
		if (!worker_is_held(&server->workers[i]))
			return false;
	return true;
}

int worker_round_hold(struct server *server, int timeout_ms)
{
	const uint64_t until_us = worker_clock_us() + (uint64_t)timeout_ms * 1000;

	for (size_t i = 0; i < server->workers_len; i++)
		worker_hold(&server->workers[i]);
	while (!all_held(server)) {
		if (worker_clock_us() > until_us)
			return -ETIMEDOUT;
		poll(NULL, 0, LOOK_MS);
	}
	return 0;
}

void worker_round_release(struct server *server)
{
	for (size_t i = 0; i < server->workers_len; i++)
		worker_release(&server->workers[i]);
}

void worker_round_init(struct worker_round *round, void (*free)(struct worker_round *round))
{
	pthread_mutex_init(&round->lock, NULL);
	pthread_cond_init(&round->arrived, NULL);
	round->references = 1;
	round->missing = 0;
	round->free = free;
}

static void free_round(struct worker_round *round)
{
	pthread_cond_destroy(&round->arrived);
	pthread_mutex_destroy(&round->lock);
	round->free(round);
}

/* Who has waited for all is the only one that has it then: reference and arrival go together. */
static void run_errand(struct worker_post *post)
{
	struct worker_errand *errand = (struct worker_errand *)post;
	struct worker_round *round = errand->round;
	size_t left;

	errand->run(errand);
	pthread_mutex_lock(&round->lock);
	round->missing--;
	left = --round->references;
	pthread_cond_signal(&round->arrived);
	pthread_mutex_unlock(&round->lock);
	if (!left)
		free_round(round);
}

void worker_round_send(struct worker_round *round, struct worker_errand *errand)
{
	errand->post.run = run_errand;
	errand->round = round;
	pthread_mutex_lock(&round->lock);
	round->references++;
	round->missing++;
	pthread_mutex_unlock(&round->lock);
	worker_post(errand->worker, &errand->post);
}

int worker_round_wait(struct worker_round *round, unsigned int timeout_s)
{
	const struct timespec until = timed_wait_moment(timeout_s * 1000ULL);
	int err = 0;

	pthread_mutex_lock(&round->lock);
	while (round->missing && !err)
		err = timed_wait(&round->arrived, &round->lock, &until);
	pthread_mutex_unlock(&round->lock);
	return -err;
}

bool worker_round_is_over(struct worker_round *round)
{
	bool over;

	pthread_mutex_lock(&round->lock);
	over = !round->missing;
	pthread_mutex_unlock(&round->lock);
	return over;
}

void worker_round_put(struct worker_round *round)
{
	size_t left;

	pthread_mutex_lock(&round->lock);
	left = --round->references;
	pthread_mutex_unlock(&round->lock);
	if (!left)
		free_round(round);
}
