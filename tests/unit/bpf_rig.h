/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_BPF_RIG_H
#define KSPLIT_TESTS_BPF_RIG_H

/*
 * What tests of BPF programs need: root, a kernel with BPF and BTF, bpffs and cgroup v2. Mounts are
 * made in a mount namespace of the test's own. Include after cmocka.h.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "observe/bpf_object.h"
#include "observe/cgroup.h"

#define BPF_RIG_FS "/sys/fs/bpf"

/* What is missing for any BPF test, or NULL. */
static inline const char *bpf_rig_missing(void)
{
	if (geteuid() != 0)
		return "root";
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return "the kernel's BTF (CONFIG_DEBUG_INFO_BTF)";
	return NULL;
}

/* A cmocka group setup: own mount namespace, a fresh bpffs in it. Without root: nothing. */
static inline int bpf_rig_setup(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_WARN, false);
	if (bpf_rig_missing())
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", BPF_RIG_FS, "bpf", 0, NULL) < 0) {
		print_error("mount namespace: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

/* Skip, aloud, where a test cannot run. */
#define BPF_RIG_NEEDS_BPF()                                                                        \
	do {                                                                                       \
		if (bpf_rig_missing()) {                                                           \
			print_message("skipped: needs %s\n", bpf_rig_missing());                   \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static inline struct bpf_object_options bpf_rig_options(bool pin)
{
	struct bpf_object_options options = {
		.head_bytes = 512, .ring_bytes = 1 << 20, .stand_ins = true, .pin = pin};

	for (int i = 0; i < BPF_GROUPS; i++)
		options.wanted[i] = true;
	return options;
}

/* The same with one group alone: an emulated machine takes seconds to verify all of them. */
static inline struct bpf_object_options bpf_rig_only(enum bpf_group group, bool pin)
{
	struct bpf_object_options options = bpf_rig_options(pin);

	for (int i = 0; i < BPF_GROUPS; i++)
		options.wanted[i] = i == (int)group;
	return options;
}

/* Have cgroup v2 mounted: where nobody did it, in our own namespace. After bpf_rig_setup. */
static inline void bpf_rig_make_cgroup(void)
{
	char path[PATH_MAX];

	if (cgroup_find_mount(path) == -ENOENT)
		assert_int_equal(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL), 0);
}

/* The root of cgroup v2. */
static inline int bpf_rig_open_cgroup(void)
{
	int fd = cgroup_open_root();

	assert_true(fd >= 0);
	return fd;
}

static inline void bpf_rig_wait(pid_t child, int expected)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, expected);
}

#endif
