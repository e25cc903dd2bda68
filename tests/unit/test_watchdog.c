// SPDX-License-Identifier: GPL-2.0-or-later
/* What a service manager hears: a socket of the test's own stands for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>

#include "core/notify.h"
#include "core/watchdog.h"
#include "notify_rig.h"
#include "worker_rig.h"

#define PATIENCE 10000 /* ms */

static int open_manager(void **state)
{
	*state = calloc(1, sizeof(struct notify_rig));
	assert_non_null(*state);
	notify_rig_open(*state);
	return 0;
}

static int close_manager(void **state)
{
	notify_rig_close(*state);
	free(*state);
	return 0;
}

/* As the main thread does it: wait until there is something to do, and do it. */
static void wait_and_run(struct watchdog *watchdog)
{
	int wait_ms = watchdog_wait_ms(watchdog);

	assert_true(wait_ms >= 0 && wait_ms <= 240 / 3);
	poll(NULL, 0, wait_ms);
	watchdog_run(watchdog);
}

static void hear(const struct notify_rig *manager, struct worker_rig *rig,
		 struct watchdog *watchdog)
{
	uint64_t until = worker_clock_us() + (uint64_t)PATIENCE * 1000;

	while (!notify_rig_heard(manager)) {
		assert_true(worker_clock_us() < until);
		wait_and_run(watchdog);
		worker_rig_turn(rig, RIG_WORKERS);
	}
}

static bool is_built_in(void)
{
#ifdef KSPLIT_SYSTEMD
	return true;
#else
	print_message("built without libsystemd\n");
	return false;
#endif
}

static void it_hears_again_and_again(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct watchdog *watchdog;

	if (is_built_in()) {
		assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
		assert_non_null(watchdog);
		for (int i = 0; i < 4; i++)
			hear(*state, rig, watchdog);
		watchdog_free(watchdog);
	}
	worker_rig_close(rig);
}

static void it_hears_nothing_while_one_hangs(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct watchdog *watchdog;
	uint64_t until;
	size_t looks = 0;

	if (is_built_in()) {
		assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
		hear(*state, rig, watchdog);
		wait_and_run(watchdog); /* of turns that were made before */
		notify_rig_heard(*state);
		until = worker_clock_us() + 2 * strtoull(NOTIFY_RIG_US, NULL, 10);
		while (worker_clock_us() < until) {
			worker_rig_turn(rig, 1);
			wait_and_run(watchdog);
			assert_false(notify_rig_heard(*state));
			looks++;
		}
		assert_true(looks > 1);
		hear(*state, rig, watchdog);
		watchdog_free(watchdog);
	}
	worker_rig_close(rig);
}

/* Other reasons to wake the main thread are not its time. */
static void it_is_not_told_before_its_time(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct watchdog *watchdog;

	if (is_built_in()) {
		setenv("WATCHDOG_USEC", "3600000000", 1);
		assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
		for (size_t i = 0; i < RIG_WORKERS; i++)
			atomic_store(&rig->workers[i].turns, 1);
		watchdog_run(watchdog);
		assert_true(notify_rig_heard(*state));
		assert_int_equal(worker_rig_turn(rig, RIG_WORKERS), RIG_WORKERS);
		assert_true(watchdog_wait_ms(watchdog) > 1000);
		watchdog_run(watchdog);
		assert_false(notify_rig_heard(*state));
		assert_int_equal(worker_rig_turn(rig, RIG_WORKERS), 0);
		watchdog_free(watchdog);
	}
	worker_rig_close(rig);
}

static void who_is_not_asked_says_nothing(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct watchdog *watchdog;
	char pid[20];

	snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
	assert_null(watchdog);
	assert_int_equal(watchdog_wait_ms(NULL), -1);
	watchdog_run(NULL);
	watchdog_free(NULL);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
	assert_null(watchdog);
	setenv("WATCHDOG_USEC", "rubbish", 1);
	assert_int_equal(watchdog_new(&rig->server, &watchdog), 0);
	assert_null(watchdog);
	assert_false(notify_rig_heard(*state));
	worker_rig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_hears_again_and_again, open_manager,
						close_manager),
		cmocka_unit_test_setup_teardown(it_hears_nothing_while_one_hangs, open_manager,
						close_manager),
		cmocka_unit_test_setup_teardown(it_is_not_told_before_its_time, open_manager,
						close_manager),
		cmocka_unit_test_setup_teardown(who_is_not_asked_says_nothing, open_manager,
						close_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
