// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/observer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "observe/bpf_object.h"
#include "observe/event_queue.h"
#include "observe/late_events.h"
#include "observe/observed.h"
#include "observe/process_finder.h"
#include "observe/timings.h"

/* How long events may lie: short while they come, longer when all is quiet. */
#define LOOK_BUSY_MS  20
#define LOOK_QUIET_MS 250
/* Looks without an event, a second together, before the ring is written over. */
#define QUIET_LOOKS 50

TAILQ_HEAD(observed_closing, observed);

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
	/* The thread's own. */
	struct observed_table table;
	struct observed_closing closing;
	struct late_events late;
	uint64_t taken; /* records and events of this look */
	unsigned int quiet;
	pthread_mutex_t lock; /* status */
	struct observer_status status;
};

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

/* --- requests --- */

static void on_request(void *ctx, const struct observe_request *request)
{
	struct observed *observed = ctx;
	struct observer *observer = observed->observer;

	aggregate_add_request_again(observer->aggregate, &observed->conn, &observed->memo, request);
	if (observer->sink.request)
		observer->sink.request(observer->sink.ctx, &observed->conn, request);
	pthread_mutex_lock(&observer->lock);
	observer->status.requests++;
	pthread_mutex_unlock(&observer->lock);
}

static void on_trouble(void *ctx, enum http_decoder_trouble trouble)
{
	struct observed *observed = ctx;
	struct observer *observer = observed->observer;

	pthread_mutex_lock(&observer->lock);
	observer->status.troubles[trouble]++;
	pthread_mutex_unlock(&observer->lock);
}

static const struct http_decoder_callbacks callbacks = {.request = on_request,
							 .trouble = on_trouble};

/* --- what queues and ring tell --- */

static void find_process(struct observer *observer, const struct observer_open *open,
			 struct observe_process *process)
{
	if (!observer->processes)
		return;
	/* Seen from the caller: it called us - or, where a rule led it here, the origin. */
	process_finder_find(observer->processes, &open->conn.client, &open->local, process);
	if (!process->pid && !process->unit[0])
		process_finder_find(observer->processes, &open->conn.client, &open->conn.endpoint,
				    process);
}

static void take_open(struct observer *observer, const struct observer_open *open)
{
	struct observed *observed = observed_add(&observer->table, open->conn.id);

	if (!observed)
		return;
	observed->observer = observer;
	observed->conn = open->conn;
	observed->sampler = open->sampler;
	find_process(observer, open, &observed->conn.process);
	aggregate_open(observer->aggregate, &observed->conn);
	pthread_mutex_lock(&observer->lock);
	observer->status.connections[open->sampler]++;
	pthread_mutex_unlock(&observer->lock);
}

static void close_unopened(struct observer *observer, const struct observer_close *close)
{
	struct observe_conn conn = {.id = close->info.id,
				    .endpoint = close->info.upstream,
				    .client = close->info.client,
				    .passed = close->info.passed};

	memcpy(conn.server_name, close->info.sni, sizeof(conn.server_name));
	aggregate_close(observer->aggregate, &conn, &close->info, &close->tcp, false);
}

/* Its last events may still be in the ring: it is dealt with after those. */
static void take_close(struct observer *observer, const struct observer_close *close)
{
	struct observed *observed =
		close->opened ? observed_find(&observer->table, close->info.id) : NULL;

	if (observed && !observed->close) {
		observed->close = malloc(sizeof(*close));
		if (observed->close)
			memcpy(observed->close, close, sizeof(*close));
		TAILQ_INSERT_TAIL(&observer->closing, observed, close_link);
	} else if (!observed) {
		close_unopened(observer, close);
	}
}

static void take_head(struct observer *observer, const struct ksplit_head_event *event)
{
	struct observed *observed = observed_find(&observer->table, event->conn);

	if (!observed)
		return; /* its open was dropped, and counted there */
	if (!observed->decoder)
		observed->decoder = http_decoder_new(&callbacks, observed);
	if (observed->decoder)
		http_decoder_feed(observed->decoder, event);
	observed->not_http |= event->kind == KSPLIT_EVENT_OTHER;
	pthread_mutex_lock(&observer->lock);
	if (event->sampler < KSPLIT_SAMPLERS)
		observer->status.events[event->sampler]++;
	pthread_mutex_unlock(&observer->lock);
}

static void drain_queue(struct observer *observer, struct event_queue *queue)
{
	enum event_queue_kind kind;
	const void *record;
	size_t len;

	while ((record = event_queue_peek(queue, &kind, &len))) {
		observer->taken++;
		if (kind == EVENT_QUEUE_HEAD && !late_events_keep(&observer->late, record))
			take_head(observer, record);
		else if (kind == EVENT_QUEUE_OPEN)
			take_open(observer, record);
		else if (kind == EVENT_QUEUE_CLOSE)
			take_close(observer, record);
		event_queue_take(queue);
	}
}

