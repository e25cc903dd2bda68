// SPDX-License-Identifier: GPL-2.0-or-later
/* What a service manager hears: a socket of the test's own stands for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/notify.h"
#include "core/watchdog.h"
#include "worker_rig.h"

#define TIME_US	 "240000" /* what the manager gives */
#define PATIENCE 10000	  /* ms */

struct manager {
	char folder[64];
	struct sockaddr_un address;
	int fd;
};

static int open_manager(void **state)
{
	struct manager *manager = calloc(1, sizeof(*manager));

	assert_non_null(manager);
	snprintf(manager->folder, sizeof(manager->folder), "/tmp/ksplit-watchdog-XXXXXX");
	assert_non_null(mkdtemp(manager->folder));
	manager->address.sun_family = AF_UNIX;
	snprintf(manager->address.sun_path, sizeof(manager->address.sun_path), "%s/notify",
		 manager->folder);
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager->fd >= 0);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&manager->address,
			      sizeof(manager->address)), 0);
	setenv("NOTIFY_SOCKET", manager->address.sun_path, 1);
	setenv("WATCHDOG_USEC", TIME_US, 1);
	unsetenv("WATCHDOG_PID");
	*state = manager;
	return 0;
}

static int close_manager(void **state)
{
	struct manager *manager = *state;

	close(manager->fd);
	unlink(manager->address.sun_path);
	rmdir(manager->folder);
	free(manager);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

/* Has it heard that we are alive? It hears nothing else. */
static bool heard(const struct manager *manager)
{
	char text[200] = "";
	ssize_t n = recv(manager->fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return false;
	assert_string_equal(text, "WATCHDOG=1");
	return true;
}

/* As the main thread does it: wait until there is something to do, and do it. */
static void wait_and_run(struct watchdog *watchdog)
{
	int wait_ms = watchdog_wait_ms(watchdog);

	assert_true(wait_ms >= 0 && wait_ms <= 240 / 3);
	poll(NULL, 0, wait_ms);
	watchdog_run(watchdog);
}

static void hear(const struct manager *manager, struct worker_rig *rig, struct watchdog *watchdog)
{
	uint64_t until = worker_clock_us() + (uint64_t)PATIENCE * 1000;

	while (!heard(manager)) {
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
		heard(*state);
		until = worker_clock_us() + 2 * strtoull(TIME_US, NULL, 10);
		while (worker_clock_us() < until) {
			worker_rig_turn(rig, 1);
			wait_and_run(watchdog);
			assert_false(heard(*state));
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
		assert_true(heard(*state));
		assert_int_equal(worker_rig_turn(rig, RIG_WORKERS), RIG_WORKERS);
		assert_true(watchdog_wait_ms(watchdog) > 1000);
		watchdog_run(watchdog);
		assert_false(heard(*state));
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
	assert_false(heard(*state));
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
