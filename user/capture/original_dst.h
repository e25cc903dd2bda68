/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_ORIGINAL_DST_H
#define KSPLIT_CAPTURE_ORIGINAL_DST_H

#include <sys/socket.h>

/*
 * Where the client of an accepted socket wanted to go before a REDIRECT or DNAT rule brought it here: SO_ORIGINAL_DST
 * (net/netfilter/nf_conntrack_proto.c getorigdst) and IP6T_SO_ORIGINAL_DST. `out` holds at least a sockaddr_in6.
 * 0, or -ENOENT (no rule brought it: the client came directly), or another -errno.
 */
int original_dst_read(int fd, struct sockaddr *out, socklen_t *out_len);

/* The same for TPROXY: the socket's own local address is the destination (Documentation/networking/tproxy.rst). 0 or -errno. */
int original_dst_read_tproxy(int fd, struct sockaddr *out, socklen_t *out_len);

#endif
