/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BPF_GROUP_H
#define KSPLIT_OBSERVE_BPF_GROUP_H

#include <bpf/libbpf.h>

#include "observe/bpf_object.h"
#include "observe/kernel_btf.h"

/*
 * Which program and which map of the object belongs to which group, and what of it can be loaded.
 * `groups` is a set: bit 1 << enum bpf_group.
 */

/* The groups of a program by its name; 0: of none, and so never loaded. */
unsigned int bpf_groups_of_program(const char *name);

/* "timings", "processes", "fentry", "sk_msg", "steering". */
const char *bpf_group_name(enum bpf_group group);

/*
 * The function of the kernel that a tracing program hangs on, from its section's name
 * ("fexit/inet_sendmsg"); NULL for other programs.
 */
const char *bpf_group_target(const struct bpf_program *program);

/*
 * Has the group a program that can be loaded, with `kernel` (what its BTF names)? If not, `why` is
 * one sentence.
 */
bool bpf_group_possible(const struct bpf_object *object, enum bpf_group group,
			const struct kernel_btf *kernel, char why[BPF_WHY_MAX]);

/*
 * Have just these groups' programs loaded, and the maps that they need created; stand-ins only if
 * wanted (bpf/head_sampler.bpf.c). A tracing program whose function this kernel does not have is
 * left out. Before bpf_object__load. 0 or -errno.
 */
int bpf_group_choose(struct bpf_object *object, unsigned int groups, bool stand_ins,
		     const struct kernel_btf *kernel);

#endif
