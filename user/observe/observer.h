/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_OBSERVER_H
#define KSPLIT_OBSERVE_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include <ksplit/head_event.h>

#include "observe/aggregate.h"
#include "observe/http_decoder.h"
#include "observe/sampler.h"

/*
 * The observer: a thread that takes what samplers and workers tell, has it decoded and summed up.
 * Workers never wait for it: what does not fit into a worker's queue is dropped and counted.
 */
struct observer;

/* How the plaintext is sampled at present, and what became of the events. */
struct observer_status {
	enum ksplit_sampler kernel_tls; /* of streams that go out by kernel TLS */
	enum ksplit_sampler plain;	/* ... by plain TCP (raw connections that are not TLS) */
	enum ksplit_sampler user;	/* ... by OpenSSL: KSPLIT_SAMPLER_USER or NONE (off) */
	char why[256];			/* one sentence: why these */
	bool timings;			/* the sock_ops program is attached */
	char timings_why[192];		/* one sentence when it is not */
	bool processes;			/* the connect hook is attached */
	char processes_why[192];
	char pins[128];			/* folder of pinned maps; "" none */
	size_t ring_bytes;		/* of the BPF ring buffer; 0: none */
	uint64_t connections[KSPLIT_SAMPLERS]; /* sampled so far, by sampler */
	uint64_t events[KSPLIT_SAMPLERS];      /* head events taken */
	uint64_t ring_dropped;		/* events that the ring buffer had no room for */
	uint64_t queue_dropped;		/* ... a worker's queue */
	uint64_t lost_bytes;		/* sk_msg beside kernel TLS: bytes that it was not shown */
	uint64_t troubles[HTTP_TROUBLES];
	uint64_t requests;
	uint64_t not_http;		/* connections that are neither HTTP/1 nor HTTP/2 */
};

/* Told of every request, on the observer's thread; must not block. For the access log. */
struct observer_sink {
	void (*request)(void *ctx, const struct observe_conn *conn,
			const struct observe_request *request);
	void *ctx;
};

struct observer_options {
	enum sampler_mode mode;
	enum ksplit_sampler attach; /* NONE: the probe chooses */
	bool kernel_tls;	    /* can there be sockets of kernel TLS? */
	uint32_t head_bytes, ring_bytes, queue_bytes;
	bool timings, processes;
	uint32_t max_series, max_endpoints;
	size_t workers;
	uint32_t connections; /* that there may be at once; 0: as many as the samplers can do */
	int pin_root; /* bpf_pins.h; 0: none is needed; as long as the observer */
};

/*
 * Load and try the samplers, make the queues; no thread yet. Caller owns *out. 0 or -errno with one
 * line in `error` (-EOPNOTSUPP: what is forced is not possible here).
 */
int observer_new(const struct observer_options *options, struct observer **out, char *error,
		 size_t error_len);

/* Start the thread. `sink` is copied. 0 or -errno. */
int observer_start(struct observer *observer, const struct observer_sink *sink);

/*
 * Take what is still queued and end the thread; the aggregate stays. After the workers' end. NULL
 * allowed.
 */
void observer_stop(struct observer *observer);

/* ... and detach and free everything. NULL allowed. */
void observer_free(struct observer *observer);

/* What workers use: the samplers, a queue for each worker, marks for the timings. */
struct sampler *observer_sampler(struct observer *observer);
struct event_queue *observer_queue(struct observer *observer, size_t worker);
struct timings *observer_timings(struct observer *observer); /* NULL: off */

/* Records of the queues, beside head events. */
struct observer_open {
	struct observe_conn conn;	/* `process` is found by the observer */
	union conn_address local;	/* our address on the client's side */
	enum ksplit_sampler sampler;
};

struct observer_close {
	struct conn_info info;
	struct aggregate_tcp tcp;
	uint64_t lost_bytes;
	bool opened; /* an observer_open went before it */
};

/* "none", "fentry", "sk_msg", "user". */
const char *observer_sampler_name(enum ksplit_sampler sampler);

/* The aggregate that it fills; lives as long as the observer. */
struct aggregate *observer_aggregate(struct observer *observer);

/*
 * Any thread. Counts are those of the moment, each for itself; none is behind what the aggregate or
 * the sink was told.
 */
void observer_read_status(struct observer *observer, struct observer_status *out);

#endif
