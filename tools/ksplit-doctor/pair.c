// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(union address *address, int family, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET6) {
		address->in6.sin6_addr = in6addr_loopback;
		address->in6.sin6_port = htons(port);
		return sizeof(address->in6);
	}
	address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address->in.sin_port = htons(port);
	return sizeof(address->in);
}

int pair_bound_in_time(int fd)
{
	const struct timeval limit = {.tv_sec = PAIR_SECONDS};
	const struct linger reset = {.l_onoff = 1};

	/* Closed by reset: no TIME_WAIT is left behind. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		return -errno;
	return 0;
}

int pair_listen(int family)
{
	union address address;
	socklen_t len = loopback(&address, family, 0);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, &address.sa, len) == 0 && listen(fd, 4) == 0) {
		err = pair_bound_in_time(fd);
		if (!err)
			return fd;
	} else {
		err = -errno;
	}
	close(fd);
	return err;
}

uint16_t pair_port(int fd)
{
	union address address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.sa, &len))
		return 0;
	return ntohs(address.sa.sa_family == AF_INET6 ? address.in6.sin6_port
						      : address.in.sin_port);
}

int pair_connect(int family, uint16_t port)
{
	union address address;
	socklen_t len = loopback(&address, family, port);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = pair_bound_in_time(fd);
	if (!err && connect(fd, &address.sa, len))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int pair_open(struct pair *pair)
{
	int listener = pair_listen(AF_INET), err = 0;

	if (listener < 0)
		return listener;
	pair->connected = pair_connect(AF_INET, pair_port(listener));
	if (pair->connected < 0) {
		close(listener);
		return pair->connected;
	}
	pair->accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (pair->accepted < 0)
		err = -errno;
	else
		err = pair_bound_in_time(pair->accepted);
	close(listener);
	return err;
}

int pair_expect(int fd, const char *text)
{
	size_t len = strlen(text), have = 0;
	char buffer[256];
	ssize_t n;

	while (have < len) {
		n = recv(fd, buffer + have, sizeof(buffer) - have, 0);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		have += (size_t)n;
		if (have > len)
			return -EIO;
	}
	return memcmp(buffer, text, len) == 0 ? 0 : -EIO;
}

int pair_carry(int from, int to, const char *text)
{
	ssize_t n = send(from, text, strlen(text), MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return n == (ssize_t)strlen(text) ? pair_expect(to, text) : -EIO;
}
