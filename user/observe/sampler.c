// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ksplit.skel.h"
#include "observe/bpf_object.h"
#include "observe/observer.h"
#include "observe/sampler_internal.h"
#include "observe/sampler_probe.h"
#include "observe/stream_scanner.h"

/* What head_ring_wipe puts into the ring: zeros (bpf/head_maps.h, BLANK_BYTES). */
#define BLANK_BYTES 4096
/* A record is completed within microseconds, unless its CPU is taken away from it by a hypervisor. */
#define POLL_YIELDS 100
#define POLL_TRIES  2000

/* --- programs in place --- */

static int attach_trace(struct sampler *sampler, struct bpf_program *program, const char *name)
{
	struct bpf_link *link;

	if (bpf_program__fd(program) < 0)
		return 0; /* this kernel has no such function */
	link = bpf_program__attach(program);
	if (!link)
		return -errno;
	sampler->links[sampler->links_len++] = link;
	bpf_object_pin_link(sampler->set, link, name);
	return 0;
}

static int attach_fentry(struct sampler *sampler)
{
	int err = attach_trace(sampler, sampler->skel->progs.head_inet_sendmsg,
			       "link_head_inet_sendmsg");

	if (!err)
		err = attach_trace(sampler, sampler->skel->progs.head_inet6_sendmsg,
				   "link_head_inet6_sendmsg");
	if (!err)
		err = attach_trace(sampler, sampler->skel->progs.head_inet_sendpage,
				   "link_head_inet_sendpage");
	return err;
}

/* A sockhash has no link before 6.13; the map's end is the program's, too. */
static int attach_sk_msg(struct sampler *sampler)
{
	int err = bpf_prog_attach(bpf_program__fd(sampler->skel->progs.head_sk_msg),
				  bpf_map__fd(sampler->skel->maps.sampled), BPF_SK_MSG_VERDICT, 0);

	sampler->hash_attached = !err;
	return err;
}

static void detach_fentry(struct sampler *sampler)
{
	while (sampler->links_len) {
		struct bpf_link *link = sampler->links[--sampler->links_len];

		bpf_link__unpin(link);
		bpf_link__destroy(link);
	}
}

static void detach_sk_msg(struct sampler *sampler)
{
	if (sampler->hash_attached)
		bpf_prog_detach2(bpf_program__fd(sampler->skel->progs.head_sk_msg),
				 bpf_map__fd(sampler->skel->maps.sampled), BPF_SK_MSG_VERDICT);
	sampler->hash_attached = false;
}

/* --- the ring --- */

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

int sampler_poll(struct sampler *sampler, sampler_event_fn event, void *ctx)
{
	unsigned long written;
	int n;

	if (!sampler->ring)
		return 0;
	sampler->event = event;
	sampler->event_ctx = ctx;
	sampler->polled = 0;
	/*
	 * libbpf stops at a record that another CPU is about to complete; those behind it may be of a
	 * connection that has ended already. All that was begun before this call is taken.
	 */
	written = atomic_load_explicit(sampler->produced, memory_order_acquire);
	for (int i = 0; i < POLL_TRIES; i++) {
		n = ring_buffer__consume(sampler->ring);
		if (n < 0)
			return n;
		if (atomic_load_explicit(sampler->consumed, memory_order_acquire) >= written)
			break;
		if (i < POLL_YIELDS)
			sched_yield();
		else
			usleep(100);
	}
	return (int)sampler->polled;
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

/* --- sockets --- */

int sampler_enlist(struct sampler *sampler, int fd, uint64_t conn, enum ksplit_stream stream)
{
	uint64_t key = conn << 1 | stream, value = (uint64_t)fd;

	if (!sampler->hash_attached)
		return 0;
	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sampled), &key, &value, BPF_ANY)
		       ? -errno
		       : 0;
}

int sampler_arm(struct sampler *sampler, enum sampler_place place, uint64_t conn, bool http2,
		const int fd[KSPLIT_STREAMS])
{
	const struct ksplit_pair pair = {.http2 = http2};

	if (bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.pairs), &conn, &pair, BPF_ANY))
		return -errno;
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		struct ksplit_stream_state state;
		int err;

		stream_state_init(&state, conn, i, sampler->at[place]);
		if (!bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd[i], &state,
					 BPF_ANY))
			continue;
		err = -errno;
		sampler_disarm(sampler, conn, fd);
		return err;
	}
	return 0;
}

int sampler_read(struct sampler *sampler, int fd, struct ksplit_stream_state *state)
{
	return bpf_map_lookup_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd, state) ? -errno
											: 0;
}

int sampler_write(struct sampler *sampler, int fd, const struct ksplit_stream_state *state)
{
	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd, state, BPF_EXIST)
		       ? -errno
		       : 0;
}

int sampler_read_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			 struct ksplit_pending *pending)
{
	uint64_t key = state->conn << 1 | state->stream;

	return bpf_map_lookup_elem(bpf_map__fd(sampler->skel->maps.partial), &key, pending) ? -errno
											    : 0;
}

int sampler_write_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			  const struct ksplit_pending *pending)
{
	uint64_t key = state->conn << 1 | state->stream;

	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.partial), &key, pending, BPF_ANY)
		       ? -errno
		       : 0;
}

void sampler_leave(struct sampler *sampler, int fd)
{
	bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd);
}

void sampler_forget(struct sampler *sampler, uint64_t conn)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		uint64_t key = conn << 1 | (unsigned int)i;

		bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.partial), &key);
		if (sampler->hash_attached)
			bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sampled), &key);
	}
	bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.pairs), &conn);
}

