// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/metrics_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

struct listen_parts {
	char host[64];
	char port[6];
};

/* 0 or -EINVAL. Which addresses are numeric is for getaddrinfo(3) to say. */
static int split(const char *text, struct listen_parts *parts)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len, digits;

	if (!colon)
		return -EINVAL;
	digits = strspn(colon + 1, "0123456789");
	len = (size_t)(colon - text);
	if (digits == 0 || digits > 5 || colon[1 + digits])
		return -EINVAL;
	strcpy(parts->port, colon + 1);
	if (*host == '[') {
		if (len < 2 || host[len - 1] != ']' || !memchr(host, ':', len))
			return -EINVAL;
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return -EINVAL;
	}
	if (len >= sizeof(parts->host))
		return -EINVAL;
	snprintf(parts->host, sizeof(parts->host), "%.*s", (int)len, host);
	return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct in6_addr *in6;

	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static void describe(int fd, const union address *bound, struct metrics_listen *out)
{
	out->fd = fd;
	out->port = ntohs(bound->sa.sa_family == AF_INET ? bound->in.sin_port
							  : bound->in6.sin6_port);
	out->loopback = is_loopback(&bound->sa);
}

static int listen_on(const struct addrinfo *address, struct metrics_listen *out)
{
	union address bound;
	socklen_t len = sizeof(bound);
	int one = 1, err;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* A restart does not wait for the old connections' TIME_WAIT (socket(7)). */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, &bound.sa, &len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	describe(fd, &bound, out);
	return 0;
}

/* NULL: that is no address. */
static struct addrinfo *look_up(const char *text)
{
	static const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *address = NULL;
	struct listen_parts parts;

	if (split(text, &parts) < 0 || strtoul(parts.port, NULL, 10) > 65535 ||
	    getaddrinfo(parts.host[0] ? parts.host : "127.0.0.1", parts.port, &hints, &address))
		return NULL;
	return address;
}

bool metrics_listen_adopt(const char *text, int fd, struct metrics_listen *out)
{
	struct addrinfo *address = look_up(text);
	union address bound = {0};
	socklen_t len = sizeof(bound);
	bool same = address && getsockname(fd, &bound.sa, &len) == 0 &&
		    address->ai_addrlen == len && !memcmp(address->ai_addr, &bound, len);

	if (address)
		freeaddrinfo(address);
	if (same)
		describe(fd, &bound, out);
	return same;
}

int metrics_listen_open(const char *text, struct metrics_listen *out, char *error, size_t error_len)
{
	struct addrinfo *address = look_up(text);
	int err;

	if (!address) {
		snprintf(error, error_len,
			 "expected ADDR:PORT, [ADDR6]:PORT or :PORT with a numeric address");
		return -EINVAL;
	}
	err = listen_on(address, out);
	if (err)
		snprintf(error, error_len, "cannot listen: %s", strerrordesc_np(-err));
	freeaddrinfo(address);
	return err;
}

bool metrics_listen_host_is_local(const char *host)
{
	char name[64];
	struct in_addr in;
	size_t len;

	if (!host)
		return true;
	len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	if (len >= sizeof(name) || len > strlen(host))
		return false;
	if (host[len] && (host[len] != ':' || host[len + 1 + strspn(host + len + 1, "0123456789")]))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	if (!strcasecmp(name, "localhost") || !strcmp(name, "[::1]"))
		return true;
	return inet_pton(AF_INET, name, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}
