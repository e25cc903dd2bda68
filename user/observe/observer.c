// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/observer.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "observe/bpf_object.h"
#include "observe/event_queue.h"
#include "observe/observer_internal.h"
#include "observe/observer_look.h"
#include "observe/observer_setup.h"
#include "observe/process_finder.h"
#include "observe/timings.h"

/* How long events may lie: short while they come, longer when all is quiet. */
#define LOOK_BUSY_MS  20
#define LOOK_QUIET_MS 250
/* Looks without an event, a second together, before the ring is written over. */
#define QUIET_LOOKS 50

const char *observer_sampler_name(enum ksplit_sampler sampler)
{
	static const char *const names[] = {[KSPLIT_SAMPLER_NONE] = "none",
					    [KSPLIT_SAMPLER_FENTRY] = "fentry",
					    [KSPLIT_SAMPLER_SK_MSG] = "sk_msg",
					    [KSPLIT_SAMPLER_USER] = "user"};

	return (unsigned int)sampler < KSPLIT_SAMPLERS ? names[sampler] : "none";
}

struct aggregate *observer_aggregate(struct observer *observer)
{
	return observer->aggregate;
}

struct sampler *observer_sampler(struct observer *observer)
{
	return observer->sampler;
}

struct timings *observer_timings(struct observer *observer)
{
	return observer->timings;
}

struct event_queue *observer_queue(struct observer *observer, size_t worker)
{
	return observer->queues[worker];
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

void observer_read_status(struct observer *observer, struct observer_status *out)
{
	const struct observer_counts *counts = &observer->counts;

	*out = observer->status;
	for (int i = 0; i < KSPLIT_SAMPLERS; i++) {
		out->connections[i] = read_count(&counts->connections[i]);
		out->events[i] = read_count(&counts->events[i]);
	}
	for (int i = 0; i < HTTP_TROUBLES; i++)
		out->troubles[i] = read_count(&counts->troubles[i]);
	out->lost_bytes = read_count(&counts->lost_bytes);
	out->requests = read_count(&counts->requests);
	out->not_http = read_count(&counts->not_http);
	out->ring_dropped = sampler_count(observer->sampler, SAMPLER_DROPPED);
	for (size_t i = 0; i < observer->queues_len; i++)
		out->queue_dropped += event_queue_dropped(observer->queues[i]);
}

/* --- the thread --- */

static void wait(struct observer *observer)
{
	struct pollfd fds[] = {{.fd = observer->wake_fd, .events = POLLIN},
			       {.fd = sampler_wait_fd(observer->sampler), .events = POLLIN}};
	uint64_t count;
	ssize_t n;

	poll(fds, 2, observer->quiet < QUIET_LOOKS ? LOOK_BUSY_MS : LOOK_QUIET_MS);
	if (fds[0].revents & POLLIN) {
		n = read(observer->wake_fd, &count, sizeof(count));
		(void)n;
	}
}

static void *observer_thread(void *arg)
{
	struct observer *observer = arg;

	pthread_setname_np(pthread_self(), "ksplit-observe");
	while (!atomic_load(&observer->stop)) {
		observer_look(observer);
		observer->quiet = observer->taken ? 0 : observer->quiet + 1;
		if (observer->quiet == QUIET_LOOKS)
			observer_wipe(observer);
		wait(observer);
	}
	observer_look(observer); /* workers have ended: these are the last records ... */
	observer_look(observer); /* ... and the connections that they closed */
	return NULL;
}

int observer_start(struct observer *observer, const struct observer_sink *sink)
{
	int err;

	observer->sink = *sink;
	err = pthread_create(&observer->thread, NULL, observer_thread, observer);
	observer->thread_started = !err;
	return -err;
}

/* --- begin and end --- */

int observer_new(const struct observer_options *options, struct observer **out, char *error,
		 size_t error_len)
{
	const struct aggregate_limits limits = {.max_series = options->max_series,
						.max_endpoints = options->max_endpoints};
	struct observer *observer = calloc(1, sizeof(*observer));
	int err;

	*out = observer;
	if (!observer)
		return -ENOMEM;
	snprintf(error, error_len, "cannot set up the observer");
	TAILQ_INIT(&observer->closing);
	STAILQ_INIT(&observer->late);
	observer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = observer->wake_fd < 0 ? -errno : observed_table_init(&observer->table);
	if (!err)
		err = aggregate_new(&limits, &observer->aggregate);
	if (!err)
		err = observer_make_queues(observer, options);
	if (!err)
		err = observer_make_samplers(observer, options, error, error_len);
	if (err) {
		observer_free(observer);
		*out = NULL;
	}
	return err;
}

void observer_stop(struct observer *observer)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!observer || !observer->thread_started)
		return;
	atomic_store(&observer->stop, true);
	n = write(observer->wake_fd, &one, sizeof(one));
	(void)n;
	pthread_join(observer->thread, NULL);
	observer->thread_started = false;
}

void observer_free(struct observer *observer)
{
	if (!observer)
		return;
	observer_stop(observer);
	while (late_events_first(&observer->late))
		late_events_drop(&observer->late);
	observed_table_free(&observer->table);
	process_finder_free(observer->processes);
	timings_free(observer->timings);
	sampler_free(observer->sampler);
	bpf_object_free(observer->set);
	for (size_t i = 0; i < observer->queues_len; i++)
		event_queue_free(observer->queues[i]);
	free(observer->queues);
	aggregate_free(observer->aggregate);
	if (observer->wake_fd >= 0)
		close(observer->wake_fd);
	free(observer);
}
