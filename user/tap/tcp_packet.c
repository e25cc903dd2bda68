// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/tcp_packet.h"

#include <stdbool.h>
#include <string.h>

#define IP4_LEN 20
#define IP6_LEN 40
#define TCP_LEN 20
#define HOPS	64

static void put16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, value >> 16);
	put16(out + 2, value);
}

/* RFC 1071: the sum so far, of words of 16 bits. */
static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (; len > 1; bytes += 2, len -= 2) {
		sum += (uint32_t)bytes[0] << 8 | bytes[1];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len)
		sum += (uint32_t)bytes[0] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

static uint32_t complement(uint32_t sum)
{
	return ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
}

static size_t put_ip4(const struct tcp_packet *packet, size_t tcp_len, uint8_t *out)
{
	memset(out, 0, IP4_LEN);
	out[0] = 0x45;
	put16(out + 2, (uint32_t)(IP4_LEN + tcp_len));
	put16(out + 6, 0x4000); /* don't fragment: then no identification is needed (RFC 6864) */
	out[8] = HOPS;
	out[9] = IPPROTO_TCP;
	memcpy(out + 12, packet->from.address.s6_addr + 12, 4);
	memcpy(out + 16, packet->to.address.s6_addr + 12, 4);
	put16(out + 10, complement(sum_words(0, out, IP4_LEN)));
	return IP4_LEN;
}

static size_t put_ip6(const struct tcp_packet *packet, size_t tcp_len, uint8_t *out)
{
	memset(out, 0, IP6_LEN);
	out[0] = 0x60;
	put16(out + 4, (uint32_t)tcp_len);
	out[6] = IPPROTO_TCP;
	out[7] = HOPS;
	memcpy(out + 8, packet->from.address.s6_addr, 16);
	memcpy(out + 24, packet->to.address.s6_addr, 16);
	return IP6_LEN;
}

static void put_tcp(const struct tcp_packet *packet, uint32_t pseudo, uint8_t *out)
{
	memset(out, 0, TCP_LEN);
	put16(out, packet->from.port);
	put16(out + 2, packet->to.port);
	put32(out + 4, packet->seq);
	put32(out + 8, packet->ack);
	out[12] = TCP_LEN / 4 << 4;
	out[13] = packet->flags;
	put16(out + 14, 65535);
	if (packet->len)
		memcpy(out + TCP_LEN, packet->payload, packet->len);
	put16(out + 16, complement(sum_words(pseudo, out, TCP_LEN + packet->len)));
}

size_t tcp_packet_make(const struct tcp_packet *packet, uint8_t *out)
{
	const size_t tcp_len = TCP_LEN + packet->len;
	const bool ip4 = IN6_IS_ADDR_V4MAPPED(&packet->from.address) &&
			 IN6_IS_ADDR_V4MAPPED(&packet->to.address);
	size_t len = ip4 ? put_ip4(packet, tcp_len, out) : put_ip6(packet, tcp_len, out);
	uint32_t pseudo = ip4 ? sum_words(0, out + 12, 8) : sum_words(0, out + 8, 32);

	put_tcp(packet, pseudo + IPPROTO_TCP + (uint32_t)tcp_len, out + len);
	return len + tcp_len;
}
