/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_ORIGINAL_DST_H
#define KSPLIT_CAPTURE_ORIGINAL_DST_H

#include <sys/socket.h>

/*
 * Where the client of an accepted socket wanted to go before a REDIRECT or DNAT rule brought it
 * here: SO_ORIGINAL_DST for IPv4, v4-mapped sockets included, and IP6T_SO_ORIGINAL_DST for IPv6
 * (net/netfilter/nf_conntrack_proto.c, getorigdst and ipv6_getorigdst). `out` holds at least a
 * sockaddr_in6; *out_len is set to what was written: AF_INET or AF_INET6, never v4-mapped.
 * 0, or -ENOENT (no rule brought it: the client came directly, or the kernel does not track
 * connections), -EAFNOSUPPORT (not an IP socket), or another -errno.
 */
int original_dst_read(int fd, struct sockaddr *out, socklen_t *out_len);

/*
 * The same for TPROXY: the socket's own local address is the destination
 * (Documentation/networking/tproxy.rst), so whether a rule was there at all it cannot tell.
 * 0, -EAFNOSUPPORT or another -errno.
 */
int original_dst_read_tproxy(int fd, struct sockaddr *out, socklen_t *out_len);

#endif
