// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "tap/pcapng.h"

/* RFC 1071: what is summed up with its checksum in place gives all ones. */
static uint32_t sum(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static struct tcp_packet packet(const char *from, const char *to, const char *payload)
{
	struct tcp_packet packet = {.from = {.port = 40000},
				    .to = {.port = 80},
				    .seq = 0x01020304,
				    .ack = 0xfffefdfc,
				    .flags = TCP_FLAG_ACK | TCP_FLAG_PSH,
				    .payload = (const uint8_t *)payload,
				    .len = strlen(payload)};

	assert_int_equal(inet_pton(AF_INET6, from, &packet.from.address), 1);
	assert_int_equal(inet_pton(AF_INET6, to, &packet.to.address), 1);
	return packet;
}

static void test_packet_of_ip4(void **state)
{
	const struct tcp_packet what = packet("::ffff:192.0.2.1", "::ffff:192.0.2.2", "hello");
	uint8_t out[TCP_PACKET_HEADER + 5];
	static const uint8_t ports[] = {0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc, 0x50,
					0x18};

	(void)state;
	assert_int_equal(tcp_packet_make(&what, out), 45);
	assert_int_equal(out[0], 0x45);
	assert_int_equal(out[3], 45);
	assert_int_equal(sum(0, out, 20), 0xffff);
	assert_memory_equal(out + 20, ports, sizeof(ports));
	assert_memory_equal(out + 40, "hello", 5);
	assert_int_equal(sum(sum(6 + 25, out + 12, 8), out + 20, 25), 0xffff);
}

static void test_packet_of_ip6_where_one_end_is(void **state)
{
	const struct tcp_packet what = packet("::ffff:192.0.2.1", "2001:db8::2", "");
	uint8_t out[TCP_PACKET_HEADER];

	(void)state;
	assert_int_equal(tcp_packet_make(&what, out), 60);
	assert_int_equal(out[0], 0x60);
	assert_int_equal(out[5], 20);
	assert_memory_equal(out + 8, &what.from.address, 16);
	assert_memory_equal(out + 24, &what.to.address, 16);
	assert_int_equal(sum(sum(6 + 20, out + 8, 32), out + 40, 20), 0xffff);
}

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* A block says its length twice, and it is one of whole words. Returns it. */
static size_t block_len(const uint8_t *block)
{
	uint32_t len = word(block + 4);

	assert_int_equal(len % 4, 0);
	assert_int_equal(word(block + len - 4), len);
	return len;
}

static void test_head_of_a_file(void **state)
{
	static uint8_t out[PCAPNG_BLOCK_MAX];
	size_t len = pcapng_block_head("ksplitd", out), first = block_len(out);

	(void)state;
	assert_int_equal(word(out), 0x0a0d0d0a);
	assert_int_equal(word(out + 8), 0x1a2b3c4d);
	assert_int_equal(word(out + 12), 1); /* version 1.0 */
	assert_int_equal(word(out + 16), 0xffffffff);
	assert_memory_equal(out + 28, "ksplitd", 7);
	assert_int_equal(word(out + first), 1);
	assert_int_equal(word(out + first + 8), 101);
	assert_int_equal(first + block_len(out + first), len);
}

static void test_packet_with_a_comment(void **state)
{
	static uint8_t out[PCAPNG_BLOCK_MAX];
	size_t len = pcapng_block_packet(0x100000002, (const uint8_t *)"abcde", 5, "why", out);

	(void)state;
	assert_int_equal(block_len(out), len);
	assert_int_equal(word(out), 6);
	assert_int_equal(word(out + 12), 1);
	assert_int_equal(word(out + 16), 2);
	assert_int_equal(word(out + 20), 5);
	assert_memory_equal(out + 28, "abcde\0\0\0\1\0\3\0why\0\0\0\0\0", 20);
	assert_int_equal(len, 52);
	assert_int_equal(pcapng_block_packet(0, (const uint8_t *)"abcd", 4, "", out), 36);
}

static void test_ports_that_readers_go_by(void **state)
{
	(void)state;
	assert_int_equal(pcapng_shown_port(443, ""), 80);
	assert_int_equal(pcapng_shown_port(993, ""), 143);
	assert_int_equal(pcapng_shown_port(8443, "http/1.1"), 8443);
	assert_int_equal(pcapng_shown_port(8443, "h2"), 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_of_ip4),
		cmocka_unit_test(test_packet_of_ip6_where_one_end_is),
		cmocka_unit_test(test_head_of_a_file),
		cmocka_unit_test(test_packet_with_a_comment),
		cmocka_unit_test(test_ports_that_readers_go_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
