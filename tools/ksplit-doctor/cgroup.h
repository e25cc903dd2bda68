/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_CGROUP_H
#define KSPLIT_DOCTOR_CGROUP_H

#include <stddef.h>

/*
 * An empty cgroup (v2) of the doctor's own, for BPF programs that must meet nobody else's
 * connections. Its name carries the process id of the doctor.
 */

/*
 * From the process of an attempt, whose parent is the doctor: make the cgroup and open it. A
 * descriptor of the folder; -ENOMEDIUM: cgroup v2 is not mounted; other -errno.
 */
int cgroup_make(void);

/*
 * The same process asks for its name as rules have it: below /sys/fs/cgroup, where nft looks for
 * it. 0, or -ENOMEDIUM: cgroup v2 is not mounted there.
 */
int cgroup_name(char *name, size_t len);

/* Move the calling process into it. 0 or -errno. */
int cgroup_enter(int cgroup);

/*
 * From the doctor: remove what cgroup_make has made, if anything. After every attempt, since one
 * that was killed cannot do it.
 */
void cgroup_sweep(void);

#endif
