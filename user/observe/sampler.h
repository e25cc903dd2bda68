/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_H
#define KSPLIT_OBSERVE_SAMPLER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ksplit/head_event.h>
#include <ksplit/stream_state.h>

struct bpf_object_set;

/*
 * Which sampler sees the plaintext of which sockets; chosen once, at the start, by trying each on a
 * loopback pair: what counts is that an event comes out, not what the kernel calls itself.
 */
struct sampler;

enum sampler_mode { SAMPLER_MODE_AUTO, SAMPLER_MODE_BPF, SAMPLER_MODE_USER, SAMPLER_MODE_OFF };

struct sampler_options {
	enum sampler_mode mode;
	enum ksplit_sampler attach; /* for kernel TLS: NONE lets the probe choose */
	bool kernel_tls;	    /* can there be sockets of kernel TLS at all? */
};

/* Where a stream's plaintext goes out. */
enum sampler_place {
	SAMPLER_KERNEL_TLS, /* a socket with TLS_TX */
	SAMPLER_PLAIN_TCP,
	SAMPLER_USER_TLS, /* sealed by OpenSSL: the daemon alone sees it */
	SAMPLER_PLACES
};

/*
 * `set`: the loaded programs, not owned; NULL: none. Caller owns *out. 0, -ENOMEM, or, where mode
 * or attach ask for what this kernel does not do, -EOPNOTSUPP with one line in `error`.
 */
int sampler_new(const struct sampler_options *options, struct bpf_object_set *set,
		struct sampler **out, char *error, size_t error_len);
void sampler_free(struct sampler *sampler);

/* The choice for a place; KSPLIT_SAMPLER_NONE: off. One sentence: why. */
enum ksplit_sampler sampler_at(const struct sampler *sampler, enum sampler_place place);
const char *sampler_why(const struct sampler *sampler);

/* Did it come to sk_msg, which was spared (bpf_object.h)? With it the choice may be another. */
bool sampler_misses_spare(const struct sampler *sampler);

/*
 * sk_msg beside kernel TLS works only when the socket was in the sockhash before it got its ULP: to
 * be called then, and a no-op with any other sampler. 0 or -errno.
 */
int sampler_enlist(struct sampler *sampler, int fd, uint64_t conn, enum ksplit_stream stream);

/*
 * Have the BPF sampler of `place` follow both streams of a connection from here on: fd[] are the
 * sockets that each stream is sent into; http2: that was agreed on (ALPN). 0 or -errno (neither is
 * followed).
 */
int sampler_arm(struct sampler *sampler, enum sampler_place place, uint64_t conn, bool http2,
		const int fd[KSPLIT_STREAMS]);

/* What the program keeps of a stream. 0 or -errno. */
int sampler_read(struct sampler *sampler, int fd, struct ksplit_stream_state *state);

/*
 * Put the program right about a stream: its state, and the begin of a line or frame header that it
 * was not shown (pending; the state's PENDING flag goes with it). Only while nothing is sent into
 * the socket. 0 or -errno.
 */
int sampler_write(struct sampler *sampler, int fd, const struct ksplit_stream_state *state);
int sampler_read_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			 struct ksplit_pending *pending);
int sampler_write_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			  const struct ksplit_pending *pending);

/* Nothing that is sent into this socket from here on is the stream's. */
void sampler_leave(struct sampler *sampler, int fd);

/* The sockets are closed, and what the program kept of them has gone with them: the rest. */
void sampler_forget(struct sampler *sampler, uint64_t conn);

/* Stop following sockets that are open. */
void sampler_disarm(struct sampler *sampler, uint64_t conn, const int fd[KSPLIT_STREAMS]);

/* --- the observer's side --- */

/*
 * Take what is in the ring buffer: `event` is called for each. Returns how many, or -errno.
 */
typedef void (*sampler_event_fn)(void *ctx, const struct ksplit_head_event *event);
int sampler_poll(struct sampler *sampler, sampler_event_fn event, void *ctx);

/*
 * Did the last sampler_poll have to leave events that were begun before it? One is being written by
 * a CPU that got no further, and those behind it wait, too.
 */
bool sampler_is_behind(const struct sampler *sampler);

/* A descriptor that is readable when the ring buffer fills up; -1: there is no ring buffer. */
int sampler_wait_fd(const struct sampler *sampler);

/*
 * Write over what was read and still lies in the ring buffer. To be called when it has been idle
 * for a while; costs a write of the ring's size, once. Events that come meanwhile are taken as by
 * sampler_poll.
 */
void sampler_wipe(struct sampler *sampler, sampler_event_fn event, void *ctx);

/* Sum over CPUs of a counter of the programs. */
uint64_t sampler_count(const struct sampler *sampler, enum ksplit_sampler_count count);

/* Of the ring buffer; 0: none. */
size_t sampler_ring_bytes(const struct sampler *sampler);

#endif
