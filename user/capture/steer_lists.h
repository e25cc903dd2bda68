/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_STEER_LISTS_H
#define KSPLIT_CAPTURE_STEER_LISTS_H

#include <stdbool.h>

#include <linux/types.h>

#include <ksplit/steer.h>

#include "capture/capture.h"

struct ksplit_bpf;

/* What the connect hook's maps are told: addresses, settings, lists. */

/* An IP address as the programs have it, IPv4 mapped; of all addresses becomes loopback's. */
void steer_pack_listener(const union capture_address *address, struct ksplit_steer_address *out);

/* An address that the programs have kept; v4-mapped becomes IPv4. Returns its length. */
socklen_t steer_unpack(const struct ksplit_steer_address *address, struct sockaddr *out);

/* 0 or -errno. */
int steer_set(struct ksplit_bpf *skel, const struct ksplit_steer_settings *settings);

/*
 * Lists of a part; an empty list of networks takes all of them. Exempt cgroups and units are those
 * that are there now: asked for again and again.
 */
int steer_lists_fill(struct ksplit_bpf *skel, const struct capture_part *part);
int steer_lists_exempt_cgroups(struct ksplit_bpf *skel, const struct capture_match *exempt);

/* Empty all lists, so that nothing is taken. 0 or -errno. */
int steer_lists_clear(struct ksplit_bpf *skel);

/* One port and one network, to be taken (or to be taken no more). 0 or -errno. */
int steer_lists_take(struct ksplit_bpf *skel, uint16_t port, const struct capture_network *network,
		     bool take);

#endif
