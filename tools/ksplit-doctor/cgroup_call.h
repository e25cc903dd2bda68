/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_CGROUP_CALL_H
#define KSPLIT_DOCTOR_CGROUP_CALL_H

#include <stdint.h>

#include "check.h"

/* Calls from a cgroup of an attempt's own, for what treats cgroups differently. */

struct cgroup_call {
	uint16_t port;   /* of the loopback address, where it connects to (IPv4) */
	uint16_t expect; /* what getpeername(2) has to say; 0: not asked */
};

/*
 * A cgroup for an attempt (cgroup.h): its descriptor, or -1 and in *rc what the attempt answers:
 * ATTEMPT_UNKNOWN with a reason where cgroup v2 is not there to be written to, else -errno.
 */
int cgroup_call_prepare(struct attempt *attempt, int *rc);

/*
 * Call from a process in that cgroup. 0, -errno of the call, -EADDRNOTAVAIL: another peer is told.
 */
int cgroup_call_make(int cgroup, const struct cgroup_call *call);

#endif
