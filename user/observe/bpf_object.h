/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BPF_OBJECT_H
#define KSPLIT_OBSERVE_BPF_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one BPF object of bpf/, its programs in groups that are loaded as far as this kernel takes
 * them: what a kernel refuses is left out, with a reason, and the others work all the same.
 */
enum bpf_group {
	BPF_GROUP_TIMINGS,   /* sock_ops */
	BPF_GROUP_PROCESSES, /* cgroup/connect4, connect6, sock_ops */
	BPF_GROUP_FENTRY,    /* head sampler on inet_sendmsg, inet6_sendmsg (and inet_sendpage) */
	BPF_GROUP_SK_MSG,    /* head sampler in a sockhash */
	BPF_GROUP_STEER,     /* capture: connect4, connect6, sendmsg, getpeername, sock_ops */
	BPF_GROUPS
};

#define BPF_WHY_MAX 192

struct bpf_object_options {
	bool wanted[BPF_GROUPS];
	/*
	 * sk_msg only where fentry cannot be loaded: whoever has the latter has no use for it, and
	 * the verifier takes as long for each of these programs as for all others together.
	 */
	bool sk_msg_spare;
	uint32_t head_bytes, ring_bytes;
	uint32_t workers; /* threads that send, each with a share of connections; 0: one */
	uint32_t connections; /* that there may be at once; 0: a million */
	bool stand_ins; /* two programs for each send, where one can be preempted (preemption.h) */
	bool pin; /* the maps, in a folder of KSPLIT_PIN_ROOT */
	int pin_root; /* of bpf_pins_open_root, as long as the set; 0: the way there is open */
};

/* Where maps and links are pinned: a folder of this daemon's own inside it. */
#define KSPLIT_PIN_ROOT "/sys/fs/bpf/ksplit"

struct ksplit_bpf; /* the skeleton, <ksplit.skel.h> */
struct bpf_object_set;

/*
 * Load what is wanted and possible. Nothing but tracing programs is attached yet. Folders of
 * KSPLIT_PIN_ROOT whose daemon is dead are removed first. Caller owns *out. 0 or -errno: -EPERM
 * (no CAP_BPF), -ENOMEM ...; a kernel without BPF gives 0 and no group.
 */
int bpf_object_load(const struct bpf_object_options *options, struct bpf_object_set **out);

/* Is a group loaded? If not, one sentence why. */
bool bpf_object_has(const struct bpf_object_set *set, enum bpf_group group);
const char *bpf_object_why(const struct bpf_object_set *set, enum bpf_group group);

/* Was sk_msg spared, and could be loaded for all that is known? */
bool bpf_object_spared(const struct bpf_object_set *set);

struct ksplit_bpf *bpf_object_skeleton(struct bpf_object_set *set);

/*
 * Pin a link beside the maps: `name` in the daemon's folder. 0 (also when nothing is pinned) or
 * -errno.
 */
struct bpf_link;
int bpf_object_pin_link(struct bpf_object_set *set, struct bpf_link *link, const char *name);

/* The folder of this daemon's pins; "" none. */
const char *bpf_object_pins(const struct bpf_object_set *set);

/* Detach, unpin, free everything. NULL allowed. */
void bpf_object_free(struct bpf_object_set *set);

#endif
