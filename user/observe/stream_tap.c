// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/stream_tap.h"

#include <stdlib.h>
#include <string.h>

#include "observe/stream_scanner.h"

static bool is_bpf(const struct stream_tap *tap)
{
	return tap->kind == KSPLIT_SAMPLER_FENTRY || tap->kind == KSPLIT_SAMPLER_SK_MSG;
}

static void begin_user(struct stream_tap *tap, const struct stream_tap_options *options)
{
	tap->pair = malloc(sizeof(*tap->pair));
	tap->kind = tap->pair ? KSPLIT_SAMPLER_USER : KSPLIT_SAMPLER_NONE;
	if (tap->pair)
		stream_pair_init(tap->pair, options->conn, options->http2);
}

static void watch_begin(struct stream_tap *tap)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		tap->watch[i] = (struct stream_watch){.sampler = tap->sampler, .fd = tap->fd[i]};
}

void stream_tap_begin(struct stream_tap *tap, const struct stream_tap_options *options)
{
	*tap = (struct stream_tap){
		.kind = sampler_at(options->sampler, options->place),
		.sampler = options->sampler,
		.scanner = options->scanner,
		.conn = options->conn,
	};
	memcpy(tap->fd, options->fd, sizeof(tap->fd));
	if (is_bpf(tap) && !sampler_arm(tap->sampler, options->place, tap->conn, options->http2,
					tap->fd)) {
		if (tap->kind == KSPLIT_SAMPLER_SK_MSG)
			watch_begin(tap);
		else
			tap->asked = sampler_look_asked(tap->sampler, tap->conn);
		return;
	}
	if (tap->kind != KSPLIT_SAMPLER_NONE)
		begin_user(tap, options);
}

void stream_tap_data_user(struct stream_tap *tap, enum ksplit_stream stream, const void *data,
			  size_t len)
{
	stream_scanner_feed(tap->scanner, tap->pair, stream, data, len);
}

void stream_tap_spliced_user(struct stream_tap *tap, enum ksplit_stream stream, size_t len)
{
	stream_scanner_skip(tap->scanner, tap->pair, stream, len);
}

/* The program has not seen all that was sent: what it thinks of the stream is wrong. */
static void lose(struct stream_tap *tap, enum ksplit_stream stream,
		 struct ksplit_stream_state *state, uint64_t sent)
{
	tap->lost_bytes += sent > state->total ? sent - state->total : state->total - sent;
	tap->over[stream] = true;
	stream_scanner_lose(tap->scanner, state);
}

static void leave_watched(struct stream_tap *tap, enum ksplit_stream stream)
{
	tap->over[stream] = true;
	tap->lost_bytes += tap->watch[stream].missed;
	sampler_leave(tap->sampler, tap->fd[stream]);
}

static void lose_watched(struct stream_tap *tap, enum ksplit_stream stream)
{
	struct ksplit_stream_state state;

	if (!sampler_read(tap->sampler, tap->fd[stream], &state))
		stream_scanner_lose(tap->scanner, &state);
	leave_watched(tap, stream);
}

size_t stream_tap_piece(struct stream_tap *tap, enum ksplit_stream stream, size_t len)
{
	size_t piece = stream_watch_piece(&tap->watch[stream], len);

	if (piece)
		return piece;
	lose_watched(tap, stream);
	return len;
}

void stream_tap_sent(struct stream_tap *tap, enum ksplit_stream stream, uint8_t first, size_t len)
{
	if (len && stream_watch_sent(&tap->watch[stream], first, len))
		lose_watched(tap, stream);
}

/* As in stream_watch_piece: a body's last byte has to be seen. */
static uint64_t skippable_watched(struct stream_tap *tap, enum ksplit_stream stream)
{
	struct ksplit_stream_state state;

	if (stream_watch_read(&tap->watch[stream], &state)) {
		lose_watched(tap, stream);
		return KSPLIT_SKIP_ALL;
	}
	if (state.skip == KSPLIT_SKIP_ALL)
		return state.skip;
	return state.skip > 2 ? state.skip - 2 : 0;
}

uint64_t stream_tap_skippable(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent)
{
	struct ksplit_stream_state state;

	if (tap->kind == KSPLIT_SAMPLER_NONE || tap->over[stream])
		return KSPLIT_SKIP_ALL;
	if (tap->kind == KSPLIT_SAMPLER_USER)
		return tap->pair->stream[stream].skip;
	if (stream_tap_watched(tap, stream))
		return skippable_watched(tap, stream);
	if (sampler_read(tap->sampler, tap->fd[stream], &state))
		return KSPLIT_SKIP_ALL;
	if (state.total == sent)
		return state.skip;
	lose(tap, stream, &state, sent);
	return KSPLIT_SKIP_ALL;
}

/*
 * What a flush that nobody watched has sent, at the end of a connection, the program has seen
 * alone.
 */
static void end_watched(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent)
{
	struct ksplit_stream_state state = {0};

	if (stream_watch_read(&tap->watch[stream], &state) && state.total != sent) {
		lose_watched(tap, stream);
		return;
	}
	stream_scanner_finish(tap->scanner, &state);
	leave_watched(tap, stream);
}

static void end_bpf(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent, bool orderly)
{
	struct ksplit_stream_state state;

	if (sampler_read(tap->sampler, tap->fd[stream], &state))
		return;
	if (orderly && state.total != sent)
		lose(tap, stream, &state, sent);
	else
		stream_scanner_finish(tap->scanner, &state);
}

void stream_tap_end(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent, bool orderly)
{
	if (tap->kind == KSPLIT_SAMPLER_NONE || tap->over[stream])
		return;
	if (tap->kind == KSPLIT_SAMPLER_USER)
		stream_scanner_finish(tap->scanner, &tap->pair->stream[stream]);
	else if (stream_tap_watched(tap, stream))
		end_watched(tap, stream, sent);
	else
		end_bpf(tap, stream, sent, orderly);
	tap->over[stream] = true;
}

void stream_tap_close(struct stream_tap *tap, enum ksplit_stream stream, uint64_t sent)
{
	if (stream_tap_watched(tap, stream))
		stream_tap_end(tap, stream, sent, true);
}

void stream_tap_release(struct stream_tap *tap)
{
	/* The descriptors may be another connection's by now. */
	if (is_bpf(tap))
		sampler_forget(tap->sampler, tap->conn);
	if (tap->pair)
		stream_pair_release(tap->pair);
	free(tap->pair);
	*tap = (struct stream_tap){0};
}
