// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/record_ring.h"

static void first_in_first_out(void **state)
{
	struct record_ring ring;
	char out[16] = "";

	(void)state;
	assert_int_equal(record_ring_init(&ring, 64), 0);
	assert_int_equal(record_ring_next(&ring), 0);
	assert_int_equal(record_ring_take(&ring, out), 0);
	assert_true(record_ring_put(&ring, "one", 3));
	assert_true(record_ring_put(&ring, "three", 5));
	assert_int_equal(record_ring_next(&ring), 3);
	assert_int_equal(record_ring_take(&ring, out), 3);
	assert_memory_equal(out, "one", 3);
	assert_int_equal(record_ring_take(&ring, out), 5);
	assert_memory_equal(out, "three", 5);
	assert_int_equal(record_ring_take(&ring, out), 0);
	record_ring_free(&ring);
}

/* Four bytes of length go with each. */
static void what_does_not_fit_is_refused_whole(void **state)
{
	struct record_ring ring;
	char out[32];

	(void)state;
	assert_int_equal(record_ring_init(&ring, 20), 0);
	assert_false(record_ring_put(&ring, "xxxxxxxxxxxxxxxxx", 17));
	assert_true(record_ring_put(&ring, "0123456789", 10));
	assert_false(record_ring_put(&ring, "abc", 3));
	assert_true(record_ring_put(&ring, "ab", 2));
	assert_false(record_ring_put(&ring, "", 0));
	assert_int_equal(record_ring_take(&ring, out), 10);
	assert_memory_equal(out, "0123456789", 10);
	assert_true(record_ring_put(&ring, "abcdefghij", 10)); /* goes on at the beginning */
	assert_int_equal(record_ring_take(&ring, out), 2);
	assert_int_equal(record_ring_take(&ring, out), 10);
	assert_memory_equal(out, "abcdefghij", 10);
	record_ring_free(&ring);
	record_ring_free(&ring);
}

/* Every length at every place, lengths cut by the end of the memory among them. */
static void every_place(void **state)
{
	struct record_ring ring;
	unsigned char in[40], out[40];
	unsigned int i, j, next = 0, len;

	(void)state;
	assert_int_equal(record_ring_init(&ring, 97), 0);
	for (i = 0; i < 5000; i++) {
		len = 1 + i * 7 % sizeof(in);
		for (j = 0; j < len; j++)
			in[j] = (unsigned char)(i + j);
		while (!record_ring_put(&ring, in, len)) {
			const unsigned int expected = 1 + next * 7 % sizeof(in);

			assert_int_equal(record_ring_take(&ring, out), expected);
			for (j = 0; j < expected; j++)
				assert_int_equal(out[j], (unsigned char)(next + j));
			next++;
		}
	}
	assert_in_range(next, 4900, 4999);
	record_ring_free(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_in_first_out),
		cmocka_unit_test(what_does_not_fit_is_refused_whole),
		cmocka_unit_test(every_place),
	};

	return cmocka_run_group_tests_name("record_ring", tests, NULL, NULL);
}
