/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_PAIR_H
#define KSPLIT_DOCTOR_PAIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Throw-away sockets of attempts, over the loopback device. They are never closed by hand: the
 * process of the attempt ends. Reads and writes wait at most PAIR_SECONDS.
 */
#define PAIR_SECONDS 10

struct pair {
	int connected; /* the end that called connect(2) */
	int accepted;
};

/* A listening socket on a free port of the loopback address. Descriptor or -errno. */
int pair_listen(int family);

/* Have reads and writes end in time, and close(2) reset the connection. 0 or -errno. */
int pair_bound_in_time(int fd);

/* The port of a socket's own address in host order, 0 when it has none. */
uint16_t pair_port(int fd);

/* Connect to a port of the loopback address. Descriptor or -errno. */
int pair_connect(int family, uint16_t port);

/* Two connected ends (IPv4). 0 or -errno. */
int pair_open(struct pair *pair);

/* `text` goes in at one end and comes out at the other as it is. 0, -errno, -EIO: it differs. */
int pair_carry(int from, int to, const char *text);

/* Receive exactly what `text` is. 0, -errno, -EIO. */
int pair_expect(int fd, const char *text);

#endif
