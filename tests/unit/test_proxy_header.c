// SPDX-License-Identifier: GPL-2.0-or-later
/* Headers byte by byte, as section 2.2 of HAProxy's proxy-protocol.txt has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "core/proxy_header.h"

static union conn_address ipv4(const char *text, uint16_t port)
{
	union conn_address address = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
	return address;
}

static union conn_address ipv6(const char *text, uint16_t port)
{
	union conn_address address = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
	return address;
}

static void same(const uint8_t *bytes, size_t len, const char *hex)
{
	char got[4096] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(got + 2 * i, sizeof(got) - 2 * i, "%02x", bytes[i]);
	assert_string_equal(got, hex);
}

#define SIGNATURE "0d0a0d0a000d0a515549540a"

static void test_ipv4_alone(void **state)
{
	union conn_address from = ipv4("192.0.2.1", 0x1234), to = ipv4("198.51.100.7", 443);
	struct proxy_header header = {.source = &from, .destination = &to, .authority = ""};
	uint8_t out[PROXY_HEADER_MAX];

	(void)state;
	same(out, proxy_header_make(&header, out),
	     SIGNATURE "2111000c" "c0000201" "c6336407" "1234" "01bb");
}

static void test_ipv6_with_everything(void **state)
{
	union conn_address from = ipv6("2001:db8::1", 1), to = ipv6("2001:db8::2", 2);
	struct proxy_header header = {.source = &from,
				      .destination = &to,
				      .authority = "a.b",
				      .alpn = (const uint8_t *)"h2",
				      .alpn_len = 2,
				      .tls_version = "TLSv1.3",
				      .cipher = "X"};
	uint8_t out[PROXY_HEADER_MAX];

	(void)state;
	same(out, proxy_header_make(&header, out),
	     SIGNATURE "21210045"
		       "20010db8000000000000000000000001"
		       "20010db8000000000000000000000002"
		       "0001" "0002"
		       "020003" "612e62"
		       "010002" "6832"
		       "200013" "01" "00000001" "210007" "544c5376312e33" "230001" "58");
}

static void test_mapped_address_is_ipv4(void **state)
{
	union conn_address from = ipv6("::ffff:192.0.2.1", 7), to = ipv4("192.0.2.2", 8);
	struct proxy_header header = {.source = &from, .destination = &to, .authority = ""};
	uint8_t out[PROXY_HEADER_MAX];

	(void)state;
	same(out, proxy_header_make(&header, out),
	     SIGNATURE "2111000c" "c0000201" "c0000202" "0007" "0008");
}

static void test_families_that_do_not_go_together(void **state)
{
	union conn_address four = ipv4("192.0.2.1", 7), six = ipv6("2001:db8::1", 8), none = {0};
	struct proxy_header header = {.source = &four, .destination = &six, .authority = ""};
	uint8_t out[PROXY_HEADER_MAX];

	(void)state;
	assert_int_equal(proxy_header_make(&header, out), 0);
	header = (struct proxy_header){.source = &none, .destination = &four, .authority = ""};
	assert_int_equal(proxy_header_make(&header, out), 0);
	header = (struct proxy_header){.source = &four, .destination = &none, .authority = ""};
	assert_int_equal(proxy_header_make(&header, out), 0);
}

static void test_longest_fits(void **state)
{
	union conn_address from = ipv6("2001:db8::1", 1), to = ipv6("2001:db8::2", 2);
	char text[256];
	struct proxy_header header = {.source = &from,
				      .destination = &to,
				      .authority = text,
				      .alpn = (const uint8_t *)text,
				      .alpn_len = 255,
				      .tls_version = "TLSv1.3",
				      .cipher = text};
	struct {
		uint8_t out[PROXY_HEADER_MAX], behind;
	} room = {.behind = 0xa5};
	size_t len;

	(void)state;
	memset(text, 'x', 255);
	text[255] = '\0';
	len = proxy_header_make(&header, room.out);
	assert_int_equal(room.behind, 0xa5);
	assert_int_equal(len, 16 + 36 + 3 * 258 + 3 + 5 + 10);
	assert_int_equal(len - 16, room.out[14] << 8 | room.out[15]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_alone),
		cmocka_unit_test(test_ipv6_with_everything),
		cmocka_unit_test(test_mapped_address_is_ipv4),
		cmocka_unit_test(test_families_that_do_not_go_together),
		cmocka_unit_test(test_longest_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
