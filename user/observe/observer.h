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

/*
 * The observer: a thread that takes what samplers and workers tell, has it decoded and summed up.
 * Workers never wait for it: what does not fit into a worker's queue is dropped and counted.
 */
struct observer;

/* How the plaintext is sampled at present, and what became of the events. */
struct observer_status {
	enum ksplit_sampler kernel_tls; /* sampler of connections whose streams go out by kernel TLS */
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
	uint64_t lost_bytes;		/* sk_msg beside kernel TLS: bytes that its program was not shown */
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

/* "none", "fentry", "sk_msg", "user". */
const char *observer_sampler_name(enum ksplit_sampler sampler);

/* The aggregate that it fills; lives as long as the observer. */
struct aggregate *observer_aggregate(struct observer *observer);

/* Any thread. */
void observer_read_status(struct observer *observer, struct observer_status *out);

#endif