void sampler_disarm(struct sampler *sampler, uint64_t conn, const int fd[KSPLIT_STREAMS])
{
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd[i]);
	sampler_forget(sampler, conn);
}

/* --- the choice --- */

static void say(struct sampler *sampler, const char *place, const char *text, int err)
{
	size_t used = strlen(sampler->why);

	snprintf(sampler->why + used, sizeof(sampler->why) - used, "%s%s: %s%s%s", used ? "; " : "",
		 place, text, err ? ": " : "", err ? strerror(-err) : "");
}

/* Set up, try, and leave it in place if it sees what it should. */
static bool choose(struct sampler *sampler, enum sampler_place place, enum ksplit_sampler kind,
		   const char *name)
{
	bool fentry = kind == KSPLIT_SAMPLER_FENTRY;
	enum bpf_group group = fentry ? BPF_GROUP_FENTRY : BPF_GROUP_SK_MSG;
	bool attached = fentry ? sampler->links_len : sampler->hash_attached;
	int err = 0;

	if (!sampler->set || !bpf_object_has(sampler->set, group)) {
		say(sampler, name, sampler->set ? bpf_object_why(sampler->set, group)
					 : "no BPF: CAP_BPF and CAP_NET_ADMIN are needed",
		    0);
		return false;
	}
	if (!attached)
		err = fentry ? attach_fentry(sampler) : attach_sk_msg(sampler);
	sampler->at[place] = kind;
	if (!err)
		err = sampler_probe(sampler, place);
	if (!err) {
		say(sampler, name, "tried, and sees what is sent", 0);
		return true;
	}
	sampler->at[place] = KSPLIT_SAMPLER_NONE;
	if (err == -ENODATA)
		say(sampler, name, "tried, but nothing came out", 0);
	else if (err == -EINVAL && !fentry)
		say(sampler, name, "this kernel keeps sockmap and kernel TLS apart", 0);
	else
		say(sampler, name, "cannot be tried", err);
	if (!attached && fentry)
		detach_fentry(sampler);
	else if (!attached)
		detach_sk_msg(sampler);
	return false;
}

static bool wants(const struct sampler_options *options, enum ksplit_sampler kind)
{
	return options->attach == KSPLIT_SAMPLER_NONE || options->attach == kind;
}

static void choose_all(struct sampler *sampler, const struct sampler_options *options)
{
	bool found = false;

	if (!options->kernel_tls)
		say(sampler, "kernel TLS", "not in use", 0);
	else if (wants(options, KSPLIT_SAMPLER_FENTRY))
		found = choose(sampler, SAMPLER_KERNEL_TLS, KSPLIT_SAMPLER_FENTRY,
			       "fentry on kernel TLS");
	if (options->kernel_tls && !found && wants(options, KSPLIT_SAMPLER_SK_MSG))
		choose(sampler, SAMPLER_KERNEL_TLS, KSPLIT_SAMPLER_SK_MSG, "sk_msg on kernel TLS");
	choose(sampler, SAMPLER_PLAIN_TCP, KSPLIT_SAMPLER_SK_MSG, "sk_msg on plain TCP");
}

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

static int open_ring(struct sampler *sampler)
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

static int check_forced(const struct sampler *sampler, const struct sampler_options *options,
			char *error, size_t error_len)
{
	enum ksplit_sampler kernel_tls = sampler->at[SAMPLER_KERNEL_TLS];
	bool plain = sampler->at[SAMPLER_PLAIN_TCP] != KSPLIT_SAMPLER_NONE;

	if (options->attach == KSPLIT_SAMPLER_NONE) {
		if (options->mode != SAMPLER_MODE_BPF || kernel_tls != KSPLIT_SAMPLER_NONE || plain)
			return 0;
	} else if (kernel_tls == options->attach ||
		   (!options->kernel_tls && plain && options->attach == KSPLIT_SAMPLER_SK_MSG)) {
		return 0;
	}
	snprintf(error, error_len,
		 "the BPF sampler is asked for, but this kernel does not do it (%s); set sampler to "
		 "auto",
		 sampler->why);
	return -EOPNOTSUPP;
}

int sampler_new(const struct sampler_options *options, struct bpf_object_set *set,
		struct sampler **out, char *error, size_t error_len)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	bool bpf = options->mode == SAMPLER_MODE_AUTO || options->mode == SAMPLER_MODE_BPF;
	int err = 0;

	*out = sampler;
	if (!sampler)
		return -ENOMEM;
	sampler->set = bpf ? set : NULL;
	if (options->mode == SAMPLER_MODE_OFF) {
		say(sampler, "sampler", "switched off in the configuration", 0);
		return 0;
	}
	if (bpf) {
		err = open_ring(sampler);
		if (err)
			say(sampler, "ring buffer", "cannot be read", err);
		if (!err)
			choose_all(sampler, options);
		err = check_forced(sampler, options, error, error_len);
	} else {
		say(sampler, "sampler", "the daemon's own, as configured", 0);
	}
	/* What BPF does not see the daemon samples itself. */
	for (int i = 0; i < SAMPLER_PLACES; i++)
		if (sampler->at[i] == KSPLIT_SAMPLER_NONE)
			sampler->at[i] = KSPLIT_SAMPLER_USER;
	return err;
}

void sampler_free(struct sampler *sampler)
{
	if (!sampler)
		return;
	detach_fentry(sampler);
	detach_sk_msg(sampler);
	unmap_positions(sampler);
	ring_buffer__free(sampler->ring);
	free(sampler);
}

enum ksplit_sampler sampler_at(const struct sampler *sampler, enum sampler_place place)
{
	return sampler->at[place];
}

const char *sampler_why(const struct sampler *sampler)
{
	return sampler->why;
}
