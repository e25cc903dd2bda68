// SPDX-License-Identifier: GPL-2.0-or-later
/* Workers as a pulse sees them: their counts of turns, and whether they were woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/pulse.h"
#include "core/server.h"

#define WORKERS 3

struct rig {
	struct worker workers[WORKERS];
	struct server server;
	struct pulse *pulse;
};

static struct rig *open_rig(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	for (size_t i = 0; i < WORKERS; i++) {
		rig->workers[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(rig->workers[i].wake_fd >= 0);
	}
	rig->server.workers = rig->workers;
	rig->server.workers_len = WORKERS;
	assert_int_equal(pulse_new(&rig->server, &rig->pulse), 0);
	return rig;
}

static void close_rig(struct rig *rig)
{
	for (size_t i = 0; i < WORKERS; i++)
		close(rig->workers[i].wake_fd);
	pulse_free(rig->pulse);
	free(rig);
}

/* As if each were woken: all but one make a turn. WORKERS: none is left out. */
static void turn_all_but(struct rig *rig, size_t held)
{
	for (size_t i = 0; i < WORKERS; i++) {
		uint64_t count;

		/* Each look wakes all of them, whatever it has seen. */
		assert_int_equal(read(rig->workers[i].wake_fd, &count, sizeof(count)),
				 sizeof(count));
		if (i != held)
			atomic_fetch_add(&rig->workers[i].turns, 1);
	}
}

static void workers_that_turn(void **state)
{
	struct rig *rig = open_rig();

	(void)state;
	assert_false(pulse_look(rig->pulse)); /* nobody has begun yet */
	for (int i = 0; i < 5; i++) {
		turn_all_but(rig, WORKERS);
		assert_true(pulse_look(rig->pulse));
	}
	/* Woken, but no turn made since. */
	assert_false(pulse_look(rig->pulse));
	close_rig(rig);
}

static void any_one_that_hangs(void **state)
{
	(void)state;
	for (size_t held = 0; held < WORKERS; held++) {
		struct rig *rig = open_rig();

		pulse_look(rig->pulse);
		turn_all_but(rig, WORKERS);
		assert_true(pulse_look(rig->pulse));
		for (int i = 0; i < 3; i++) {
			turn_all_but(rig, held);
			assert_false(pulse_look(rig->pulse));
		}
		turn_all_but(rig, WORKERS);
		assert_true(pulse_look(rig->pulse));
		close_rig(rig);
	}
}

static void those_that_ended_do_not_hang(void **state)
{
	struct rig *rig = open_rig();

	(void)state;
	pulse_look(rig->pulse);
	turn_all_but(rig, 1);
	assert_false(pulse_look(rig->pulse));
	atomic_store(&rig->workers[1].ended, true);
	assert_true(pulse_look(rig->pulse));
	close_rig(rig);
}

/* What one has seen is no news for it, but for another. */
static void each_remembers_for_itself(void **state)
{
	struct rig *rig = open_rig();
	struct pulse *other;

	(void)state;
	assert_int_equal(pulse_new(&rig->server, &other), 0);
	pulse_look(rig->pulse);
	turn_all_but(rig, WORKERS);
	assert_true(pulse_look(rig->pulse));
	assert_false(pulse_look(rig->pulse));
	assert_true(pulse_look(other));
	assert_false(pulse_look(other));
	pulse_free(other);
	pulse_free(NULL);
	close_rig(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_that_turn),
		cmocka_unit_test(any_one_that_hangs),
		cmocka_unit_test(those_that_ended_do_not_hang),
		cmocka_unit_test(each_remembers_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
