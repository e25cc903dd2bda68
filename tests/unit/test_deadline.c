// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/deadline.h"

#define MANY 200

static const uint32_t lengths_ms[DEADLINE_KINDS] = {
	[DEADLINE_PEEK] = 10,          [DEADLINE_RESOLVE] = 20,       [DEADLINE_CONNECT] = 30,
	[DEADLINE_IDLE] = 1000,        [DEADLINE_CLOSE] = UINT32_MAX, [DEADLINE_SETTLE] = 5,
	[DEADLINE_ACCEPT_PAUSE] = 100, [DEADLINE_SILENCE] = 1,        [DEADLINE_PLAIN] = 300,
	[DEADLINE_PLAIN_HELLO] = 20,
};

/* Subject of the callbacks: what they are to do, and what they saw. */
struct timer {
	struct deadline deadline; /* first */
	int fired;
	struct deadlines *again; /* set itself again */
	uint64_t now_us;
	struct timer *clears; /* takes another out */
};

static void on_expired(struct deadline *deadline)
{
	struct timer *timer = (struct timer *)deadline;

	assert_false(deadline->set);
	timer->fired++;
	if (timer->clears)
		deadline_clear(timer->again, &timer->clears->deadline);
	else if (timer->again)
		deadline_set(timer->again, deadline, deadline->kind, timer->now_us);
}

static struct timer new_timer(void)
{
	return (struct timer){.deadline.expired = on_expired};
}

static void test_empty(void **state)
{
	struct deadlines deadlines;

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	assert_int_equal(deadlines_next_ms(&deadlines, 0), -1);
	deadlines_run(&deadlines, UINT64_MAX);
}

static void test_one(void **state)
{
	struct deadlines deadlines;
	struct timer timer = new_timer();

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	deadline_clear(&deadlines, &timer.deadline); /* not set: nothing happens */
	deadline_set(&deadlines, &timer.deadline, DEADLINE_PEEK, 1000);
	assert_int_equal(deadlines_next_ms(&deadlines, 1000), 10);
	/* Rounded up: a wait that ends too early would spin. */
	assert_int_equal(deadlines_next_ms(&deadlines, 1001), 10);
	assert_int_equal(deadlines_next_ms(&deadlines, 10999), 1);
	deadlines_run(&deadlines, 10999);
	assert_int_equal(timer.fired, 0);
	assert_int_equal(deadlines_next_ms(&deadlines, 11000), 0);
	assert_int_equal(deadlines_next_ms(&deadlines, 99999), 0);
	deadlines_run(&deadlines, 11000);
	assert_int_equal(timer.fired, 1);
	assert_int_equal(deadlines_next_ms(&deadlines, 11000), -1);
	deadlines_run(&deadlines, 99999);
	assert_int_equal(timer.fired, 1);
}

/* Moved forward, changed to another kind, taken away. */
static void test_set_again(void **state)
{
	struct deadlines deadlines;
	struct timer timer = new_timer();

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	deadline_set(&deadlines, &timer.deadline, DEADLINE_PEEK, 0);
	deadline_set(&deadlines, &timer.deadline, DEADLINE_PEEK, 5000);
	deadlines_run(&deadlines, 14999);
	assert_int_equal(timer.fired, 0);
	deadline_set(&deadlines, &timer.deadline, DEADLINE_CONNECT, 5000);
	assert_int_equal(deadlines_next_ms(&deadlines, 5000), 30);
	deadlines_run(&deadlines, 34999);
	assert_int_equal(timer.fired, 0);
	deadline_clear(&deadlines, &timer.deadline);
	deadline_clear(&deadlines, &timer.deadline);
	deadlines_run(&deadlines, 99999999);
	assert_int_equal(timer.fired, 0);
	assert_int_equal(deadlines_next_ms(&deadlines, 0), -1);
}

/* The nearest over all kinds, whichever was set first. */
static void test_next_of_kinds(void **state)
{
	struct deadlines deadlines;
	struct timer idle = new_timer(), settle = new_timer(), close = new_timer();

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	deadline_set(&deadlines, &close.deadline, DEADLINE_CLOSE, 0);
	assert_int_equal(deadlines_next_ms(&deadlines, 0), INT_MAX);
	deadline_set(&deadlines, &idle.deadline, DEADLINE_IDLE, 0);
	assert_int_equal(deadlines_next_ms(&deadlines, 0), 1000);
	deadline_set(&deadlines, &settle.deadline, DEADLINE_SETTLE, 500000);
	assert_int_equal(deadlines_next_ms(&deadlines, 500000), 5);
	deadlines_run(&deadlines, 505000);
	assert_int_equal(settle.fired, 1);
	assert_int_equal(deadlines_next_ms(&deadlines, 505000), 495);
	deadlines_run(&deadlines, 1000000);
	assert_int_equal(idle.fired, 1);
	assert_int_equal(close.fired, 0);
}

