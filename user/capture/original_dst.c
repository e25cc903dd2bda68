// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/original_dst.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <linux/netfilter_ipv4.h>

#include "capture/address.h"

#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80
#endif

/* IPv4 seen through a dual-stack socket becomes plain IPv4. */
static void unmap(union capture_address *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (address->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return;
	in.sin_port = address->in6.sin6_port;
	memcpy(&in.sin_addr, &address->in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
	address->in = in;
}

static int read_local(int fd, union capture_address *local)
{
	socklen_t len = sizeof(*local);

	memset(local, 0, sizeof(*local));
	if (getsockname(fd, &local->sa, &len))
		return -errno;
	if (local->sa.sa_family != AF_INET && local->sa.sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	unmap(local);
	return 0;
}

/* Of the local address's family: conntrack keeps IPv4 and IPv6 connections apart. */
static int read_tracked(int fd, const union capture_address *local, union capture_address *tracked)
{
	bool v4 = local->sa.sa_family == AF_INET;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	int option = v4 ? SO_ORIGINAL_DST : IP6T_SO_ORIGINAL_DST;
	socklen_t len = v4 ? sizeof(tracked->in) : sizeof(tracked->in6);

	memset(tracked, 0, sizeof(*tracked));
	if (getsockopt(fd, level, option, tracked, &len) == 0)
		return 0;
	/* ENOPROTOOPT: nothing on this kernel tracks connections, so nothing redirects them. */
	return errno == ENOPROTOOPT ? -ENOENT : -errno;
}

static void give(const union capture_address *address, struct sockaddr *out, socklen_t *out_len)
{
	*out_len = address->sa.sa_family == AF_INET ? sizeof(address->in) : sizeof(address->in6);
	memcpy(out, address, *out_len);
}

int original_dst_read(int fd, struct sockaddr *out, socklen_t *out_len)
{
	union capture_address local, tracked;
	int err = read_local(fd, &local);

	if (!err)
		err = read_tracked(fd, &local, &tracked);
	if (err)
		return err;
	/* Tracked, but not translated: it was us whom the client called. */
	if (capture_address_same(&local, &tracked))
		return -ENOENT;
	give(&tracked, out, out_len);
	return 0;
}

int original_dst_read_tproxy(int fd, struct sockaddr *out, socklen_t *out_len)
{
	union capture_address local;
	int err = read_local(fd, &local);

	if (!err)
		give(&local, out, out_len);
	return err;
}
