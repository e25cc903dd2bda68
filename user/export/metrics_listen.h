/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_LISTEN_H
#define KSPLIT_EXPORT_METRICS_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A listening TCP socket of the metrics port. */
struct metrics_listen {
	int fd;
	uint16_t port;
	bool loopback; /* reachable from this host only */
};

/*
 * "ADDR:PORT", "[ADDR6]:PORT" or ":PORT" (127.0.0.1), numeric only; port 0 takes a free one. 0, or
 * -errno with a sentence in `error`. The caller closes out->fd.
 */
int metrics_listen_open(const char *text, struct metrics_listen *out, char *error,
			size_t error_len);

/*
 * The same with a socket that listens already, from the process that this one takes over from:
 * false, and nothing is done, when its address is not the one asked for.
 */
bool metrics_listen_adopt(const char *text, int fd, struct metrics_listen *out);

/*
 * May a request with this Host field be answered on a loopback address? Only when it names this
 * host: localhost, 127.x.x.x or [::1], with or without a port (RFC 9110 7.2). Any other name was
 * made by somebody to lead a browser here ("DNS rebinding"). NULL, no field, is HTTP/1.0 and no
 * browser: yes.
 */
bool metrics_listen_host_is_local(const char *host);

#endif
