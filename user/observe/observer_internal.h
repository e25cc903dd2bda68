/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_OBSERVER_INTERNAL_H
#define KSPLIT_OBSERVE_OBSERVER_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "observe/late_events.h"
#include "observe/observed.h"
#include "observe/observer.h"

TAILQ_HEAD(observed_closing, observed);

/*
 * The counts of struct observer_status. One writer, the observer's thread; any readers. What is
 * counted here is counted before it is told anywhere else: who has seen a request finds it counted.
 */
struct observer_counts {
	_Atomic uint64_t connections[KSPLIT_SAMPLERS];
	_Atomic uint64_t events[KSPLIT_SAMPLERS];
	_Atomic uint64_t lost_bytes;
	_Atomic uint64_t troubles[HTTP_TROUBLES];
	_Atomic uint64_t requests;
	_Atomic uint64_t not_http;
};

/* Shared by observer.c, observer_setup.c and observer_look.c. */
struct observer {
	struct observer_sink sink;
	struct aggregate *aggregate;
	struct bpf_object_set *set; /* NULL: no BPF */
	struct sampler *sampler;
	struct timings *timings;
	struct process_finder *processes;
	struct event_queue **queues;
	size_t queues_len;
	int wake_fd;
	pthread_t thread;
	bool thread_started;
	_Atomic bool stop;
	struct observer_status status; /* how it was set up; its counts stay 0 */
	struct observer_counts counts;
	/* The thread's own. */
	struct observed_table table;
	struct observed_closing closing;
	struct late_events late;
	uint64_t taken; /* records and events of this look */
	unsigned int quiet;
};

#endif
