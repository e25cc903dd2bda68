// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "core/own_address.h"
#include "observe/conn_info.h"

struct own {
	struct config_listener listeners[CONFIG_MAX_LISTENERS];
	size_t listeners_len;
};

static union conn_address address_of(const char *ip, uint16_t port)
{
	union conn_address address = {0};

	if (strchr(ip, ':')) {
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, ip, &address.in6.sin6_addr), 1);
	} else {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, ip, &address.in.sin_addr), 1);
	}
	return address;
}

static void add_listener(struct own *own, const char *ip, uint16_t port)
{
	union conn_address address = address_of(ip, port);

	memcpy(&own->listeners[own->listeners_len++].address, &address, sizeof(address));
}

static bool is_one(const struct own *own, const struct sockaddr *address)
{
	return own_address_is_one(own->listeners, own->listeners_len, address);
}

static void expect(const struct own *own, const char *ip, uint16_t port, bool self)
{
	union conn_address address = address_of(ip, port);

	if (is_one(own, &address.sa) != self)
		fail_msg("%s port %u: expected %d", ip, port, self);
}

static void test_no_listener(void **state)
{
	static const struct own own;

	(void)state;
	expect(&own, "127.0.0.1", 443, false);
	expect(&own, "::1", 443, false);
}

/* A listener on one address is reached by that address alone, however it is written. */
static void test_one_address(void **state)
{
	static struct own own;

	(void)state;
	add_listener(&own, "127.0.0.5", 8443);
	expect(&own, "127.0.0.5", 8443, true);
	expect(&own, "::ffff:127.0.0.5", 8443, true);
	expect(&own, "127.0.0.5", 8444, false);
	expect(&own, "127.0.0.6", 8443, false);
	expect(&own, "::1", 8443, false);
	expect(&own, "192.0.2.1", 8443, false);
	/* Connecting to "any" is connecting to this host. */
	expect(&own, "0.0.0.0", 8443, true);
	expect(&own, "::", 8443, true);
	expect(&own, "0.0.0.0", 8444, false);
}

/* A listener on all addresses is reached by all of this host's, and by no other's. */
static void test_any_address(void **state)
{
	static const char *const any[] = {"0.0.0.0", "::"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		static struct own own;

		own.listeners_len = 0;
		add_listener(&own, any[i], 8443);
		expect(&own, "127.0.0.1", 8443, true);
		expect(&own, "127.255.255.254", 8443, true);
		expect(&own, "::ffff:127.1.2.3", 8443, true);
		expect(&own, "0.0.0.0", 8443, true);
		expect(&own, "::", 8443, true);
		expect(&own, "127.0.0.1", 443, false);
		expect(&own, "192.0.2.1", 8443, false); /* RFC 5737: nobody's */
		expect(&own, "2001:db8::1", 8443, false);
		/* Looks like 127/8 in the bytes where a mapped address has it. */
		expect(&own, "2001:db8::ff12:7f00:1", 8443, false);
		expect(&own, "2001:db8::ffff:127.0.0.1", 8443, false);
	}
}

static void test_own_interfaces(void **state)
{
	static struct own own;
	struct ifaddrs *all;
	int seen = 0;

	(void)state;
	add_listener(&own, "::", 8443);
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *ifa = all; ifa; ifa = ifa->ifa_next) {
		union conn_address address = {0};

		if (!ifa->ifa_addr ||
		    (ifa->ifa_addr->sa_family != AF_INET && ifa->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&address, ifa->ifa_addr,
		       ifa->ifa_addr->sa_family == AF_INET ? sizeof(address.in)
							   : sizeof(address.in6));
		address.in.sin_port = htons(8443); /* at the same place in both */
		assert_true(is_one(&own, &address.sa));
		address.in.sin_port = htons(443);
		assert_false(is_one(&own, &address.sa));
		seen++;
	}
	freeifaddrs(all);
	printf("%d addresses of this host\n", seen);
}

static void test_several_listeners(void **state)
{
	static struct own own;

	(void)state;
	add_listener(&own, "192.0.2.7", 443);
	add_listener(&own, "::1", 8443);
	add_listener(&own, "0.0.0.0", 9443);
	expect(&own, "192.0.2.7", 443, true);
	expect(&own, "192.0.2.7", 8443, false);
	expect(&own, "::1", 8443, true);
	expect(&own, "127.0.0.1", 8443, false);
	expect(&own, "127.0.0.1", 443, false);
	expect(&own, "127.0.0.1", 9443, true);
	expect(&own, "192.0.2.7", 9443, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_listener),       cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_any_address),       cmocka_unit_test(test_own_interfaces),
		cmocka_unit_test(test_several_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
