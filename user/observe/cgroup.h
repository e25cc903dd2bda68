/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_CGROUP_H
#define KSPLIT_OBSERVE_CGROUP_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* cgroup v2 (cgroups(7)), wherever it is mounted, also beside v1 ("hybrid"). */

/*
 * Where its root is mounted, as our cgroup namespace sees it (proc(5), mountinfo). 0, or -errno:
 * -ENOENT no such mount.
 */
int cgroup_find_mount(char path[PATH_MAX]);

/* Folder of the whole hierarchy, or of our own cgroup. A descriptor (caller's) or -errno. */
int cgroup_open_root(void);
int cgroup_open_own(void);

/*
 * Path of a process's cgroup, "/system.slice/nginx.service"; `pid` 0: our own. 0 or -errno: -ENOENT
 * (no such process, or it has no cgroup v2), -ENAMETOOLONG.
 */
int cgroup_path_of_process(uint32_t pid, char *path, size_t size);

/*
 * Path of a cgroup by its id: what bpf_get_current_cgroup_id and INET_DIAG_CGROUP_ID tell. The id
 * is the handle of its folder (since Linux 5.5), so nothing is searched. `root` is from
 * cgroup_open_root. Needs CAP_DAC_READ_SEARCH. 0 or -errno: -ESTALE (gone), -EPERM ...
 */
int cgroup_path_of_id(int root, uint64_t id, char *path, size_t size);

/*
 * The systemd unit of a cgroup's path: its last element that ends in .service, .scope or .slice;
 * the path itself when there is none. Cut to `size` with its NUL.
 */
void cgroup_print_unit(const char *path, char *unit, size_t size);

#endif