/* A callback that starts its own deadline again is called once a run. */
static void test_again_from_callback(void **state)
{
	struct deadlines deadlines;
	struct timer timer = new_timer();

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	timer.again = &deadlines;
	deadline_set(&deadlines, &timer.deadline, DEADLINE_ACCEPT_PAUSE, 0);
	for (int i = 1; i <= 5; i++) {
		timer.now_us = 100000 * (uint64_t)i;
		deadlines_run(&deadlines, timer.now_us);
		assert_int_equal(timer.fired, i);
		assert_int_equal(deadlines_next_ms(&deadlines, timer.now_us), 100);
	}
}

/* A callback that ends its neighbour: that one is not called any more, though it was due. */
static void test_clear_from_callback(void **state)
{
	struct deadlines deadlines;
	struct timer first = new_timer(), second = new_timer(), third = new_timer();

	(void)state;
	deadlines_init(&deadlines, lengths_ms);
	first.again = &deadlines;
	first.clears = &second;
	deadline_set(&deadlines, &first.deadline, DEADLINE_PEEK, 0);
	deadline_set(&deadlines, &second.deadline, DEADLINE_PEEK, 0);
	deadline_set(&deadlines, &third.deadline, DEADLINE_PEEK, 0);
	deadlines_run(&deadlines, 10000);
	assert_int_equal(first.fired, 1);
	assert_int_equal(second.fired, 0);
	assert_int_equal(third.fired, 1);
}

/* Beside a plain model: at each moment exactly those are called whose time has come. */
static void test_model(void **state)
{
	static struct timer timers[MANY];
	uint64_t due_us[MANY] = {0}, now_us = 0;
	int expected[MANY] = {0};
	struct deadlines deadlines;

	(void)state;
	srandom(5);
	deadlines_init(&deadlines, lengths_ms);
	for (int i = 0; i < MANY; i++)
		timers[i] = new_timer();
	for (int step = 0; step < 20000; step++) {
		int i = (int)(random() % MANY);
		uint64_t next = UINT64_MAX;

		if (random() % 8) {
			enum deadline_kind kind = (enum deadline_kind)(random() % 3);

			deadline_set(&deadlines, &timers[i].deadline, kind, now_us);
			due_us[i] = now_us + lengths_ms[kind] * 1000;
		} else {
			deadline_clear(&deadlines, &timers[i].deadline);
			due_us[i] = 0;
		}
		now_us += (uint64_t)random() % 400;
		for (int k = 0; k < MANY; k++) {
			if (due_us[k] && due_us[k] <= now_us) {
				expected[k]++;
				due_us[k] = 0;
			}
			if (due_us[k] && due_us[k] < next)
				next = due_us[k];
		}
		deadlines_run(&deadlines, now_us);
		for (int k = 0; k < MANY; k++)
			assert_int_equal(timers[k].fired, expected[k]);
		assert_int_equal(deadlines_next_ms(&deadlines, now_us),
				 next == UINT64_MAX ? -1 : (int)((next - now_us + 999) / 1000));
	}
}

/* Other lengths while some are under way: none ends later than it would have, and order stays. */
static void test_change(void **state)
{
	uint32_t other[DEADLINE_KINDS];
	struct timer early = new_timer(), late = new_timer(), next = new_timer();
	struct deadlines deadlines;

	(void)state;
	memcpy(other, lengths_ms, sizeof(other));
	deadlines_init(&deadlines, lengths_ms);
	deadline_set(&deadlines, &early.deadline, DEADLINE_IDLE, 0);
	deadline_set(&deadlines, &late.deadline, DEADLINE_IDLE, 500000);
	other[DEADLINE_IDLE] = 5000;
	deadlines_change(&deadlines, other, 600000);
	assert_int_equal(deadlines_next_ms(&deadlines, 600000), 400);
	other[DEADLINE_IDLE] = 450;
	deadlines_change(&deadlines, other, 600000);
	deadline_set(&deadlines, &next.deadline, DEADLINE_IDLE, 600001);
	deadlines_run(&deadlines, 999999);
	assert_int_equal(early.fired + late.fired + next.fired, 0);
	deadlines_run(&deadlines, 1000000);
	assert_int_equal(early.fired, 1);
	assert_int_equal(late.fired, 0);
	deadlines_run(&deadlines, 1050000);
	assert_int_equal(late.fired, 1);
	assert_int_equal(next.fired, 0);
	deadlines_run(&deadlines, 1050001);
	assert_int_equal(next.fired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_set_again),
		cmocka_unit_test(test_next_of_kinds),
		cmocka_unit_test(test_again_from_callback),
		cmocka_unit_test(test_clear_from_callback),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
