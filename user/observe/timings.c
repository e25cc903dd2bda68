// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/timings.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/cgroup.h"

struct timings {
	struct bpf_link *link; /* NULL: nothing is counted */
	int sockets, endpoints; /* maps; the set's */
	int cpus;
	char why[BPF_WHY_MAX];
};

/* The kernel copies each CPU's value at a multiple of 8 bytes. */
_Static_assert(sizeof(struct ksplit_endpoint) % 8 == 0, "values of CPUs lie side by side");

static int attach(struct timings *timings, struct bpf_object_set *set)
{
	struct ksplit_bpf *skel = bpf_object_skeleton(set);
	int cgroup = cgroup_open_own(), err;

	if (cgroup < 0) {
		snprintf(timings->why, sizeof(timings->why), "our cgroup v2 cannot be opened: %s",
			 strerror(-cgroup));
		return cgroup;
	}
	timings->link = bpf_program__attach_cgroup(skel->progs.time_sockets, cgroup);
	err = timings->link ? 0 : -errno;
	close(cgroup);
	if (err) {
		snprintf(timings->why, sizeof(timings->why),
			 "sock_ops cannot be attached to our cgroup: %s", strerror(-err));
		return err;
	}
	timings->sockets = bpf_map__fd(skel->maps.socket_times);
	timings->endpoints = bpf_map__fd(skel->maps.endpoints);
	return 0;
}

int timings_new(struct bpf_object_set *set, struct timings **out)
{
	struct timings *timings = calloc(1, sizeof(*timings));
	int err;

	if (!timings)
		return -ENOMEM;
	*out = timings;
	timings->cpus = libbpf_num_possible_cpus();
	if (!bpf_object_has(set, BPF_GROUP_TIMINGS)) {
		snprintf(timings->why, sizeof(timings->why), "%s",
			 bpf_object_why(set, BPF_GROUP_TIMINGS));
		return 0;
	}
	if (timings->cpus <= 0) {
		snprintf(timings->why, sizeof(timings->why), "the number of CPUs is not known");
		return 0;
	}
	if (attach(timings, set) < 0) {
		log_info("BPF timings: off: %s", timings->why);
		return 0;
	}
	err = bpf_object_pin_link(set, timings->link, "link_timings");
	if (err)
		log_warn("BPF timings: the link is not pinned: %s", strerror(-err));
	return 0;
}

void timings_free(struct timings *timings)
{
	if (!timings)
		return;
	/* What is pinned would stay attached. */
	if (timings->link && bpf_link__pin_path(timings->link))
		bpf_link__unpin(timings->link);
	bpf_link__destroy(timings->link);
	free(timings);
}

const char *timings_why(const struct timings *timings)
{
	return timings->why;
}

static int mark(struct timings *timings, int fd, enum ksplit_endpoint_role role)
{
	struct ksplit_socket_times times = {.role = (__u8)role};

	if (!timings->link)
		return 0;
	return bpf_map_update_elem(timings->sockets, &fd, &times, BPF_ANY) ? -errno : 0;
}

int timings_mark_listener(struct timings *timings, int fd)
{
	return mark(timings, fd, KSPLIT_ENDPOINT_CLIENT);
}

int timings_mark_upstream(struct timings *timings, int fd)
{
	return mark(timings, fd, KSPLIT_ENDPOINT_ORIGIN);
}

static void add_buckets(__u32 *sum, const __u32 *one)
{
	for (int i = 0; i < KSPLIT_ENDPOINT_BUCKETS; i++)
		sum[i] += one[i];
}

static void add(struct ksplit_endpoint *sum, const struct ksplit_endpoint *one)
{
	sum->connecting += one->connecting;
	sum->established += one->established;
	sum->failed += one->failed;
	sum->closed += one->closed;
	sum->retransmits += one->retransmits;
	sum->rtt_samples += one->rtt_samples;
	sum->rtt_sum_us += one->rtt_sum_us;
	if (one->rtt_min_us && (!sum->rtt_min_us || one->rtt_min_us < sum->rtt_min_us))
		sum->rtt_min_us = one->rtt_min_us;
	if (one->rtt_max_us > sum->rtt_max_us)
		sum->rtt_max_us = one->rtt_max_us;
	sum->connect_sum_us += one->connect_sum_us;
	sum->lifetime_sum_us += one->lifetime_sum_us;
	add_buckets(sum->rtt_us, one->rtt_us);
	add_buckets(sum->connect_us, one->connect_us);
}

/* `values` has room for every CPU's. */
static int read_sum(struct timings *timings, const struct ksplit_endpoint_key *key,
		    struct ksplit_endpoint *values, struct ksplit_endpoint *sum)
{
	if (bpf_map_lookup_elem(timings->endpoints, key, values))
		return -errno;
	memset(sum, 0, sizeof(*sum));
	for (int i = 0; i < timings->cpus; i++)
		add(sum, &values[i]);
	return 0;
}

int timings_read(struct timings *timings, const struct ksplit_endpoint_key *key,
		 struct ksplit_endpoint *sum)
{
	struct ksplit_endpoint *values;
	int err;

	if (!timings->link)
		return -ENOENT;
	values = calloc((size_t)timings->cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	err = read_sum(timings, key, values, sum);
	free(values);
	return err;
}

int timings_for_each(struct timings *timings, timings_visit_t visit, void *ctx)
{
	struct ksplit_endpoint_key key, *last = NULL;
	struct ksplit_endpoint *values, sum;
	int err = 0;

	if (!timings->link)
		return 0;
	values = calloc((size_t)timings->cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	/* Begins again when `last` was forgotten meanwhile: bounded, or it could go on for ever. */
	for (int i = 0; i < KSPLIT_ENDPOINT_MAX && !err; i++) {
		if (bpf_map_get_next_key(timings->endpoints, last, &key)) {
			err = errno == ENOENT ? 0 : -errno;
			break;
		}
		last = &key;
		err = read_sum(timings, &key, values, &sum);
		if (err == -ENOENT)
			err = 0;
		else if (!err && !visit(ctx, &key, &sum))
			break;
	}
	free(values);
	return err;
}
