/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_STEER_CHECK_H
#define KSPLIT_CAPTURE_STEER_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct ksplit_bpf;

/*
 * Before anybody's call is steered. Both leave the hook off (settings of zero) and nothing
 * attached, send no packet from this host, and write one sentence into `why` when they fail.
 */

/*
 * Have the programs learn who we are: a connect(2) of our own, with connect4 on our own cgroup for
 * that moment. 0 or -errno.
 */
int steer_check_learn(struct ksplit_bpf *skel, char *why, size_t why_len);

/*
 * A real call, of a child in a cgroup made for it, from an IPv4 socket, an IPv6 socket to a mapped
 * address, and (`ipv6`) an IPv6 socket: does it arrive at a listener of ours, with its original
 * destination, and is the caller told that? 0 or -errno. Takes some milliseconds.
 */
int steer_check_call(struct ksplit_bpf *skel, bool ipv6, char *why, size_t why_len);

/* Wanted there: the original destination of a steered connection (steer.c). 0 or -errno. */
struct sockaddr;
struct ksplit_steer_address;
int steer_take_call(struct ksplit_bpf *skel, const struct sockaddr *client,
		    const struct sockaddr *local, struct ksplit_steer_address *out);

#endif
