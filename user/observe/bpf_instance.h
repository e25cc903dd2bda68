/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BPF_INSTANCE_H
#define KSPLIT_OBSERVE_BPF_INSTANCE_H

#include "observe/bpf_group.h"

/* One instance of the object, with some of its groups loaded into the kernel. */

struct bpf_instance_plan {
	const struct bpf_object_options *options; /* not owned */
	const struct kernel_btf *kernel;	  /* not owned */
	bool netns_cookies;			  /* the kernel tells them to sock_ops */
};

/* Open and set up an instance in which these groups would be loaded. Otherwise as below. */
int bpf_instance_open(const struct bpf_instance_plan *plan, unsigned int groups,
		      struct ksplit_bpf **out);

/*
 * Open, set up and load the groups (bits 1 << enum bpf_group); tracing programs are attached, since
 * some kernels refuse only that: their links are in the skeleton, for whoever uses them. Caller owns
 * *out, freed by ksplit_bpf__destroy. 0 or -errno.
 */
int bpf_instance_load(const struct bpf_instance_plan *plan, unsigned int groups,
		      struct ksplit_bpf **out);

/*
 * A group could not be loaded: which of its programs, and why? One sentence, with the verifier's
 * last word.
 */
void bpf_instance_explain(const struct bpf_instance_plan *plan, enum bpf_group group, int err,
			  char why[BPF_WHY_MAX]);

#endif
