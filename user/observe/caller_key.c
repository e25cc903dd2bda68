// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/caller_key.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t caller_key_netns(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		cookie = 0;
	close(fd);
	return cookie;
}

/* false: it is not known. */
static bool pack(const union conn_address *address, __u8 bytes[16], __u16 *port)
{
	if (address->sa.sa_family == AF_INET) {
		memset(bytes + 10, 0xff, 2);
		memcpy(bytes + 12, &address->in.sin_addr, 4);
		*port = ntohs(address->in.sin_port);
		return true;
	}
	if (address->sa.sa_family != AF_INET6)
		return false;
	memcpy(bytes, &address->in6.sin6_addr, 16);
	*port = ntohs(address->in6.sin6_port);
	return true;
}

bool caller_key_pack(uint64_t netns, const union conn_address *source,
		     const union conn_address *destination, struct ksplit_caller_key *key)
{
	memset(key, 0, sizeof(*key)); /* the kernel compares all bytes */
	key->netns = netns;
	return pack(source, key->source, &key->source_port) &&
	       pack(destination, key->destination, &key->destination_port);
}
