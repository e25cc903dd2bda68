// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cidr.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		enum cidr_fault fault;
		sa_family_t family;
		uint8_t prefix;
	} rows[] = {
		{"192.0.2.0/24", CIDR_GOOD, AF_INET, 24},
		{"192.0.2.1", CIDR_GOOD, AF_INET, 32},
		{"0.0.0.0/0", CIDR_GOOD, AF_INET, 0},
		{"2001:db8::/32", CIDR_GOOD, AF_INET6, 32},
		{"::1", CIDR_GOOD, AF_INET6, 128},
		{"192.0.2.1/24", CIDR_BITS_BEHIND, AF_INET, 24},
		{"128.0.0.0/0", CIDR_BITS_BEHIND, AF_INET, 0},
		{"2001:db8::1/127", CIDR_BITS_BEHIND, AF_INET6, 127},
		{"192.0.2.0/33", CIDR_BAD_PREFIX, AF_INET, 32},
		{"192.0.2.0/", CIDR_BAD_PREFIX, AF_INET, 32},
		{"192.0.2.0/0024", CIDR_BAD_PREFIX, AF_INET, 32},
		{"192.0.2.0/2 ", CIDR_BAD_PREFIX, AF_INET, 32},
		{"::/129", CIDR_BAD_PREFIX, AF_INET6, 128},
	};
	static const char *const none[] = {"", "/8", "192.0.2", "example.com", ":::/8",
					   "11111111111111111111111111111111111111111111111111"};
	struct cidr cidr;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(cidr_parse(rows[i].text, &cidr), rows[i].fault);
		assert_int_equal(cidr.family, rows[i].family);
		assert_int_equal(cidr.prefix, rows[i].prefix);
	}
	for (size_t i = 0; i < LEN(none); i++)
		assert_int_equal(cidr_parse(none[i], &cidr), CIDR_NO_ADDRESS);
}

static void test_truncate(void **state)
{
	static const uint8_t four[16] = {10, 0x80}, six[16] = {0x20, 0x01};
	struct cidr cidr;

	(void)state;
	cidr_parse("10.255.2.3/9", &cidr);
	cidr_truncate(&cidr);
	assert_memory_equal(cidr.address, four, sizeof(four));
	cidr_parse("2001:db8::1/16", &cidr);
	cidr_truncate(&cidr);
	assert_memory_equal(cidr.address, six, sizeof(six));
	cidr_parse("2001::/128", &cidr);
	cidr_truncate(&cidr);
	assert_memory_equal(cidr.address, six, sizeof(six));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_truncate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
