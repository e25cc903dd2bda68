// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer_inner.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "capture/steer_check.h"
#include "capture/steer_lists.h"
#include "capture/steer_targets.h"
#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/bpf_object.h"

#define MS_NS 1000000ULL

int steer_load(struct steer *steer, char *why, size_t why_len)
{
	struct bpf_object_options options = {.wanted[BPF_GROUP_STEER] = true};
	int err = bpf_object_load(&options, &steer->set);

	if (err) {
		steer->set = NULL;
		snprintf(why, why_len, "BPF may not be used: %s%s", strerror(-err),
			 err == -EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)" : "");
		return err;
	}
	if (!bpf_object_has(steer->set, BPF_GROUP_STEER)) {
		snprintf(why, why_len, "%s", bpf_object_why(steer->set, BPF_GROUP_STEER));
		bpf_object_free(steer->set);
		steer->set = NULL;
		return -ENOTSUP;
	}
	steer->skel = bpf_object_skeleton(steer->set);
	return 0;
}

int steer_beat(struct steer *steer)
{
	__u64 ns = steer_clock_ns();
	__u32 only = 0;

	if (bpf_map_update_elem(bpf_map__fd(steer->skel->maps.steer_beat), &only, &ns, BPF_ANY))
		return -errno;
	steer->beat_ns = ns;
	return 0;
}

void steer_look(struct steer *steer)
{
	size_t attached;

	steer_lists_exempt_cgroups(steer->skel, &steer->options.part->exempt);
	steer_targets_look(steer->targets);
	attached = steer_targets_attached(steer->targets);
	pthread_mutex_lock(&steer->lock);
	steer->status.attached = attached;
	pthread_mutex_unlock(&steer->lock);
}

/* Only those of the test are steered while it runs: no call of others may find its listener. */
static int try(struct steer *steer, char *why, size_t why_len)
{
	int err = steer_lists_clear(steer->skel);

	if (err)
		snprintf(why, why_len, "its maps cannot be emptied: %s", strerror(-err));
	if (!err)
		err = steer_check_learn(steer->skel, why, why_len);
	if (!err)
		err = steer_check_call(steer->skel, steer->options.listener6.sa.sa_family != 0, why,
				       why_len);
	if (!err)
		return 0;
	pthread_mutex_lock(&steer->lock);
	steer->status.state.self_test_failed++;
	pthread_mutex_unlock(&steer->lock);
	return err;
}

/* A beat of long ago, or none: it takes another one before anything is steered. */
static int fill(struct steer *steer, char *why, size_t why_len)
{
	const struct steer_options *options = &steer->options;
	struct ksplit_steer_settings settings = {
		.patience_ns = options->watchdog ? options->watchdog * MS_NS : UINT64_MAX / 2,
		.mark = options->mark,
		.on = 1,
		.refuse_quic = options->refuse_quic,
		.any_port = !options->part->match.ports.len,
	};
	__u64 never = 0;
	__u32 only = 0;
	int err = steer_lists_fill(steer->skel, options->part);

	steer_pack_listener(&options->listener, &settings.listener4);
	steer_pack_listener(&options->listener6, &settings.listener6);
	if (!err)
		err = steer_lists_exempt_cgroups(steer->skel, &options->part->exempt);
	if (!err && bpf_map_update_elem(bpf_map__fd(steer->skel->maps.steer_beat), &only, &never,
					BPF_ANY))
		err = -errno;
	if (!err)
		err = steer_set(steer->skel, &settings);
	if (err)
		snprintf(why, why_len, "the lists do not fit into its maps: %s", strerror(-err));
	return err;
}

static int make_targets(struct steer *steer, char *why, size_t why_len)
{
	int err = steer->targets ? 0
				 : steer_targets_new(&steer->options.part->match, steer->skel,
						     steer->options.refuse_quic, &steer->targets);

	if (err)
		snprintf(why, why_len, "its cgroups cannot be looked for: %s", strerror(-err));
	return err;
}

void steer_hold(struct steer *steer)
{
	struct ksplit_steer_settings off = {0};

	steer->wanted = false;
	if (steer->skel)
		steer_set(steer->skel, &off);
}

/* Nobody is led anywhere, and no program is asked. */
static void let_go(struct steer *steer)
{
	steer_hold(steer);
	if (steer->targets)
		steer_targets_release(steer->targets);
	pthread_mutex_lock(&steer->lock);
	steer->status.attached = 0;
	pthread_mutex_unlock(&steer->lock);
}

void steer_switch_on(struct steer *steer, const char *by)
{
	char why[CAPTURE_WHY] = "it does not work on this kernel";
	int err;

	steer_set_state(steer, CAPTURE_STARTING, by, "");
	err = try(steer, why, sizeof(why));
	if (!err)
		err = make_targets(steer, why, sizeof(why));
	if (!err)
		err = fill(steer, why, sizeof(why));
	if (err) {
		let_go(steer);
		log_error("capture by connect hook is off, calls go direct: %s", why);
		steer_set_state(steer, CAPTURE_FAILED, by, why);
		return;
	}
	steer->wanted = true;
	steer->beat_ns = steer_clock_ns(); /* from now on it is waited for */
	steer_look(steer);
}

void steer_switch_off(struct steer *steer, const char *by, enum capture_withdrawal withdrawal)
{
	let_go(steer);
	if (steer_state(steer) == CAPTURE_ON)
		steer_count_withdrawn(steer, withdrawal);
	if (withdrawal == CAPTURE_BY_COMMAND)
		log_info("capture by connect hook is off: by %s", by);
	steer_set_state(steer, CAPTURE_OFF, by, "");
}
