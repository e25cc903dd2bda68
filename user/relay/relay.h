/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_RELAY_H
#define KSPLIT_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/stats.h"
#include "observe/stream_tap.h"
#include "relay/end.h"
#include "relay/pipe_pool.h"
#include "tap/taps.h"

/* What relays borrow from the worker that runs them. */
struct relay_env {
	uint8_t *scratch; /* read buffer; holds plaintext only within a call */
	size_t scratch_len;
	size_t scratch_used; /* ... and is wiped as far as that at the end of the turn */
	struct pipe_pool *pipes;
	struct stats *stats;
};

enum relay_choice { RELAY_CHOICE_AUTO, RELAY_CHOICE_SPLICE, RELAY_CHOICE_COPY };

/* How far a flow has come. */
enum relay_phase {
	RELAY_OPEN,
	RELAY_FORWARDING, /* the source's end was seen; it goes out behind the last byte */
	RELAY_HALF,	  /* close_notify forwarded; its FIN may follow */
	RELAY_SETTLING,	  /* a FIN waits for the kernel to send what it holds */
	RELAY_DONE,
};

struct relay_flow;

/* One way to move bytes. There are three: splice, copy, and (raw) what passes unread. */
struct relay_ops {
	enum conn_relay kind;
	/* Read once, write what was read. END_DATA: moved something. */
	enum end_event (*move)(struct relay_flow *flow, struct relay_env *env);
	/* Push what is on the way into the sink. 0, -EAGAIN, -errno. */
	int (*flush)(struct relay_flow *flow, struct relay_env *env);
	/* Nothing borrowed, nothing on the way? Then the way may be changed. */
	bool (*idle)(const struct relay_flow *flow);
	void (*release)(struct relay_flow *flow, struct relay_env *env);
};

extern const struct relay_ops relay_ops_splice, relay_ops_copy;

/* One direction of a connection. */
struct relay_flow {
	struct relay_end *src, *dst; /* not owned */
	const struct relay_ops *ops;
	enum relay_choice choice;
	enum relay_phase phase;
	enum end_event closing; /* what is to be forwarded */
	uint8_t alert[2];
	struct relay_pipe *pipe; /* borrowed while it holds bytes */
	uint32_t large_reads;	 /* auto, copying: large pieces in a row */
	uint64_t burst;		 /* auto, splicing: bytes since the source was last dry */
	struct stream_tap *tap;	 /* not owned; NULL: nobody looks at what passes */
	enum ksplit_stream stream;
	struct tap_conn *content; /* not owned; NULL: its content is not written to files */
	enum conn_flow content_flow;
	uint64_t unseen;	 /* splicing: so many bytes may pass unseen */
	enum stats_counter byte_counter;
	struct conn_flow_info *info; /* not owned */
};

enum relay_result {
	RELAY_WAIT_SOURCE,
	RELAY_WAIT_SINK,
	RELAY_WAIT_SETTLE, /* look again after a few milliseconds */
	RELAY_MORE,	   /* its turn is over, but there is more to do without any wait */
	RELAY_FINISHED,	   /* RELAY_HALF or RELAY_DONE, and nothing to do at present */
	RELAY_FAILED,	   /* the connection ends: flow->closing came from the source ... */
	RELAY_SINK_GONE,   /* ... or the sink does not take any more (dst->write_errno) */
};

/* Set up a direction. `forced` applies where both ends are the kernel's or raw. */
void relay_flow_init(struct relay_flow *flow, struct relay_end *src, struct relay_end *dst,
		     enum relay_choice choice, enum stats_counter byte_counter,
		     struct conn_flow_info *info);

/*
 * Have the direction sampled, as `stream`: what the tap has to see goes through a buffer, whatever
 * the choice. Before the first pump; `tap` must outlive the flow.
 */
void relay_flow_tap(struct relay_flow *flow, struct stream_tap *tap, enum ksplit_stream stream);

/* Move what can be moved now, but no more than a fair share. Never blocks. */
enum relay_result relay_flow_pump(struct relay_flow *flow, struct relay_env *env);

/* Give back what is borrowed; bytes on the way are lost. */
void relay_flow_release(struct relay_flow *flow, struct relay_env *env);

/* A splice takes at most a record, and a record is never cut in two (see relay_splice.c). */
#define RELAY_SPLICE_MIN 16384

/* For the implementations: account for bytes that reached the sink's side. */
void relay_flow_count(struct relay_flow *flow, struct relay_env *env, size_t len, bool spliced);

#endif
