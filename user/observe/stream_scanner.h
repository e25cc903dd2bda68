/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_STREAM_SCANNER_H
#define KSPLIT_OBSERVE_STREAM_SCANNER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ksplit/stream_state.h>

struct event_queue;

/*
 * The head sampler in user space: <ksplit/stream_scan.h>, reading from memory, its events going to
 * a worker's queue. One a worker; one thread.
 */
struct stream_scanner;

/* What it keeps of a connection's two streams. */
struct stream_pair {
	struct ksplit_stream_state stream[KSPLIT_STREAMS];
	struct ksplit_pair pair;
	struct ksplit_pending *pending[KSPLIT_STREAMS]; /* owned; NULL mostly */
};

/* `queue` is not owned. `head_bytes`: of a first line, at most. Caller owns *out. 0 or -ENOMEM. */
int stream_scanner_new(struct event_queue *queue, uint32_t head_bytes,
		       struct stream_scanner **out);
void stream_scanner_free(struct stream_scanner *scanner);

/* What a stream's state is before its first byte. */
void stream_state_init(struct ksplit_stream_state *state, uint64_t conn,
		       enum ksplit_stream stream, enum ksplit_sampler sampler);

void stream_pair_init(struct stream_pair *pair, uint64_t conn, bool http2);
void stream_pair_release(struct stream_pair *pair);

/* The stream's next bytes. */
void stream_scanner_feed(struct stream_scanner *scanner, struct stream_pair *pair,
			 enum ksplit_stream stream, const void *data, size_t len);

/* The stream's next bytes went by unseen; no more than its state's `skip` (else it is lost). */
void stream_scanner_skip(struct stream_scanner *scanner, struct stream_pair *pair,
			 enum ksplit_stream stream, size_t len);

/*
 * The connection is closed, or (`lost`) the stream cannot be followed any more: the event that says
 * so. Also for a state that a BPF program has kept.
 */
void stream_scanner_finish(struct stream_scanner *scanner, struct ksplit_stream_state *state);
void stream_scanner_lose(struct stream_scanner *scanner, struct ksplit_stream_state *state);

#endif
