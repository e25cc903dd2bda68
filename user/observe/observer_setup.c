// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/observer_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "observe/bpf_object.h"
#include "observe/event_queue.h"
#include "observe/observer_internal.h"
#include "observe/preemption.h"
#include "observe/process_finder.h"
#include "observe/timings.h"

static int load_programs(struct observer *observer, const struct observer_options *options,
			 bool spare)
{
	bool bpf = options->mode == SAMPLER_MODE_AUTO || options->mode == SAMPLER_MODE_BPF;
	const struct bpf_object_options load = {
		.wanted = {[BPF_GROUP_TIMINGS] = options->timings,
			   [BPF_GROUP_PROCESSES] = options->processes,
			   [BPF_GROUP_FENTRY] = bpf && options->attach != KSPLIT_SAMPLER_SK_MSG,
			   [BPF_GROUP_SK_MSG] = bpf && options->attach != KSPLIT_SAMPLER_FENTRY},
		.sk_msg_spare = spare,
		.head_bytes = options->head_bytes,
		.ring_bytes = options->ring_bytes,
		.workers = (uint32_t)options->workers,
		.connections = options->connections,
		.stand_ins = preemption_possible(),
		.pin = true,
		.pin_root = options->pin_root,
	};
	int err = bpf_object_load(&load, &observer->set);

	if (err == -ENOMEM)
		return err;
	if (err)
		observer->set = NULL; /* not ours to use: the daemon does what it can itself */
	return 0;
}

/* Why something is not there; "" when it is. */
static void explain(char *why, size_t len, const struct bpf_object_set *set, bool made,
		    const char *own)
{
	const char *text = own;

	if (!set)
		text = "no BPF: CAP_BPF and CAP_NET_ADMIN are needed";
	else if (!made)
		text = "switched off in the configuration";
	snprintf(why, len, "%s", text);
}

static void describe(struct observer *observer, const struct observer_options *options)
{
	struct observer_status *status = &observer->status;
	const struct bpf_object_set *set = observer->set;

	status->kernel_tls = options->kernel_tls ? sampler_at(observer->sampler, SAMPLER_KERNEL_TLS)
						 : KSPLIT_SAMPLER_NONE;
	status->plain = sampler_at(observer->sampler, SAMPLER_PLAIN_TCP);
	status->user = sampler_at(observer->sampler, SAMPLER_USER_TLS);
	snprintf(status->why, sizeof(status->why), "%s", sampler_why(observer->sampler));
	explain(status->timings_why, sizeof(status->timings_why), set, observer->timings != NULL,
		observer->timings ? timings_why(observer->timings) : "");
	status->timings = !status->timings_why[0];
	explain(status->processes_why, sizeof(status->processes_why), set,
		observer->processes != NULL,
		observer->processes ? process_finder_why(observer->processes) : "");
	status->processes = !status->processes_why[0];
	snprintf(status->pins, sizeof(status->pins), "%s", set ? bpf_object_pins(set) : "");
	status->ring_bytes = sampler_ring_bytes(observer->sampler);
}

static int choose_sampler(struct observer *observer, const struct observer_options *options,
			  bool spare, char *error, size_t error_len)
{
	const struct sampler_options sampling = {.mode = options->mode,
						 .attach = options->attach,
						 .kernel_tls = options->kernel_tls};
	int err = load_programs(observer, options, spare);

	return err ? err
		   : sampler_new(&sampling, observer->set, &observer->sampler, error, error_len);
}

int observer_make_samplers(struct observer *observer, const struct observer_options *options,
			   char *error, size_t error_len)
{
	int err = choose_sampler(observer, options, true, error, error_len);

	/* fentry can be loaded here, but does not see what it should. */
	if (observer->sampler && sampler_misses_spare(observer->sampler)) {
		sampler_free(observer->sampler);
		observer->sampler = NULL;
		bpf_object_free(observer->set);
		observer->set = NULL;
		err = choose_sampler(observer, options, false, error, error_len);
	}
	if (!err && observer->set && options->timings)
		err = timings_new(observer->set, &observer->timings);
	if (!err && options->processes)
		err = process_finder_new(observer->set, &observer->processes);
	if (!err)
		describe(observer, options);
	return err;
}

int observer_make_queues(struct observer *observer, const struct observer_options *options)
{
	int err = 0;

	observer->queues = calloc(options->workers, sizeof(*observer->queues));
	if (!observer->queues)
		return -ENOMEM;
	for (; !err && observer->queues_len < options->workers; observer->queues_len++) {
		err = event_queue_new(options->queue_bytes, observer->wake_fd,
				      &observer->queues[observer->queues_len]);
		if (err)
			break;
	}
	return err;
}
