// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer_inner.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "capture/steer_check.h"
#include "capture/steer_lists.h"
#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/caller_key.h"

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t steer_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

enum capture_state steer_state(struct steer *steer)
{
	enum capture_state state;

	pthread_mutex_lock(&steer->lock);
	state = steer->status.state.state;
	pthread_mutex_unlock(&steer->lock);
	return state;
}

void steer_set_state_locked(struct steer *steer, enum capture_state state, const char *by,
			    const char *why)
{
	struct capture_status *status = &steer->status.state;

	status->state = state;
	status->since_ms = wall_ms();
	status->loaded += state == CAPTURE_ON;
	snprintf(status->by, sizeof(status->by), "%s", by);
	snprintf(status->why, sizeof(status->why), "%s", why);
	pthread_cond_broadcast(&steer->settled);
}

void steer_set_state(struct steer *steer, enum capture_state state, const char *by, const char *why)
{
	pthread_mutex_lock(&steer->lock);
	steer_set_state_locked(steer, state, by, why);
	pthread_mutex_unlock(&steer->lock);
}

void steer_count_withdrawn(struct steer *steer, enum capture_withdrawal withdrawal)
{
	pthread_mutex_lock(&steer->lock);
	steer->status.state.withdrawn[withdrawal]++;
	pthread_mutex_unlock(&steer->lock);
}

void steer_read(struct steer *steer, struct steer_status *out)
{
	pthread_mutex_lock(&steer->lock);
	*out = steer->status;
	pthread_mutex_unlock(&steer->lock);
}

int steer_read_counts(struct steer *steer, uint64_t counts[KSPLIT_STEER_COUNTS])
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	int map = steer->skel ? bpf_map__fd(steer->skel->maps.steer_counts) : -1, err = 0;

	memset(counts, 0, KSPLIT_STEER_COUNTS * sizeof(*counts));
	if (!values)
		return cpus > 0 ? -ENOMEM : cpus;
	for (__u32 i = 0; map >= 0 && i < KSPLIT_STEER_COUNTS && !err; i++) {
		err = bpf_map_lookup_elem(map, &i, values) ? -errno : 0;
		for (int cpu = 0; cpu < cpus && !err; cpu++)
			counts[i] += values[cpu];
	}
	free(values);
	return err;
}

/* --- calls --- */

static int take_call(int map, const struct sockaddr *client, const struct sockaddr *local,
		     struct ksplit_steer_address *out)
{
	const union conn_address *source = (const union conn_address *)(const void *)client;
	const union conn_address *destination = (const union conn_address *)(const void *)local;
	struct ksplit_caller_key key;

	if (!caller_key_pack(0, source, destination, &key))
		return -ENOENT;
	if (bpf_map_lookup_elem(map, &key, out))
		return -errno;
	bpf_map_delete_elem(map, &key);
	return 0;
}

int steer_take_call(struct ksplit_bpf *skel, const struct sockaddr *client,
		    const struct sockaddr *local, struct ksplit_steer_address *out)
{
	return take_call(bpf_map__fd(skel->maps.steer_calls), client, local, out);
}

int steer_calls_fd(const struct steer *steer)
{
	return steer->skel ? bpf_map__fd(steer->skel->maps.steer_calls) : -1;
}

/* What is looked up in it is written to a place of a fixed size. */
static bool is_map_of_calls(int fd)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == BPF_MAP_TYPE_LRU_HASH &&
	       info.key_size == sizeof(struct ksplit_caller_key) &&
	       info.value_size == sizeof(struct ksplit_steer_address);
}

void steer_inherit(struct steer *steer, int calls_fd)
{
	if (is_map_of_calls(calls_fd)) {
		steer->inherited_calls = calls_fd;
		return;
	}
	log_warn("capture by connect hook: calls that are under way are refused: where they go "
		 "to cannot be looked up");
	close(calls_fd);
}

int steer_find(struct steer *steer, const struct sockaddr *client, const struct sockaddr *local,
	       struct sockaddr *out, socklen_t *out_len)
{
	struct ksplit_steer_address original;
	int err = steer->skel ? steer_take_call(steer->skel, client, local, &original) : -ENOENT;

	if (err && steer->inherited_calls >= 0)
		err = take_call(steer->inherited_calls, client, local, &original);
	if (!err)
		*out_len = steer_unpack(&original, out);
	return err;
}

const char *steer_count_name(enum ksplit_steer_count count)
{
	switch (count) {
	case KSPLIT_STEER_STEERED: return "steered";
	case KSPLIT_STEER_OTHER: return "other";
	case KSPLIT_STEER_IS_EXEMPT: return "exempt";
	case KSPLIT_STEER_OWN: return "own";
	case KSPLIT_STEER_OTHER_NETNS: return "other_namespace";
	case KSPLIT_STEER_BOUND: return "bound_to_device";
	case KSPLIT_STEER_NO_LISTENER: return "no_listener";
	case KSPLIT_STEER_STALLED: return "stalled";
	case KSPLIT_STEER_NO_MEMORY: return "no_memory";
	case KSPLIT_STEER_QUIC_REFUSED: return "quic_refused";
	case KSPLIT_STEER_COUNTS: break;
	}
	return "unknown";
}
