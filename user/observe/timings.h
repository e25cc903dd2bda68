/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_TIMINGS_H
#define KSPLIT_OBSERVE_TIMINGS_H

#include <linux/types.h>

#include <ksplit/endpoint.h>

#include "observe/bpf_object.h"

/*
 * TCP connect times, round trips, retransmits and lifetimes, summed up for every remote endpoint by
 * the sock_ops program on our own cgroup. Only sockets that were marked count. Any thread may call,
 * each function is some system calls.
 */
struct timings;

/*
 * Attach the program to our cgroup, and pin the link as "link_timings". Where it cannot be, *out is
 * one that counts nothing and tells why. `set` must live longer. Caller owns *out. 0 or -ENOMEM.
 */
int timings_new(struct bpf_object_set *set, struct timings **out);

/* Detach and free; NULL allowed. */
void timings_free(struct timings *timings);

/* One sentence why nothing is counted; "" when it is. */
const char *timings_why(const struct timings *timings);

/*
 * From now on what this listening socket accepts counts, for its client's endpoint. 0 (also when
 * nothing is counted) or -errno of bpf(2).
 */
int timings_mark_listener(struct timings *timings, int fd);

/* Before connect(2): this socket counts, for the endpoint that it will connect to. The same. */
int timings_mark_upstream(struct timings *timings, int fd);

/*
 * The sums of one endpoint, over all CPUs. Connections go on while it reads, so that figures may be
 * some events apart. 0 or -errno: -ENOENT (nothing is known of it), -ENOMEM.
 */
int timings_read(struct timings *timings, const struct ksplit_endpoint_key *key,
		 struct ksplit_endpoint *sum);

/*
 * Call `visit` for every endpoint, until it returns false. At most KSPLIT_ENDPOINT_MAX; one that
 * comes or goes meanwhile may be missed. 0 or -errno.
 */
typedef bool (*timings_visit_t)(void *ctx, const struct ksplit_endpoint_key *key,
				const struct ksplit_endpoint *sum);
int timings_for_each(struct timings *timings, timings_visit_t visit, void *ctx);

#endif
