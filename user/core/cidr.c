// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/cidr.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

uint8_t cidr_bits(sa_family_t family)
{
	return family == AF_INET6 ? 128 : 32;
}

void cidr_truncate(struct cidr *cidr)
{
	size_t whole = cidr->prefix / 8, len = cidr_bits(cidr->family) / 8;

	if (whole == len)
		return;
	cidr->address[whole] = (uint8_t)(cidr->address[whole] & (0xff00 >> (cidr->prefix % 8)));
	memset(cidr->address + whole + 1, 0, len - whole - 1);
}

static bool parse_address(const char *text, size_t len, struct cidr *out)
{
	char address[INET6_ADDRSTRLEN];

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	out->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	out->prefix = cidr_bits(out->family);
	return inet_pton(out->family, address, out->address) == 1;
}

static bool parse_prefix(const char *text, struct cidr *out)
{
	size_t len = strspn(text, "0123456789");
	unsigned long prefix;

	if (len == 0 || len > 3 || text[len])
		return false;
	prefix = strtoul(text, NULL, 10);
	if (prefix > cidr_bits(out->family))
		return false;
	out->prefix = (uint8_t)prefix;
	return true;
}

enum cidr_fault cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchrnul(text, '/');
	struct cidr truncated;

	memset(out, 0, sizeof(*out));
	if (!parse_address(text, (size_t)(slash - text), out))
		return CIDR_NO_ADDRESS;
	if (*slash && !parse_prefix(slash + 1, out))
		return CIDR_BAD_PREFIX;
	truncated = *out;
	cidr_truncate(&truncated);
	return memcmp(truncated.address, out->address, sizeof(out->address)) == 0
		       ? CIDR_GOOD
		       : CIDR_BITS_BEHIND;
}
