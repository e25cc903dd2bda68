/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_STREAM_TAP_H
#define KSPLIT_OBSERVE_STREAM_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/sampler_look.h"
#include "observe/stream_watch.h"

struct stream_pair;
struct stream_scanner;

/*
 * The relay's view of sampling: one a connection. It hands over what passes through its hands, says
 * what it has spliced, and asks how much may be spliced unseen. {0} is a tap that sees nothing.
 */
struct stream_tap {
	enum ksplit_sampler kind;
	struct sampler *sampler;	 /* not owned */
	struct stream_scanner *scanner;	 /* not owned; the worker's */
	struct stream_pair *pair;	 /* owned; the daemon's own sampler */
	uint64_t conn;
	int fd[KSPLIT_STREAMS];		 /* not owned: where each stream is sent */
	bool over[KSPLIT_STREAMS];
	const uint64_t *asked; /* where the program asks for a second look; NULL: never */
	struct stream_watch watch[KSPLIT_STREAMS]; /* sk_msg beside kernel TLS */
	uint64_t lost_bytes;		 /* that the program was not shown */
};

struct stream_tap_options {
	struct sampler *sampler;
	struct stream_scanner *scanner;
	enum sampler_place place;
	uint64_t conn;
	bool http2;
	int fd[KSPLIT_STREAMS];
};

/* Begin. Where the BPF sampler does not take the sockets the daemon's own does. */
void stream_tap_begin(struct stream_tap *tap, const struct stream_tap_options *options);

/* The stream's next bytes, as they are sent on. */
void stream_tap_data_user(struct stream_tap *tap, enum ksplit_stream stream, const void *data,
			  size_t len);
void stream_tap_spliced_user(struct stream_tap *tap, enum ksplit_stream stream, size_t len);

/*
 * Does it matter how the bytes are sent (stream_watch.h)? Then no more than `stream_tap_piece` in
 * one call; and how many the socket took is told, or (full) that it took none or not all of them.
 */
static inline bool stream_tap_watched(const struct stream_tap *tap, enum ksplit_stream stream)
{
	return tap && tap->watch[stream].sampler && !tap->over[stream];
}

size_t stream_tap_piece(struct stream_tap *tap, enum ksplit_stream stream, size_t len);
void stream_tap_sent(struct stream_tap *tap, enum ksplit_stream stream, uint8_t first, size_t len);

static inline void stream_tap_full(struct stream_tap *tap, enum ksplit_stream stream)
{
	if (stream_tap_watched(tap, stream))
		stream_watch_full(&tap->watch[stream]);
}

/*
 * The socket has taken these bytes, by one send; they are still there. To be called before the next
 * one (sampler_look.h).
 */
static inline void stream_tap_shown(const struct stream_tap *tap, enum ksplit_stream stream,
				    const void *sent, size_t len)
{
	if (!tap || !tap->asked)
		return;
	for (int i = 0; i < KSPLIT_LOOKS_MAX && len; i++) {
		if (__atomic_load_n(tap->asked, __ATOMIC_RELAXED) !=
		    ksplit_stream_key(tap->conn, stream))
			return;
		sampler_look_again(tap->fd[stream], sent, len);
	}
}

static inline void stream_tap_data(struct stream_tap *tap, enum ksplit_stream stream,
				   const void *data, size_t len)
{
	if (tap && tap->kind == KSPLIT_SAMPLER_USER)
		stream_tap_data_user(tap, stream, data, len);
}

static inline void stream_tap_spliced(struct stream_tap *tap, enum ksplit_stream stream,
				      size_t len)
{
	if (tap && tap->kind == KSPLIT_SAMPLER_USER)
		stream_tap_spliced_user(tap, stream, len);
	else if (stream_tap_watched(tap, stream))
		stream_tap_sent(tap, stream, 0, len);
}

/* A stream is over for its socket, whatever else is sent into it: a close_notify. */
void stream_tap_close(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent);

/*
 * How many of the stream's next bytes need not be seen; UINT64_MAX: none at all any more. `sent` is
 * how many have gone so far: a program that has seen less has lost the stream.
 */
uint64_t stream_tap_skippable(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent);

/*
 * The stream's socket is about to be closed: nothing more is sent. `orderly`: all of the `sent`
 * bytes had reached the socket.
 */
void stream_tap_end(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent, bool orderly);

/* Free what is owned, after both streams have ended. */
void stream_tap_release(struct stream_tap *tap);

#endif
