/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CIDR_H
#define KSPLIT_CORE_CIDR_H

#include <stdint.h>
#include <sys/socket.h>

/* A network (RFC 4632 3.1, RFC 4291 2.3); an address is the network of itself alone. */
struct cidr {
	sa_family_t family;  /* AF_INET or AF_INET6 */
	uint8_t prefix;      /* bits of the address that count */
	uint8_t address[16]; /* network order, of IPv4 the first 4; behind it 0 */
};

enum cidr_fault {
	CIDR_GOOD,
	CIDR_NO_ADDRESS,  /* what stands before the slash is none */
	CIDR_BAD_PREFIX,  /* what stands behind it is no number, or too large a one */
	CIDR_BITS_BEHIND, /* "10.1.2.3/8" may be a slip for an address or for a network */
};

/*
 * "192.0.2.0/24", "2001:db8::/32" or "192.0.2.1". *out is as much as was understood: with a bad
 * prefix the address, with bits behind it everything.
 */
enum cidr_fault cidr_parse(const char *text, struct cidr *out);

/* Bits of an address of this family: 32 or 128. */
uint8_t cidr_bits(sa_family_t family);

/* Clear the bits behind the prefix. */
void cidr_truncate(struct cidr *cidr);

#endif
