/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_STEER_TARGETS_H
#define KSPLIT_CAPTURE_STEER_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

#include "capture/capture.h"

/*
 * The cgroups that the connect hook hangs on. A service that is started again has a new cgroup
 * under the same path, and the kernel lets go of the links with the old one: so they are looked at
 * again and again. One thread at a time.
 */

struct bpf_link;
struct ksplit_bpf;
struct steer_targets;

#define STEER_LINKS 7 /* at most on one cgroup */

/*
 * Attach all programs of the hook to a cgroup (its folder's descriptor); those for UDP only if
 * asked for. 0, or -errno and nothing attached.
 */
int steer_attach(struct ksplit_bpf *skel, int cgroup, bool udp,
		 struct bpf_link *links[STEER_LINKS]);
void steer_detach(struct bpf_link *links[STEER_LINKS]);

/*
 * Nothing is attached yet. `match` and `skel` as long as the targets. Caller owns *out. 0 or
 * -errno.
 */
int steer_targets_new(const struct capture_match *match, struct ksplit_bpf *skel, bool udp,
		      struct steer_targets **out);
void steer_targets_free(struct steer_targets *targets);

/* Detach from all, until they are looked at again. */
void steer_targets_release(struct steer_targets *targets);

/*
 * Attach to what has come, forget what has gone; log both. A cgroup below another chosen one has
 * the hook from there.
 */
void steer_targets_look(struct steer_targets *targets);

/* How many of those that are asked for are there. Any thread. */
size_t steer_targets_attached(const struct steer_targets *targets);

#endif
