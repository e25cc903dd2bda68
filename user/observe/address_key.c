// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/address_key.h"

#include <string.h>

#define VERSION 0 /* 0, 4 or 6 */
#define PORT    1
#define ZONE    3
#define ADDRESS 7

void address_key_pack(const union conn_address *address, uint8_t key[ADDRESS_KEY_LEN])
{
	const struct sockaddr_in6 *in6 = &address->in6;

	memset(key, 0, ADDRESS_KEY_LEN);
	if (address->sa.sa_family == AF_INET) {
		key[VERSION] = 4;
		memcpy(key + PORT, &address->in.sin_port, 2);
		memcpy(key + ADDRESS, &address->in.sin_addr, 4);
	} else if (address->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		key[VERSION] = 4;
		memcpy(key + PORT, &in6->sin6_port, 2);
		memcpy(key + ADDRESS, &in6->sin6_addr.s6_addr[12], 4);
	} else if (address->sa.sa_family == AF_INET6) {
		key[VERSION] = 6;
		memcpy(key + PORT, &in6->sin6_port, 2);
		if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			memcpy(key + ZONE, &in6->sin6_scope_id, 4);
		memcpy(key + ADDRESS, &in6->sin6_addr, 16);
	}
}

void address_key_unpack(const uint8_t key[ADDRESS_KEY_LEN], union conn_address *address)
{
	memset(address, 0, sizeof(*address));
	if (key[VERSION] == 4) {
		address->in.sin_family = AF_INET;
		memcpy(&address->in.sin_port, key + PORT, 2);
		memcpy(&address->in.sin_addr, key + ADDRESS, 4);
	} else if (key[VERSION] == 6) {
		address->in6.sin6_family = AF_INET6;
		memcpy(&address->in6.sin6_port, key + PORT, 2);
		memcpy(&address->in6.sin6_scope_id, key + ZONE, 4);
		memcpy(&address->in6.sin6_addr, key + ADDRESS, 16);
	}
}
