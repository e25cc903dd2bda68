/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_TCP_PAIR_H
#define KSPLIT_TESTS_TCP_PAIR_H

/* A real TCP connection over loopback: plain IPv4, IPv6, or IPv4 in IPv6 sockets. Include after
 * cmocka.h. */

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum tcp_pair_family { TCP_PAIR_V4, TCP_PAIR_V6, TCP_PAIR_MAPPED, TCP_PAIR_FAMILIES };

struct tcp_pair {
	int listener, client, server;
	struct sockaddr_storage address; /* the listener's */
	socklen_t address_len;
};

static inline void tcp_pair_fill_loopback(enum tcp_pair_family family, struct tcp_pair *pair)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&pair->address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&pair->address;

	memset(&pair->address, 0, sizeof(pair->address));
	pair->address_len = sizeof(*in6);
	in6->sin6_family = AF_INET6;
	if (family == TCP_PAIR_V6) {
		in6->sin6_addr = in6addr_loopback;
	} else if (family == TCP_PAIR_MAPPED) {
		memset(&in6->sin6_addr.s6_addr[10], 0xff, 2);
		in6->sin6_addr.s6_addr[12] = 127;
		in6->sin6_addr.s6_addr[15] = 1;
	} else {
		pair->address_len = sizeof(*in);
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

/* port 0: any. */
static inline void tcp_pair_listen(struct tcp_pair *pair, enum tcp_pair_family family, int port)
{
	int one = 1;

	tcp_pair_fill_loopback(family, pair);
	((struct sockaddr_in *)&pair->address)->sin_port = htons((uint16_t)port);
	pair->client = pair->server = -1;
	pair->listener = socket(pair->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(pair->listener >= 0);
	setsockopt(pair->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(pair->listener, (struct sockaddr *)&pair->address, pair->address_len),
			 0);
	assert_int_equal(listen(pair->listener, 4), 0);
	assert_int_equal(
		getsockname(pair->listener, (struct sockaddr *)&pair->address, &pair->address_len),
		0);
}

/* Connect to `port` of the listener's address (its own, unless a rule redirects another). */
static inline void tcp_pair_connect(struct tcp_pair *pair, int port)
{
	struct sockaddr_storage to = pair->address;

	((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
	pair->client = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair->client, (struct sockaddr *)&to, pair->address_len), 0);
	pair->server = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair->server >= 0);
}

static inline int tcp_pair_port(const struct tcp_pair *pair)
{
	return ntohs(((const struct sockaddr_in *)&pair->address)->sin_port);
}

static inline void tcp_pair_open(struct tcp_pair *pair, enum tcp_pair_family family)
{
	tcp_pair_listen(pair, family, 0);
	tcp_pair_connect(pair, tcp_pair_port(pair));
}

static inline void tcp_pair_close(struct tcp_pair *pair)
{
	close(pair->client);
	close(pair->server);
	close(pair->listener);
}

#endif
