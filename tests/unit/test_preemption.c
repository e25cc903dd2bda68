// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "observe/preemption.h"

static void test_mode(void **state)
{
	static const char dynamic[] = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1";

	(void)state;
	assert_false(preemption_told("(none) voluntary full lazy\n", dynamic));
	assert_false(preemption_told("none (voluntary) full\n", dynamic));
	assert_true(preemption_told("none voluntary (full) lazy\n", dynamic));
	assert_true(preemption_told("full (lazy)\n", dynamic));
}

static void test_without_the_file(void **state)
{
	(void)state;
	assert_true(preemption_told(NULL, "#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1"));
	assert_true(preemption_told(NULL, "#1 SMP PREEMPT_RT Debian 6.1.1-1"));
	assert_false(preemption_told(NULL, "#1 SMP Debian 5.10.1-1"));
	assert_true(preemption_told("nonsense", "#1 SMP PREEMPT"));
	assert_true(preemption_told(NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_without_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
