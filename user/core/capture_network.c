// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cidr.h"

#define EXPECT_NETWORK "expected a network as 192.0.2.0/24 or 2001:db8::/32, or an address"

static const uint8_t *bytes_of(const struct capture_network *network)
{
	return (const uint8_t *)&network->address;
}

/* Do the first `bits` bits agree? */
static bool same_prefix(const uint8_t *a, const uint8_t *b, uint8_t bits)
{
	size_t whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));

	return memcmp(a, b, whole) == 0 &&
	       (bits % 8 == 0 || (a[whole] & mask) == (b[whole] & mask));
}

static bool lies_within(const struct capture_network *inner, const struct capture_network *outer)
{
	return inner->family == outer->family && inner->prefix >= outer->prefix &&
	       same_prefix(bytes_of(inner), bytes_of(outer), outer->prefix);
}

int capture_network_parse(const char *text, struct capture_network *network, char *why,
			  size_t why_len)
{
	char address[INET6_ADDRSTRLEN];
	struct cidr cidr;
	enum cidr_fault fault = cidr_parse(text, &cidr);

	network->family = cidr.family;
	network->prefix = cidr.prefix;
	memcpy(&network->address, cidr.address, sizeof(network->address));
	if (fault == CIDR_NO_ADDRESS) {
		snprintf(why, why_len, "%s", EXPECT_NETWORK);
	} else if (fault == CIDR_BAD_PREFIX) {
		snprintf(why, why_len, "expected a prefix from 0 to %u after the slash",
			 cidr_bits(cidr.family));
	} else if (cidr.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&network->address.in6)) {
		snprintf(why, why_len, "expected the IPv4 network itself, not its mapped form");
	} else if (fault == CIDR_BITS_BEHIND) {
		cidr_truncate(&cidr);
		inet_ntop(cidr.family, cidr.address, address, sizeof(address));
		snprintf(why, why_len, "expected no bits behind the prefix: %s/%u is the network",
			 address, cidr.prefix);
	} else {
		return 0;
	}
	return -EINVAL;
}

int capture_network_add(struct capture_networks *networks, const struct capture_network *network)
{
	struct capture_network *list;
	size_t i, kept = 0;

	for (i = 0; i < networks->len; i++) {
		if (lies_within(network, &networks->list[i]))
			return 0;
	}
	list = reallocarray(networks->list, networks->len + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (i = 0; i < networks->len; i++) {
		if (!lies_within(&list[i], network))
			list[kept++] = list[i];
	}
	list[kept++] = *network;
	networks->list = list;
	networks->len = kept;
	return 0;
}
