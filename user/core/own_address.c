// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/own_address.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static uint16_t port_of(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6
		       ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
		       : ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

/* The IP address as 16 bytes, IPv4 mapped (RFC 4291 2.5.5.2). */
static void ip_of(const struct sockaddr *address, uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->sa_family == AF_INET6) {
		memcpy(ip, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
		return;
	}
	memcpy(ip, mapped, 12);
	memcpy(ip + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
}

static bool same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
	uint8_t ip_a[16], ip_b[16];

	ip_of(a, ip_a);
	ip_of(b, ip_b);
	return !memcmp(ip_a, ip_b, sizeof(ip_a));
}

static bool is_loopback(const struct sockaddr *address)
{
	static const uint8_t net127[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	uint8_t ip[16];

	ip_of(address, ip);
	return !memcmp(ip, net127, sizeof(net127));
}

static bool is_any(const struct sockaddr *address)
{
	static const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
	static const struct sockaddr_in any4 = {.sin_family = AF_INET};

	return same_ip(address, (const struct sockaddr *)&any6) ||
	       same_ip(address, (const struct sockaddr *)&any4);
}

/* Only asked when the port is one of ours, which is rare. */
static bool is_local(const struct sockaddr *address)
{
	struct ifaddrs *all;
	bool found = is_loopback(address) || is_any(address);

	if (found || getifaddrs(&all))
		return found;
	for (struct ifaddrs *ifa = all; ifa && !found; ifa = ifa->ifa_next)
		found = ifa->ifa_addr &&
			(ifa->ifa_addr->sa_family == AF_INET ||
			 ifa->ifa_addr->sa_family == AF_INET6) &&
			same_ip(address, ifa->ifa_addr);
	freeifaddrs(all);
	return found;
}

bool own_address_is_one(const struct config_listener *listeners, size_t len,
			const struct sockaddr *address)
{
	for (size_t i = 0; i < len; i++) {
		const struct sockaddr *own = &listeners[i].address.sa;

		if (port_of(own) != port_of(address))
			continue;
		if (is_any(own) || is_any(address) ? is_local(address) : same_ip(own, address))
			return true;
	}
	return false;
}
