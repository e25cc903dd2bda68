// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/observer_look.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "observe/event_queue.h"
#include "observe/observer_internal.h"
#include "observe/process_finder.h"

/* The only writer: no bus lock is needed. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static void on_request(void *ctx, const struct observe_request *request)
{
	struct observed *observed = ctx;
	struct observer *observer = observed->observer;

	count(&observer->counts.requests, 1);
	aggregate_add_request_again(observer->aggregate, &observed->conn, &observed->memo, request);
	if (observer->sink.request)
		observer->sink.request(observer->sink.ctx, &observed->conn, request);
}

static void on_trouble(void *ctx, enum http_decoder_trouble trouble)
{
	struct observed *observed = ctx;

	count(&observed->observer->counts.troubles[trouble], 1);
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
	count(&observer->counts.connections[open->sampler], 1);
	aggregate_open(observer->aggregate, &observed->conn);
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
	if (event->sampler < KSPLIT_SAMPLERS)
		count(&observer->counts.events[event->sampler], 1);
	if (observed->decoder)
		http_decoder_feed(observed->decoder, event);
	observed->not_http |= event->kind == KSPLIT_EVENT_OTHER;
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

	count(&observer->counts.not_http, observed->not_http);
	if (close)
		count(&observer->counts.lost_bytes, close->lost_bytes);
	if (observed->decoder)
		http_decoder_finish(observed->decoder);
	if (close)
		aggregate_close(observer->aggregate, &observed->conn, &close->info, &close->tcp,
				true);
	observed_remove(&observer->table, observed);
}

/* What has to come behind the ring's events is kept for the next look, in front of what is new. */
static void wait_for_ring(struct observer *observer, struct observed_closing *closing,
			  struct late_events *late)
{
	TAILQ_CONCAT(closing, &observer->closing, close_link);
	TAILQ_CONCAT(&observer->closing, closing, close_link);
	STAILQ_CONCAT(late, &observer->late);
	STAILQ_CONCAT(&observer->late, late);
}

/*
 * Connections that were closed before the ring was looked into have had their last event. What the
 * queues tell while it is being read (on_ring_event) has to wait for the next look.
 */
void observer_look(struct observer *observer)
{
	struct observed_closing closing = TAILQ_HEAD_INITIALIZER(closing);
	struct late_events late = STAILQ_HEAD_INITIALIZER(late);
	struct observed *observed;

	observer->taken = 0;
	drain_queues(observer);
	TAILQ_CONCAT(&closing, &observer->closing, close_link);
	STAILQ_CONCAT(&late, &observer->late);
	sampler_poll(observer->sampler, on_ring_event, observer);
	if (sampler_is_behind(observer->sampler)) {
		wait_for_ring(observer, &closing, &late);
		return;
	}
	take_late(observer, &late);
	while ((observed = TAILQ_FIRST(&closing))) {
		TAILQ_REMOVE(&closing, observed, close_link);
		end_connection(observer, observed);
	}
}

void observer_wipe(struct observer *observer)
{
	sampler_wipe(observer->sampler, on_ring_event, observer);
}
