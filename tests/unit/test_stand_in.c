// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who speaks for the main thread while it works: the service manager (a socket of the test's own
 * stands for it) hears that ksplitd is alive, as long as the workers move.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>

#include "core/stand_in.h"
#include "core/watchdog.h"
#include "notify_rig.h"
#include "worker_rig.h"

#define PATIENCE 30000    /* ms; an emulated processor is slow */
#define A_WHILE  400      /* ms: several times what it takes to be heard */
#define STALE    2        /* words of what was so before: one said, one seen and still to be said */

struct office {
	struct notify_rig manager;
	struct worker_rig *rig;
};

static int open_office(void **state)
{
	struct office *office = calloc(1, sizeof(*office));

	assert_non_null(office);
	notify_rig_open(&office->manager);
	office->rig = worker_rig_open();
	assert_int_equal(watchdog_new(&office->rig->server, &office->rig->server.watchdog), 0);
	*state = office;
	return 0;
}

static int close_office(void **state)
{
	struct office *office = *state;

	watchdog_free(office->rig->server.watchdog);
	worker_rig_close(office->rig);
	notify_rig_close(&office->manager);
	free(office);
	return 0;
}

/* How often it was told that we are alive, so far. */
static size_t heard(const struct office *office)
{
	size_t times = 0;

	while (notify_rig_heard(&office->manager))
		times++;
	return times;
}

/* The main thread does nothing for a while but to move the workers. */
static size_t heard_within(struct office *office, int ms, size_t enough, size_t held)
{
	size_t times = 0;

	for (; ms > 0 && times < enough; ms -= 10) {
		worker_rig_turn(office->rig, held);
		poll(NULL, 0, 10);
		times += heard(office);
	}
	return times;
}

static bool is_built_in(const struct office *office)
{
	if (office->rig->server.watchdog)
		return true;
#ifdef KSPLIT_SYSTEMD
	fail_msg("no watchdog");
#endif
	print_message("built without libsystemd\n");
	return false;
}

static void it_speaks_until_the_main_thread_is_back(void **state)
{
	struct office *office = *state;
	struct stand_in *stand_in;

	if (!is_built_in(office))
		return;
	assert_int_equal(heard_within(office, A_WHILE, 1, RIG_WORKERS), 0);
	for (int i = 0; i < 2; i++) {
		stand_in = stand_in_begin(&office->rig->server);
		assert_non_null(stand_in);
		assert_true(heard_within(office, PATIENCE, 3, RIG_WORKERS) >= 3);
		stand_in_end(stand_in);
		heard(office);
		assert_int_equal(heard_within(office, A_WHILE, 1, RIG_WORKERS), 0);
	}
}

/* A worker that hangs is not covered up. */
static void it_does_not_lie(void **state)
{
	struct office *office = *state;
	struct stand_in *stand_in;

	if (!is_built_in(office))
		return;
	stand_in = stand_in_begin(&office->rig->server);
	assert_non_null(stand_in);
	assert_true(heard_within(office, PATIENCE, 1, RIG_WORKERS) >= 1);
	assert_true(heard_within(office, 2 * A_WHILE, SIZE_MAX, 1) <= STALE);
	assert_true(heard_within(office, PATIENCE, 1, RIG_WORKERS) >= 1);
	stand_in_end(stand_in);
}

static void with_nobody_to_tell_it_does_nothing(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct stand_in *stand_in = stand_in_begin(&rig->server);

	(void)state;
	assert_non_null(stand_in);
	poll(NULL, 0, 200);
	assert_int_equal(worker_rig_turn(rig, RIG_WORKERS), 0);
	stand_in_end(stand_in);
	stand_in_end(stand_in_begin(&rig->server));
	stand_in_end(NULL);
	worker_rig_close(rig);
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

/* Signals are for the main thread: one waits until that one takes it. */
static void it_takes_no_signals(void **state)
{
	const struct sigaction catch = {.sa_handler = on_signal};
	struct worker_rig *rig = worker_rig_open();
	struct sigaction old_action;
	struct stand_in *stand_in;
	sigset_t before, after, usr1, pending;

	(void)state;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	assert_int_equal(sigaction(SIGUSR1, &catch, &old_action), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	stand_in = stand_in_begin(&rig->server);
	assert_non_null(stand_in);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &after), 0);
	for (int number = 1; number < 32; number++)
		assert_int_equal(sigismember(&after, number), sigismember(&before, number));
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	poll(NULL, 0, 200);
	assert_int_equal(caught, 0);
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&pending, SIGUSR1), 1);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	assert_int_equal(caught, SIGUSR1);
	stand_in_end(stand_in);
	sigaction(SIGUSR1, &old_action, NULL);
	worker_rig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_speaks_until_the_main_thread_is_back,
						open_office, close_office),
		cmocka_unit_test_setup_teardown(it_does_not_lie, open_office, close_office),
		cmocka_unit_test(with_nobody_to_tell_it_does_nothing),
		cmocka_unit_test(it_takes_no_signals),
	};

	return cmocka_run_group_tests_name("stand_in", tests, NULL, NULL);
}
