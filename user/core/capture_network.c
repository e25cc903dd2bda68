// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_NETWORK "expected a network as 192.0.2.0/24 or 2001:db8::/32, or an address"

static const uint8_t *bytes_of(const struct capture_network *network)
{
	return (const uint8_t *)&network->address;
}

static uint8_t bits_of(sa_family_t family)
{
	return family == AF_INET6 ? 128 : 32;
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

/* Clear the bits behind the prefix. */
static void truncate_address(struct capture_network *network)
{
	uint8_t *bytes = (uint8_t *)&network->address;
	size_t whole = network->prefix / 8, len = bits_of(network->family) / 8;

	if (whole == len)
		return;
	bytes[whole] = (uint8_t)(bytes[whole] & (0xff00 >> (network->prefix % 8)));
	memset(bytes + whole + 1, 0, len - whole - 1);
}

static int parse_prefix(const char *text, struct capture_network *network, char *why,
			size_t why_len)
{
	unsigned int bits = bits_of(network->family);
	size_t len = strspn(text, "0123456789");
	unsigned long prefix = len && len <= 3 && !text[len] ? strtoul(text, NULL, 10) : 999;

	if (prefix > bits) {
		snprintf(why, why_len, "expected a prefix from 0 to %u after the slash", bits);
		return -EINVAL;
	}
	network->prefix = (uint8_t)prefix;
	return 0;
}

static int parse_address(const char *text, size_t len, struct capture_network *network)
{
	char address[INET6_ADDRSTRLEN];

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	network->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	network->prefix = bits_of(network->family);
	return inet_pton(network->family, address, &network->address) == 1 ? 0 : -EINVAL;
}

int capture_network_parse(const char *text, struct capture_network *network, char *why,
			  size_t why_len)
{
	const char *slash = strchrnul(text, '/');
	struct capture_network truncated;
	char address[INET6_ADDRSTRLEN];

	memset(network, 0, sizeof(*network));
	if (parse_address(text, (size_t)(slash - text), network)) {
		snprintf(why, why_len, "%s", EXPECT_NETWORK);
		return -EINVAL;
	}
	if (*slash && parse_prefix(slash + 1, network, why, why_len))
		return -EINVAL;
	if (network->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&network->address.in6)) {
		snprintf(why, why_len, "expected the IPv4 network itself, not its mapped form");
		return -EINVAL;
	}
	truncated = *network;
	truncate_address(&truncated);
	if (memcmp(&truncated.address, &network->address, sizeof(truncated.address)) == 0)
		return 0;
	inet_ntop(truncated.family, &truncated.address, address, sizeof(address));
	snprintf(why, why_len, "expected no bits behind the prefix: %s/%u is the network", address,
		 truncated.prefix);
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
