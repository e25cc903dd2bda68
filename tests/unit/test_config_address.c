// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/config.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse_listen_accepts(void **state)
{
	static const struct {
		const char *text;
		int family;
		const char *address;
		uint16_t port;
	} cases[] = {
		{"127.0.0.1:8443", AF_INET, "127.0.0.1", 8443},
		{"0.0.0.0:65535", AF_INET, "0.0.0.0", 65535},
		{":443", AF_INET, "0.0.0.0", 443},
		{":0", AF_INET, "0.0.0.0", 0},
		{"127.0.0.1:0", AF_INET, "127.0.0.1", 0},
		{"127.0.0.1:00443", AF_INET, "127.0.0.1", 443},
		{"[::1]:443", AF_INET6, "::1", 443},
		{"[::]:1", AF_INET6, "::", 1},
		{"[2001:db8::7]:443", AF_INET6, "2001:db8::7", 443},
		{"[fe80::1%lo]:443", AF_INET6, "fe80::1", 443},
		{"[fe80::1%1]:443", AF_INET6, "fe80::1", 443},
	};
	struct config_listener listener;
	char address[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		memset(&listener, 0, sizeof(listener));
		assert_int_equal(config_parse_listen(cases[i].text, &listener), 0);
		assert_int_equal(listener.address.sa.sa_family, cases[i].family);
		if (cases[i].family == AF_INET)
			inet_ntop(AF_INET, &listener.address.in.sin_addr, address, sizeof(address));
		else
			inet_ntop(AF_INET6, &listener.address.in6.sin6_addr, address,
				  sizeof(address));
		assert_string_equal(address, cases[i].address);
		/* The port is at the same place in both. */
		assert_int_equal(ntohs(listener.address.in.sin_port), cases[i].port);
		if (strchr(cases[i].text, '%'))
			assert_int_equal(listener.address.in6.sin6_scope_id, 1);
	}
}

static void test_parse_listen_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		":",
		"443",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:x",
		"127.0.0.1:443x",
		"127.0.0.1: 443",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1:65536",
		"127.0.0.1:999999",
		"127.0.0.1:0x1bb",
		"127.0.0.1:443:1",
		" 127.0.0.1:443",
		"127.1:443",
		"0x7f.0.0.1:443",
		"127.0.0.01x:443",
		"256.0.0.1:443",
		"localhost:443",
		"example.com:443",
		"*:443",
		"::1:443",
		"[::1]",
		"[::1]443",
		"[::1:443",
		"[]:443",
		"[127.0.0.1]:443",
		"[::ffff:127.0.0.1]:443",
		"[::1%lo]:443",
		"[fe80::1]:443",
		"[fe80::1%]:443",
		"[fe80::1%no-such-interface]:443",
		"[fe80::1%0]:443",
		"[fe80::1%-1]:443",
		"[fe80::1%99999999999999999999]:443",
		"[ff02::1%lo]:443",
		"224.0.0.1:443",
		"255.255.255.255:443",
	};
	struct config_listener listener, before;
	char text[1024];
	size_t i;

	(void)state;
	memset(&listener, 0x55, sizeof(listener));
	before = listener;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(config_parse_listen(cases[i], &listener), -EINVAL);
		assert_memory_equal(&listener, &before, sizeof(listener));
	}
	memset(text, '1', sizeof(text));
	strcpy(text + sizeof(text) - 5, ":443");
	assert_int_equal(config_parse_listen(text, &listener), -EINVAL);
}

static void test_parse_destination_accepts(void **state)
{
	static const struct {
		const char *text;
		enum destination_kind kind;
		const char *host;
		uint16_t port;
	} cases[] = {
		{"original", DESTINATION_ORIGINAL, "", 0},
		{"tproxy", DESTINATION_TPROXY, "", 0},
		{"sni:443", DESTINATION_SNI, "", 443},
		{"example.com:443", DESTINATION_STATIC, "example.com", 443},
		{"Example.COM.:1", DESTINATION_STATIC, "Example.COM.", 1},
		{"localhost:65535", DESTINATION_STATIC, "localhost", 65535},
		{"xn--mnchen-3ya.example:443", DESTINATION_STATIC, "xn--mnchen-3ya.example", 443},
		{"my_service.internal:8443", DESTINATION_STATIC, "my_service.internal", 8443},
		{"3com.example:443", DESTINATION_STATIC, "3com.example", 443},
		{"original:443", DESTINATION_STATIC, "original", 443},
		{"192.0.2.1:443", DESTINATION_STATIC, "192.0.2.1", 443},
		{"[2001:db8::1]:443", DESTINATION_STATIC, "2001:db8::1", 443},
		{"[fe80::1%lo]:443", DESTINATION_STATIC, "fe80::1%lo", 443},
	};
	struct config_listener listener;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		memset(&listener, 0x55, sizeof(listener));
		assert_int_equal(config_parse_destination(cases[i].text, &listener), 0);
		assert_int_equal(listener.destination, cases[i].kind);
		assert_string_equal(listener.host, cases[i].host);
		assert_int_equal(listener.port, cases[i].port);
	}
}

static void test_parse_destination_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"Original",
		"origin",
		"sni",
		"sni:",
		"sni:0",
		"sni:https",
		"sni:443 ",
		"example.com",
		"example.com:",
		"example.com:0",
		"example.com:65536",
		"example.com:443/",
		":443",
		"[]:443",
		"-bad.example:443",
		"bad-.example:443",
		"bad..example:443",
		".example:443",
		".:443",
		"bad host:443",
		"b\303\274cher.example:443",
		"https://example.com:443",
		"user@example.com:443",
		"1.2.3:443",
		"1.2.3.4.5:443",
		"256.1.1.1:443",
		"443:443",
		"0.0.0.0:443",
		"[::]:443",
		"224.0.0.1:443",
		"2001:db8::1:443",
		"[example.com]:443",
		"[::ffff:192.0.2.1]:443",
		"0123456789012345678901234567890123456789012345678901234567890123.example:443",
	};
	struct config_listener listener, before;
	char text[400];
	size_t i;

	(void)state;
	memset(&listener, 0x55, sizeof(listener));
	before = listener;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(config_parse_destination(cases[i], &listener), -EINVAL);
		assert_memory_equal(&listener, &before, sizeof(listener));
	}
	/* 253 letters and dots are the longest name (RFC 1035). */
	for (i = 0; i < 253; i++)
		text[i] = i % 2 ? '.' : 'a';
	strcpy(text + 253, ":443");
	assert_int_equal(config_parse_destination(text, &listener), 0);
	assert_int_equal(strlen(listener.host), 253);
	memset(text + 253, 'a', 2);
	strcpy(text + 255, ":443");
	assert_int_equal(config_parse_destination(text, &listener), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_listen_accepts),
		cmocka_unit_test(test_parse_listen_refuses),
		cmocka_unit_test(test_parse_destination_accepts),
		cmocka_unit_test(test_parse_destination_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
