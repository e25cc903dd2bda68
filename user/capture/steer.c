// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "capture/steer_check.h"
#include "capture/steer_lists.h"
#include "capture/steer_targets.h"
#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/bpf_object.h"
#include "observe/caller_key.h"

#define TURN_MS	      500 /* cgroups are looked for, the heart beats */
#define TURNS_A_WATCH 4	  /* at least so often within the watchdog's time */
#define MS_NS	      1000000ULL

struct steer {
	struct bpf_object_set *set; /* NULL: off */
	struct ksplit_bpf *skel;    /* the set's */
	struct steer_targets *targets;
	struct steer_options options;
	char why[STEER_WHY_MAX];
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ends; /* under the lock */
};

/* --- the daemon's heart --- */

static int beat(struct steer *steer)
{
	struct timespec now;
	__u32 only = 0;
	__u64 ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (__u64)now.tv_sec * 1000 * MS_NS + (__u64)now.tv_nsec;
	return bpf_map_update_elem(bpf_map__fd(steer->skel->maps.steer_beat), &only, &ns, BPF_ANY)
		       ? -errno
		       : 0;
}

static uint32_t turn_ms(const struct steer *steer)
{
	uint32_t watchdog = steer->options.watchdog;

	if (!watchdog || watchdog / TURNS_A_WATCH > TURN_MS)
		return TURN_MS;
	return watchdog / TURNS_A_WATCH ? watchdog / TURNS_A_WATCH : 1;
}

/* Until the next turn; true when it is the end. */
static bool wait_turn(struct steer *steer)
{
	struct timespec until;
	bool ends;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(turn_ms(steer) * MS_NS);
	if (until.tv_nsec >= 1000 * (long)MS_NS) {
		until.tv_nsec -= 1000 * (long)MS_NS;
		until.tv_sec++;
	}
	pthread_mutex_lock(&steer->lock);
	while (!steer->ends &&
	       pthread_cond_timedwait(&steer->wake, &steer->lock, &until) != ETIMEDOUT)
		;
	ends = steer->ends;
	pthread_mutex_unlock(&steer->lock);
	return ends;
}

static void *run(void *arg)
{
	struct steer *steer = arg;

	pthread_setname_np(pthread_self(), "ksplit-steer");
	do {
		if (!steer->options.works || steer->options.works(steer->options.ctx))
			beat(steer);
		steer_lists_exempt_cgroups(steer->skel, &steer->options.part->exempt);
		steer_targets_look(steer->targets);
	} while (!wait_turn(steer));
	return NULL;
}

/* --- begin and end --- */

static int load(struct steer *steer)
{
	struct bpf_object_options options = {.wanted[BPF_GROUP_STEER] = true};
	int err = bpf_object_load(&options, &steer->set);

	if (err) {
		steer->set = NULL;
		snprintf(steer->why, sizeof(steer->why), "BPF may not be used: %s%s",
			 strerror(-err), err == -EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)"
						       : "");
		return err;
	}
	if (!bpf_object_has(steer->set, BPF_GROUP_STEER)) {
		snprintf(steer->why, sizeof(steer->why), "%s",
			 bpf_object_why(steer->set, BPF_GROUP_STEER));
		return -ENOTSUP;
	}
	steer->skel = bpf_object_skeleton(steer->set);
	return 0;
}

static int switch_on(struct steer *steer)
{
	const struct steer_options *options = &steer->options;
	struct ksplit_steer_settings settings = {
		.patience_ns = options->watchdog ? options->watchdog * MS_NS : UINT64_MAX / 2,
		.mark = options->mark,
		.on = 1,
		.refuse_quic = options->refuse_quic,
		.any_port = !options->part->match.ports.len,
	};
	int err = steer_lists_fill(steer->skel, options->part);

	steer_pack_listener(&options->listener, &settings.listener4);
	steer_pack_listener(&options->listener6, &settings.listener6);
	if (!err)
		err = steer_lists_exempt_cgroups(steer->skel, &options->part->exempt);
	if (!err)
		err = beat(steer);
	if (!err)
		err = steer_set(steer->skel, &settings);
	if (err)
		snprintf(steer->why, sizeof(steer->why), "the lists do not fit into its maps: %s",
			 strerror(-err));
	return err;
}

