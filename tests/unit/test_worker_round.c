// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done on all workers' threads: by each once, waited for, and given up on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <semaphore.h>

#include "server_rig.h"

#define PATIENCE_S  60
#define PATIENCE_MS 60000

static atomic_int freed;

struct errands {
	struct worker_round round; /* first */
	sem_t hold;                /* the first worker's, where it is to hang */
	atomic_int runs[SERVER_RIG_WORKERS];
	atomic_bool strange; /* on another thread than the worker's */
	struct worker_errand errand[SERVER_RIG_WORKERS];
};

static void free_errands(struct worker_round *round)
{
	struct errands *errands = (struct errands *)round;

	sem_destroy(&errands->hold);
	free(errands);
	freed++;
}

static void run(struct worker_errand *errand)
{
	struct errands *errands = (struct errands *)errand->round;

	if (!pthread_equal(pthread_self(), errand->worker->thread))
		errands->strange = true;
	errands->runs[errand->worker->index]++;
}

static void run_held(struct worker_errand *errand)
{
	struct errands *errands = (struct errands *)errand->round;

	while (errand->worker->index == 0 && sem_wait(&errands->hold) && errno == EINTR)
		;
	run(errand);
}

static struct errands *send_all(struct server *server, void (*what)(struct worker_errand *errand))
{
	struct errands *errands = calloc(1, sizeof(*errands));

	assert_non_null(errands);
	freed = 0;
	sem_init(&errands->hold, 0, 0);
	worker_round_init(&errands->round, free_errands);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		errands->errand[i].worker = &server->workers[i];
		errands->errand[i].run = what;
		worker_round_send(&errands->round, &errands->errand[i]);
	}
	return errands;
}

static int open_server(void **state)
{
	*state = server_rig_open("{\"listen\": \"127.0.0.1:0\", \"to\": \"a.test:1\"}");
	return 0;
}

static int close_server(void **state)
{
	server_rig_close(*state);
	return 0;
}

static void each_does_its_errand(void **state)
{
	struct server_rig *rig = *state;
	struct errands *errands = send_all(&rig->server, run);

	assert_int_equal(worker_round_wait(&errands->round, PATIENCE_S), 0);
	assert_true(worker_round_is_over(&errands->round));
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++)
		assert_int_equal(errands->runs[i], 1);
	assert_false(errands->strange);
	/* A second time, with the same memory. */
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++)
		worker_round_send(&errands->round, &errands->errand[i]);
	assert_int_equal(worker_round_wait(&errands->round, PATIENCE_S), 0);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++)
		assert_int_equal(errands->runs[i], 2);
	worker_round_put(&errands->round);
	assert_int_equal(freed, 1); /* nobody else has it any more */
}

static void nothing_sent_is_nothing_to_wait_for(void **state)
{
	struct errands *errands = calloc(1, sizeof(*errands));

	(void)state;
	assert_non_null(errands);
	freed = 0;
	sem_init(&errands->hold, 0, 0);
	worker_round_init(&errands->round, free_errands);
	assert_true(worker_round_is_over(&errands->round));
	assert_int_equal(worker_round_wait(&errands->round, PATIENCE_S), 0);
	worker_round_put(&errands->round);
	assert_int_equal(freed, 1);
}

/* Whoever gives up leaves it to the worker, which frees it when it moves again. */
static void one_that_hangs_can_be_given_up_on(void **state)
{
	struct server_rig *rig = *state;
	struct errands *errands = send_all(&rig->server, run_held);

	for (int ms = 0; !errands->runs[1] && ms < PATIENCE_MS; ms++)
		poll(NULL, 0, 1);
	assert_int_equal(errands->runs[1], 1); /* the other one does not */
	assert_int_equal(worker_round_wait(&errands->round, 0), -ETIMEDOUT);
	assert_int_equal(worker_round_wait(&errands->round, 1), -ETIMEDOUT);
	assert_false(worker_round_is_over(&errands->round));
	worker_round_put(&errands->round);
	poll(NULL, 0, 20);
	assert_int_equal(freed, 0);
	sem_post(&errands->hold); /* it waits for that, so the object is there */
	for (int ms = 0; !freed && ms < PATIENCE_MS; ms++)
		poll(NULL, 0, 1);
	assert_int_equal(freed, 1);
}

static void all_are_held_and_released(void **state)
{
	struct server_rig *rig = *state;

	assert_int_equal(worker_round_hold(&rig->server, PATIENCE_MS), 0);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++)
		assert_true(worker_is_held(&rig->server.workers[i]));
	worker_round_release(&rig->server);
	for (int ms = 0; worker_is_held(&rig->server.workers[1]) && ms < PATIENCE_MS; ms++)
		poll(NULL, 0, 1);
	assert_false(worker_is_held(&rig->server.workers[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_does_its_errand),
		cmocka_unit_test(nothing_sent_is_nothing_to_wait_for),
		cmocka_unit_test(one_that_hangs_can_be_given_up_on),
		cmocka_unit_test(all_are_held_and_released),
	};

	return cmocka_run_group_tests_name("worker_round", tests, open_server, close_server);
}
