// SPDX-License-Identifier: GPL-2.0-or-later
/* The leaf cache when several ask at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaf_cache_rig.h"

#define THREADS 20

static pthread_barrier_t barrier;

static void *caller_main(void *arg)
{
	struct caller *caller = arg;

	pthread_barrier_wait(&barrier);
	ask(caller, test.origin_fp);
	return NULL;
}

static void run_callers(struct caller callers[THREADS])
{
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.sni = "first.test"};
		pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static void twenty_first_calls_forge_once(void **state)
{
	struct caller callers[THREADS];
	struct leaf_cache_stats stats;

	(void)state;
	open_cache(8);
	test.wait_for = THREADS - 1;
	run_callers(callers);
	for (int i = 0; i < THREADS; i++) {
		assert_non_null(callers[i].leaf);
		assert_ptr_equal(callers[i].leaf, callers[0].leaf);
		assert_int_equal(callers[i].result, -EINPROGRESS);
		assert_int_equal(callers[i].calls, 1);
		assert_int_equal(callers[i].err, 0);
	}
	stats = stats_now();
	assert_int_equal(test.forged, 1);
	assert_int_equal(stats.forged, 1);
	assert_int_equal(stats.misses, 1);
	assert_int_equal(stats.waited, THREADS - 1);
	assert_int_equal(stats.entries, 1);
	/* each has a reference of its own: the last one frees, no earlier (the sanitizer would
	 * tell) */
	for (int i = 0; i < THREADS; i++) {
		assert_true(leaf_is_for(callers[i].leaf, "first.test"));
		leaf_put(callers[i].leaf);
	}
}

static void failure_is_told_to_all_and_not_kept(void **state)
{
	struct caller callers[THREADS];
	struct leaf_cache_stats stats;

	(void)state;
	open_cache(8);
	test.wait_for = THREADS - 1;
	test.fail = true;
	run_callers(callers);
	for (int i = 0; i < THREADS; i++) {
		assert_null(callers[i].leaf);
		assert_int_equal(callers[i].result, -EINPROGRESS);
		assert_int_equal(callers[i].calls, 1);
		assert_int_equal(callers[i].err, -EBUSY);
	}
	stats = stats_now();
	assert_int_equal(stats.failed, 1);
	assert_int_equal(stats.forged, 0);
	assert_int_equal(stats.entries, 0);
	test.fail = false;
	test.wait_for = 0;
	use("first.test");
	assert_int_equal(test.forged, 2);
}

static void *slow_main(void *arg)
{
	ask(arg, test.origin_fp);
	return NULL;
}

static void start_slow(struct caller *caller)
{
	*caller = (struct caller){.sni = "slow"};
	test.held = true;
	pthread_create(&caller->thread, NULL, slow_main, caller);
	while (!test.slow_begun)
		pause_ms(1);
}

static void an_entry_being_forged_is_never_evicted(void **state)
{
	const struct leaf_wish wish = wish_for("slow");
	struct caller slow, second = {.sni = "slow"};

	(void)state;
	open_cache(1);
	start_slow(&slow);
	use("a");
	use("b");
	assert_int_equal(stats_now().entries, 2); /* b, and the one on its way */
	assert_int_equal(stats_now().evicted, 1);
	assert_int_equal(
		leaf_cache_get(test.cache, &wish, caller_ready, &second, &second.leaf),
		-EINPROGRESS);
	test.held = false;
	pthread_join(slow.thread, NULL);
	assert_int_equal(slow.result, -EINPROGRESS);
	assert_int_equal(slow.calls, 1);
	assert_int_equal(second.calls, 1);
	assert_ptr_equal(second.leaf, slow.leaf);
	assert_int_equal(stats_now().entries, 1);
	leaf_put(slow.leaf);
	leaf_put(second.leaf);
	assert_int_equal(test.forged, 3);
	use("slow");
	assert_int_equal(test.forged, 3);
}

static void ready_may_call_the_cache(void *waiter, int err, struct leaf *leaf)
{
	struct caller *caller = waiter;

	assert_int_equal(err, 0);
	leaf_put(leaf);
	caller->leaf = get("other");
}

static void callback_runs_without_the_lock(void **state)
{
	const struct leaf_wish wish = wish_for("slow");
	struct caller slow, second = {0};
	struct leaf *leaf;

	(void)state;
	open_cache(4);
	start_slow(&slow);
	assert_int_equal(
		leaf_cache_get(test.cache, &wish, ready_may_call_the_cache, &second, &leaf),
		-EINPROGRESS);
	test.held = false;
	pthread_join(slow.thread, NULL);
	assert_true(leaf_is_for(second.leaf, "other"));
	leaf_put(second.leaf);
	leaf_put(slow.leaf);
}

struct stresser {
	pthread_t thread;
	unsigned int seed;
	int calls, wrong;
	atomic_int pending;
};

struct wanted {
	struct stresser *by;
	char sni[16];
};

static void stress_check(struct wanted *wanted, struct leaf *leaf)
{
	if (!leaf || !leaf_is_for(leaf, wanted->sni))
		wanted->by->wrong++;
	leaf_put(leaf);
	free(wanted);
}

static void stress_ready(void *arg, int err, struct leaf *leaf)
{
	(void)err;
	struct wanted *wanted = arg;
	struct stresser *by = wanted->by;

	stress_check(wanted, leaf);
	by->pending--;
}

static void *stress_main(void *arg)
{
	struct stresser *s = arg;

	for (s->calls = 0; s->calls < 500; s->calls++) {
		struct wanted *wanted = malloc(sizeof(*wanted));
		struct leaf *leaf = NULL;
		struct leaf_wish wish;

		wanted->by = s;
		snprintf(wanted->sni, sizeof(wanted->sni), "n%d", rand_r(&s->seed) % 24);
		s->pending++;
		wish = wish_for(wanted->sni);
		if (leaf_cache_get(test.cache, &wish, stress_ready, wanted, &leaf) == 0) {
			stress_check(wanted, leaf);
			s->pending--;
		}
		while (s->pending) /* one at a time: `wrong` has one writer */
			pause_ms(1);
	}
	return NULL;
}

static void many_threads_and_a_small_cache(void **state)
{
	struct stresser threads[8];
	struct leaf_cache_stats stats;
	uint64_t calls = 0;

	(void)state;
	open_cache(16);
	for (int i = 0; i < 8; i++) {
		threads[i] = (struct stresser){.seed = (unsigned int)i + 1};
		pthread_create(&threads[i].thread, NULL, stress_main, &threads[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i].thread, NULL);
		assert_int_equal(threads[i].wrong, 0);
		calls += (uint64_t)threads[i].calls;
	}
	stats = stats_now();
	assert_int_equal(stats.hits + stats.misses + stats.waited, calls);
	assert_int_equal(stats.forged, stats.misses);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.forged - stats.evicted, stats.entries);
	assert_int_equal(stats.entries, 16);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_cache)
	const struct CMUnitTest tests[] = {
		T(twenty_first_calls_forge_once),
		T(failure_is_told_to_all_and_not_kept),
		T(an_entry_being_forged_is_never_evicted),
		T(callback_runs_without_the_lock),
		T(many_threads_and_a_small_cache),
	};
#undef T

	return cmocka_run_group_tests_name("leaf_cache_threads", tests, start_all, end_all);
}
