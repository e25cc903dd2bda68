// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "observe/tls_stat.h"

static void reads_what_a_kernel_prints(void **state)
{
	/* 6.12 */
	static const char text[] = "TlsCurrTxSw                     \t2\n"
				   "TlsCurrRxSw                     \t1\n"
				   "TlsDecryptError                 \t18446744073709551615\n"
				   "TlsRxNoPadViolation             \t0\n";
	struct tls_stat stat;

	(void)state;
	tls_stat_parse(text, &stat);
	assert_int_equal(stat.len, 4);
	assert_string_equal(stat.counters[0].name, "TlsCurrTxSw");
	assert_int_equal(stat.counters[0].value, 2);
	assert_string_equal(stat.counters[2].name, "TlsDecryptError");
	assert_true(stat.counters[2].value == UINT64_MAX);
	assert_string_equal(stat.counters[3].name, "TlsRxNoPadViolation");
	assert_int_equal(stat.counters[3].value, 0);
}

static void passes_over_what_is_something_else(void **state)
{
	static const char text[] = "\nheading\nTlsA -1\nTlsB 1 2\nTlsC x\n 5\nTlsD\n7\nTlsE\t8\n"
				   "TlsNameThatIsFarTooLongToBeKept_ 9\n"
				   "TlsNameThatIsLongAndStillIsKept 10\nTlsLast 11";
	struct tls_stat stat;

	(void)state;
	tls_stat_parse(text, &stat);
	assert_int_equal(stat.len, 3);
	assert_string_equal(stat.counters[0].name, "TlsE");
	assert_int_equal(stat.counters[0].value, 8);
	assert_string_equal(stat.counters[1].name, "TlsNameThatIsLongAndStillIsKept");
	assert_string_equal(stat.counters[2].name, "TlsLast");
	assert_int_equal(stat.counters[2].value, 11);
	tls_stat_parse("", &stat);
	assert_int_equal(stat.len, 0);
}

static void stops_at_its_limit(void **state)
{
	char text[4096] = "";
	struct tls_stat stat;

	(void)state;
	for (int i = 0; i < TLS_STAT_MAX + 5; i++)
		snprintf(text + strlen(text), 32, "Tls%d %d\n", i, i);
	tls_stat_parse(text, &stat);
	assert_int_equal(stat.len, TLS_STAT_MAX);
	assert_int_equal(stat.counters[TLS_STAT_MAX - 1].value, TLS_STAT_MAX - 1);
}

/* The running kernel: with kernel TLS its counters, without it -ENOENT. */
static void reads_the_running_kernel(void **state)
{
	struct tls_stat stat;
	int err = tls_stat_read(&stat);

	(void)state;
	if (access("/proc/net/tls_stat", R_OK) == 0) {
		assert_int_equal(err, 0);
		assert_true(stat.len >= 8);
		assert_memory_equal(stat.counters[0].name, "Tls", 3);
	} else {
		assert_int_equal(err, -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_a_kernel_prints),
		cmocka_unit_test(passes_over_what_is_something_else),
		cmocka_unit_test(stops_at_its_limit),
		cmocka_unit_test(reads_the_running_kernel),
	};

	return cmocka_run_group_tests_name("tls_stat", tests, NULL, NULL);
}