static int start_thread(struct steer *steer)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&steer->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&steer->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = -pthread_create(&steer->thread, NULL, run, steer);
	steer->has_thread = !err;
	if (err)
		snprintf(steer->why, sizeof(steer->why), "no thread for it: %s", strerror(-err));
	return err;
}

static int begin(struct steer *steer)
{
	const struct steer_options *options = &steer->options;
	int err = load(steer);

	if (!err)
		err = steer_check_learn(steer->skel, steer->why, sizeof(steer->why));
	if (!err)
		err = steer_check_call(steer->skel, options->listener6.sa.sa_family != 0,
				       steer->why, sizeof(steer->why));
	if (!err)
		err = switch_on(steer);
	if (err)
		return err;
	err = steer_targets_new(&options->part->match, steer->skel, options->refuse_quic,
				&steer->targets);
	if (err) {
		snprintf(steer->why, sizeof(steer->why), "its cgroups cannot be looked for: %s",
			 strerror(-err));
		return err;
	}
	steer_targets_look(steer->targets);
	return start_thread(steer);
}

int steer_new(const struct steer_options *options, struct steer **out)
{
	struct steer *steer = calloc(1, sizeof(*steer));

	*out = steer;
	if (!steer)
		return -ENOMEM;
	steer->options = *options;
	if (begin(steer) == 0)
		return 0;
	if (!steer->why[0])
		snprintf(steer->why, sizeof(steer->why), "it does not work on this kernel");
	steer_targets_free(steer->targets);
	bpf_object_free(steer->set);
	steer->targets = NULL;
	steer->set = NULL;
	steer->skel = NULL;
	return 0;
}

void steer_stop(struct steer *steer)
{
	if (!steer || !steer->has_thread)
		return;
	pthread_mutex_lock(&steer->lock);
	steer->ends = true;
	pthread_cond_signal(&steer->wake);
	pthread_mutex_unlock(&steer->lock);
	pthread_join(steer->thread, NULL);
	steer->has_thread = false;
	pthread_cond_destroy(&steer->wake);
	pthread_mutex_destroy(&steer->lock);
	steer_targets_release(steer->targets);
}

void steer_free(struct steer *steer)
{
	if (!steer)
		return;
	steer_stop(steer);
	steer_targets_free(steer->targets);
	bpf_object_free(steer->set);
	free(steer);
}

const char *steer_why(const struct steer *steer)
{
	return steer->why;
}

/* --- what is asked --- */

int steer_take_call(struct ksplit_bpf *skel, const struct sockaddr *client,
		    const struct sockaddr *local, struct ksplit_steer_address *out)
{
	const union conn_address *source = (const union conn_address *)(const void *)client;
	const union conn_address *destination = (const union conn_address *)(const void *)local;
	int map = bpf_map__fd(skel->maps.steer_calls);
	struct ksplit_caller_key key;

	if (!caller_key_pack(0, source, destination, &key))
		return -ENOENT;
	if (bpf_map_lookup_elem(map, &key, out))
		return -errno;
	bpf_map_delete_elem(map, &key);
	return 0;
}

int steer_find(struct steer *steer, const struct sockaddr *client, const struct sockaddr *local,
	       struct sockaddr *out, socklen_t *out_len)
{
	struct ksplit_steer_address original;
	int err = steer->skel ? steer_take_call(steer->skel, client, local, &original) : -ENOENT;

	if (!err)
		*out_len = steer_unpack(&original, out);
	return err;
}

static int read_counts(struct steer *steer, struct steer_status *out)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	int map = bpf_map__fd(steer->skel->maps.steer_counts), err = 0;

	if (!values)
		return cpus > 0 ? -ENOMEM : cpus;
	for (__u32 i = 0; i < KSPLIT_STEER_COUNTS && !err; i++) {
		err = bpf_map_lookup_elem(map, &i, values) ? -errno : 0;
		for (int cpu = 0; cpu < cpus && !err; cpu++)
			out->counts[i] += values[cpu];
	}
	free(values);
	return err;
}

int steer_read(struct steer *steer, struct steer_status *out)
{
	memset(out, 0, sizeof(*out));
	out->wanted = steer->options.part->match.cgroups.len + steer->options.part->match.units.len;
	if (!steer->skel)
		return 0;
	out->attached = steer_targets_attached(steer->targets);
	return read_counts(steer, out);
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
