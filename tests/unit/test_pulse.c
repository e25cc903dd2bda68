// SPDX-License-Identifier: GPL-2.0-or-later
/* Workers as a pulse sees them: their counts of turns, and whether they were woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/pulse.h"
#include "worker_rig.h"

static struct pulse *make_pulse(const struct worker_rig *rig)
{
	struct pulse *pulse;

	assert_int_equal(pulse_new(&rig->server, &pulse), 0);
	return pulse;
}

/* Each look wakes all of them, whatever it has seen. */
static void turn_all_but(struct worker_rig *rig, size_t held)
{
	assert_int_equal(worker_rig_turn(rig, held), RIG_WORKERS);
}

static void workers_that_turn(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct pulse *pulse = make_pulse(rig);

	(void)state;
	assert_false(pulse_look(pulse)); /* nobody has begun yet */
	for (int i = 0; i < 5; i++) {
		turn_all_but(rig, RIG_WORKERS);
		assert_true(pulse_look(pulse));
	}
	/* Woken, but no turn made since. */
	assert_false(pulse_look(pulse));
	pulse_free(pulse);
	worker_rig_close(rig);
}

static void any_one_that_hangs(void **state)
{
	(void)state;
	for (size_t held = 0; held < RIG_WORKERS; held++) {
		struct worker_rig *rig = worker_rig_open();
		struct pulse *pulse = make_pulse(rig);

		pulse_look(pulse);
		turn_all_but(rig, RIG_WORKERS);
		assert_true(pulse_look(pulse));
		for (int i = 0; i < 3; i++) {
			turn_all_but(rig, held);
			assert_false(pulse_look(pulse));
		}
		turn_all_but(rig, RIG_WORKERS);
		assert_true(pulse_look(pulse));
		pulse_free(pulse);
		worker_rig_close(rig);
	}
}

static void those_that_ended_do_not_hang(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct pulse *pulse = make_pulse(rig);

	(void)state;
	pulse_look(pulse);
	turn_all_but(rig, 1);
	assert_false(pulse_look(pulse));
	atomic_store(&rig->workers[1].ended, true);
	assert_true(pulse_look(pulse));
	pulse_free(pulse);
	worker_rig_close(rig);
}

/* What one has seen is no news for it, but for another. */
static void each_remembers_for_itself(void **state)
{
	struct worker_rig *rig = worker_rig_open();
	struct pulse *pulse = make_pulse(rig);
	struct pulse *other = make_pulse(rig);

	(void)state;
	pulse_look(pulse);
	turn_all_but(rig, RIG_WORKERS);
	assert_true(pulse_look(pulse));
	assert_false(pulse_look(pulse));
	assert_true(pulse_look(other));
	assert_false(pulse_look(other));
	pulse_free(other);
	pulse_free(NULL);
	pulse_free(pulse);
	worker_rig_close(rig);
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
