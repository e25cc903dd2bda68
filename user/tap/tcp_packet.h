/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TCP_PACKET_H
#define KSPLIT_TAP_TCP_PACKET_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* The largest header: IPv6 and TCP without options. */
#define TCP_PACKET_HEADER 60

enum { TCP_FLAG_FIN = 1, TCP_FLAG_SYN = 2, TCP_FLAG_PSH = 8, TCP_FLAG_ACK = 16 };

/* One end; IPv4 is mapped (RFC 4291 2.5.5.2). */
struct tcp_packet_end {
	struct in6_addr address;
	uint16_t port; /* host order */
};

struct tcp_packet {
	struct tcp_packet_end from, to;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *payload;
	size_t len; /* at most 65000 */
};

/*
 * A packet that a host could have sent (RFC 791, 8200, 9293), checksums included: IPv4 where both
 * ends have such an address, else IPv6. Returns its length, `out` has room for TCP_PACKET_HEADER +
 * len.
 */
size_t tcp_packet_make(const struct tcp_packet *packet, uint8_t *out);

#endif
