/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_CGROUP_UNIT_H
#define KSPLIT_CAPTURE_CGROUP_UNIT_H

#include <limits.h>

/*
 * The cgroup of a systemd unit that runs: the folder of its name below the slices of the system
 * (systemd.resource-control(5), cgroups are named after their units). What users may name
 * themselves, below user.slice, is not looked at. `mount` is the root of cgroup v2; `path` is
 * relative to it, without a slash in front. 0 or -ENOENT: it does not run.
 */
int cgroup_unit_find(const char *mount, const char *unit, char path[PATH_MAX]);

#endif
