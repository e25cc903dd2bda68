// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler_ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ksplit.skel.h"
#include "observe/bpf_object.h"
#include "observe/sampler_internal.h"

/* What head_ring_wipe puts into the ring: zeros (bpf/head_maps.h, BLANK_BYTES). */
#define BLANK_BYTES 4096
/*
 * A record is completed within microseconds, unless its CPU is taken away from it by a hypervisor.
 */
#define POLL_YIELDS 100
#define POLL_TRIES  150 /* then the next look has to take it */

static int take_event(void *ctx, void *data, size_t size)
{
	struct sampler *sampler = ctx;
	const struct ksplit_head_event *event = data;

	if (size < sizeof(*event) || event->len > size - sizeof(*event) || event->kind == 0)
		return 0; /* a blank */
	sampler->polled++;
	sampler->dirty = true;
	sampler->event(sampler->event_ctx, event);
	return 0;
}

/* --- begin and end --- */

/* kernel/bpf/ringbuf.c: consumer position, producer position, then the data, pages of their own. */
static int map_positions(struct sampler *sampler)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map__fd(sampler->skel->maps.heads);
	void *consumed = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);
	void *produced = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, page);

	sampler->consumed = consumed == MAP_FAILED ? NULL : consumed;
	sampler->produced = produced == MAP_FAILED ? NULL : produced;
	return sampler->consumed && sampler->produced ? 0 : -ENOMEM;
}

static void unmap_positions(struct sampler *sampler)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (sampler->consumed)
		munmap((void *)sampler->consumed, page);
	if (sampler->produced)
		munmap((void *)sampler->produced, page);
}

int sampler_open_ring(struct sampler *sampler)
{
	int err;

	if (!sampler->set || (!bpf_object_has(sampler->set, BPF_GROUP_FENTRY) &&
			      !bpf_object_has(sampler->set, BPF_GROUP_SK_MSG)))
		return 0;
	sampler->skel = bpf_object_skeleton(sampler->set);
	sampler->ring = ring_buffer__new(bpf_map__fd(sampler->skel->maps.heads), take_event,
					 sampler, NULL);
	if (!sampler->ring)
		return -errno;
	err = map_positions(sampler);
	if (err) {
		ring_buffer__free(sampler->ring);
		sampler->ring = NULL;
	}
	return err;
}

void sampler_close_ring(struct sampler *sampler)
{
	unmap_positions(sampler);
	ring_buffer__free(sampler->ring);
	sampler->ring = NULL;
}

/* --- what is in it --- */

int sampler_poll(struct sampler *sampler, sampler_event_fn event, void *ctx)
{
	unsigned long written;
	int n;

	if (!sampler->ring)
		return 0;
	sampler->event = event;
	sampler->event_ctx = ctx;
	sampler->polled = 0;
	sampler->behind = false;
	/*
	 * libbpf stops at a record that another CPU is about to complete; those behind it may be of
	 * a connection that has ended already. All that was begun before this call is taken.
	 */
	written = atomic_load_explicit(sampler->produced, memory_order_acquire);
	for (int i = 0;; i++) {
		n = ring_buffer__consume(sampler->ring);
		if (n < 0)
			return n;
		if (atomic_load_explicit(sampler->consumed, memory_order_acquire) >= written)
			break;
		if (i == POLL_TRIES) {
			sampler->behind = true;
			break;
		}
		if (i < POLL_YIELDS)
			sched_yield();
		else
			usleep(100);
	}
	return (int)sampler->polled;
}

bool sampler_is_behind(const struct sampler *sampler)
{
	return sampler->behind;
}

int sampler_wait_fd(const struct sampler *sampler)
{
	return sampler->ring ? ring_buffer__epoll_fd(sampler->ring) : -1;
}

size_t sampler_ring_bytes(const struct sampler *sampler)
{
	return sampler->ring ? bpf_map__max_entries(sampler->skel->maps.heads) : 0;
}

void sampler_wipe(struct sampler *sampler, sampler_event_fn event, void *ctx)
{
	uint8_t packet[64] = {0}; /* test runs of socket filters want an Ethernet frame */
	size_t size = sampler_ring_bytes(sampler), step = size / 4;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet,
		    .data_size_in = sizeof(packet), .repeat = (int)(step / BLANK_BYTES));

	if (!sampler->ring || !sampler->dirty || options.repeat == 0)
		return;
	/* Each blank has a header, too: a turn is a little more than the ring. */
	for (size_t done = 0; done <= size; done += step) {
		if (bpf_prog_test_run_opts(bpf_program__fd(sampler->skel->progs.head_ring_wipe),
					   &options) ||
		    options.retval == 0)
			return; /* events are coming: they write over it */
		if (sampler_poll(sampler, event, ctx) > 0)
			return;
	}
	sampler->dirty = false;
}

uint64_t sampler_count(const struct sampler *sampler, enum ksplit_sampler_count count)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t key = count;
	uint64_t sum = 0, *values;

	if (!sampler->ring || cpus <= 0)
		return 0;
	values = calloc((size_t)cpus, sizeof(*values));
	if (values && !bpf_map_lookup_elem(bpf_map__fd(sampler->skel->maps.sampler_counts), &key,
					   values))
		for (int i = 0; i < cpus; i++)
			sum += values[i];
	free(values);
	return sum;
}