static void drain_queues(struct observer *observer)
{
	for (size_t i = 0; i < observer->queues_len; i++)
		drain_queue(observer, observer->queues[i]);
}

/* An event of the ring can be younger than the last look into the queue with its connection. */
static void on_ring_event(void *ctx, const struct ksplit_head_event *event)
{
	struct observer *observer = ctx;

	observer->taken++;
	if (!observed_find(&observer->table, event->conn))
		drain_queues(observer);
	take_head(observer, event);
}

/* Events that follow what was in the ring. */
static void take_late(struct observer *observer, struct late_events *late)
{
	const struct ksplit_head_event *event;

	while ((event = late_events_first(late))) {
		take_head(observer, event);
		late_events_drop(late);
	}
}

static void end_connection(struct observer *observer, struct observed *observed)
{
	struct observer_close *close = observed->close;

	if (observed->decoder)
		http_decoder_finish(observed->decoder);
	if (close)
		aggregate_close(observer->aggregate, &observed->conn, &close->info, &close->tcp,
				true);
	pthread_mutex_lock(&observer->lock);
	observer->status.not_http += observed->not_http;
	if (close)
		observer->status.lost_bytes += close->lost_bytes;
	pthread_mutex_unlock(&observer->lock);
	observed_remove(&observer->table, observed);
}

/*
 * Connections that were closed before the ring was looked into have had their last event. What the
 * queues tell while it is being read (on_ring_event) has to wait for the next look.
 */
static void look(struct observer *observer)
{
	struct observed_closing closing = TAILQ_HEAD_INITIALIZER(closing);
	struct late_events late = STAILQ_HEAD_INITIALIZER(late);
	struct observed *observed;

	observer->taken = 0;
	drain_queues(observer);
	TAILQ_CONCAT(&closing, &observer->closing, close_link);
	STAILQ_CONCAT(&late, &observer->late);
	sampler_poll(observer->sampler, on_ring_event, observer);
	take_late(observer, &late);
	while ((observed = TAILQ_FIRST(&closing))) {
		TAILQ_REMOVE(&closing, observed, close_link);
		end_connection(observer, observed);
	}
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
		look(observer);
		observer->quiet = observer->taken ? 0 : observer->quiet + 1;
		if (observer->quiet == QUIET_LOOKS)
			sampler_wipe(observer->sampler, on_ring_event, observer);
		wait(observer);
	}
	look(observer); /* workers have ended: these are the last records ... */
	look(observer); /* ... and the connections that they closed */
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

static int load_programs(struct observer *observer, const struct observer_options *options)
{
	bool bpf = options->mode == SAMPLER_MODE_AUTO || options->mode == SAMPLER_MODE_BPF;
	const struct bpf_object_options load = {
		.wanted = {[BPF_GROUP_TIMINGS] = options->timings,
			   [BPF_GROUP_PROCESSES] = options->processes,
			   [BPF_GROUP_FENTRY] = bpf && options->kernel_tls &&
						options->attach != KSPLIT_SAMPLER_SK_MSG,
			   [BPF_GROUP_SK_MSG] = bpf},
		.head_bytes = options->head_bytes,
		.ring_bytes = options->ring_bytes,
		.workers = (uint32_t)options->workers,
		.pin = true,
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

static int make_samplers(struct observer *observer, const struct observer_options *options,
			 char *error, size_t error_len)
{
	const struct sampler_options sampling = {.mode = options->mode,
						 .attach = options->attach,
						 .kernel_tls = options->kernel_tls};
	int err = load_programs(observer, options);

	if (!err)
		err = sampler_new(&sampling, observer->set, &observer->sampler, error, error_len);
	if (!err && observer->set && options->timings)
		err = timings_new(observer->set, &observer->timings);
	if (!err && options->processes)
		err = process_finder_new(observer->set, &observer->processes);
	if (!err)
		describe(observer, options);
	return err;
}

static int make_queues(struct observer *observer, const struct observer_options *options)
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
	pthread_mutex_init(&observer->lock, NULL);
	TAILQ_INIT(&observer->closing);
	STAILQ_INIT(&observer->late);
	observer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = observer->wake_fd < 0 ? -errno : observed_table_init(&observer->table);
	if (!err)
		err = aggregate_new(&limits, &observer->aggregate);
	if (!err)
		err = make_queues(observer, options);
	if (!err)
		err = make_samplers(observer, options, error, error_len);
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
	pthread_mutex_destroy(&observer->lock);
	free(observer);
}

void observer_read_status(struct observer *observer, struct observer_status *out)
{
	pthread_mutex_lock(&observer->lock);
	*out = observer->status;
	pthread_mutex_unlock(&observer->lock);
	out->ring_dropped = sampler_count(observer->sampler, SAMPLER_DROPPED);
	for (size_t i = 0; i < observer->queues_len; i++)
		out->queue_dropped += event_queue_dropped(observer->queues[i]);
}
