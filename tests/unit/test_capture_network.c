// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/rules_part.h"
#include "core/capture_network.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse(void **state)
{
	static const struct {
		const char *text, *printed;
		sa_family_t family;
		uint8_t prefix;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.0/24", AF_INET, 24},
		{"192.0.2.1", "192.0.2.1", AF_INET, 32},
		{"192.0.2.1/32", "192.0.2.1", AF_INET, 32},
		{"192.0.2.254/31", "192.0.2.254/31", AF_INET, 31},
		{"128.0.0.0/1", "128.0.0.0/1", AF_INET, 1},
		{"0.0.0.0/0", "0.0.0.0/0", AF_INET, 0},
		{"::/0", "::/0", AF_INET6, 0},
		{"::1", "::1", AF_INET6, 128},
		{"2001:DB8::/32", "2001:db8::/32", AF_INET6, 32},
		{"2001:db8:8000::/33", "2001:db8:8000::/33", AF_INET6, 33},
		{"64:ff9b::192.0.2.0/120", "64:ff9b::c000:200/120", AF_INET6, 120},
	};
	struct capture_network network;
	char why[160], printed[RULES_PART_NETWORK];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(capture_network_parse(rows[i].text, &network, why, sizeof(why)),
				 0);
		assert_int_equal(network.family, rows[i].family);
		assert_int_equal(network.prefix, rows[i].prefix);
		rules_part_print_network(&network, printed);
		assert_string_equal(printed, rows[i].printed);
	}
}

static void test_parse_refuses(void **state)
{
	static const char form[] =
		"expected a network as 192.0.2.0/24 or 2001:db8::/32, or an address";
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", form},
		{"/24", form},
		{"example.com", form},
		{"192.0.2", form},
		{"192.0.2.0.0/24", form},
		{"010.0.0.0/8", form},
		{" 192.0.2.1", form},
		{"fe80::1%eth0", form},
		{"2001:db8::1::/64", form},
		{"11111111111111111111111111111111111111111111111111", form},
		{"192.0.2.0/33", "expected a prefix from 0 to 32 after the slash"},
		{"192.0.2.0/", "expected a prefix from 0 to 32 after the slash"},
		{"192.0.2.0/-1", "expected a prefix from 0 to 32 after the slash"},
		{"192.0.2.0/24/24", "expected a prefix from 0 to 32 after the slash"},
		{"192.0.2.0/255.255.255.0", "expected a prefix from 0 to 32 after the slash"},
		{"::/129", "expected a prefix from 0 to 128 after the slash"},
		{"::/99999999999999999999", "expected a prefix from 0 to 128 after the slash"},
		{"192.0.2.1/24", "expected no bits behind the prefix: 192.0.2.0/24 is the network"},
		{"192.0.2.1/0", "expected no bits behind the prefix: 0.0.0.0/0 is the network"},
		{"192.0.2.255/31",
		 "expected no bits behind the prefix: 192.0.2.254/31 is the network"},
		{"2001:db8::1/127",
		 "expected no bits behind the prefix: 2001:db8::/127 is the network"},
		{"::ffff:192.0.2.1", "expected the IPv4 network itself, not its mapped form"},
	};
	struct capture_network network;
	char why[160];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(capture_network_parse(rows[i].text, &network, why, sizeof(why)),
				 -EINVAL);
		assert_string_equal(why, rows[i].why);
	}
}

/* What lies within another adds nothing, whichever comes first. */
static void test_add(void **state)
{
	static const char *const order[] = {"10.1.0.0/16", "192.0.2.1",   "10.1.2.0/24",
					    "10.1.0.0/16", "2001:db8::1", "10.0.0.0/8",
					    "::/1",        "11.0.0.0/8",  "8000::/1"};
	static const char *const left[] = {"192.0.2.1", "10.0.0.0/8", "::/1", "11.0.0.0/8",
					   "8000::/1"};
	struct capture_networks networks = {0};
	struct capture_network network;
	char text[RULES_PART_NETWORK];

	(void)state;
	for (size_t i = 0; i < LEN(order); i++) {
		assert_int_equal(capture_network_parse(order[i], &network, text, sizeof(text)), 0);
		assert_int_equal(capture_network_add(&networks, &network), 0);
	}
	assert_int_equal(networks.len, LEN(left));
	for (size_t i = 0; i < LEN(left); i++) {
		rules_part_print_network(&networks.list[i], text);
		assert_string_equal(text, left[i]);
	}
	assert_int_equal(rules_part_count(&networks, AF_INET), 3);
	assert_false(rules_part_is_all(&networks, AF_INET6));
	assert_int_equal(capture_network_parse("::/0", &network, text, sizeof(text)), 0);
	assert_int_equal(capture_network_add(&networks, &network), 0);
	assert_true(rules_part_is_all(&networks, AF_INET6));
	assert_int_equal(rules_part_count(&networks, AF_INET6), 1);
	assert_false(rules_part_is_all(&networks, AF_INET));
	free(networks.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
