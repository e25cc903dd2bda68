/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_OBSERVER_SETUP_H
#define KSPLIT_OBSERVE_OBSERVER_SETUP_H

#include "observe/observer.h"

/*
 * Steps of observer_new. What they make belongs to the observer, also when they fail: observer_free
 * frees it.
 */

/* A queue for each worker; they wake observer->wake_fd. 0 or -errno. */
int observer_make_queues(struct observer *observer, const struct observer_options *options);

/*
 * Load the BPF programs, try the samplers, and say in observer->status what came of it. 0 or
 * -errno; one line in `error` where the sampler gives a reason (sampler_new).
 */
int observer_make_samplers(struct observer *observer, const struct observer_options *options,
			   char *error, size_t error_len);

#endif
