// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/stream_watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define RECORD_LEN  16384
#define WARY_PIECES 64

void stream_watch_full(struct stream_watch *watch)
{
	watch->wary = WARY_PIECES;
	watch->led = false;
}

static bool is_full(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) == 0;
}

/*
 * All that was missed was body, and there is more of it: the program thinks that it is further
 * back.
 */
static int add_body(struct stream_watch *watch, struct ksplit_stream_state *state, uint64_t missed)
{
	if (state->skip != KSPLIT_SKIP_ALL && state->skip != watch->body + missed)
		return -EPROTO;
	state->skip = watch->body;
	state->total += missed;
	if (state->mode == KSPLIT_SCAN_BODY || state->mode == KSPLIT_SCAN_CHUNK_DATA ||
	    state->mode == KSPLIT_SCAN_UNTIL_CLOSE) {
		state->message_bytes += missed;
		state->body_bytes += missed;
	}
	return sampler_write(watch->sampler, watch->fd, state);
}

enum stream_watch_result stream_watch_read(struct stream_watch *watch,
					   struct ksplit_stream_state *state)
{
	uint64_t missed;

	if (sampler_read(watch->sampler, watch->fd, state) || state->total > watch->at)
		return STREAM_WATCH_WRONG;
	missed = watch->at - state->total;
	if (missed) {
		watch->missed += missed;
		stream_watch_full(watch);
		if (!watch->behind || add_body(watch, state, missed))
			return STREAM_WATCH_WRONG;
	}
	watch->behind = false;
	watch->body = state->skip;
	return STREAM_WATCH_RIGHT;
}

size_t stream_watch_piece(struct stream_watch *watch, size_t len)
{
	struct ksplit_stream_state state;

	if (watch->body > len)
		return len;
	/* The body's last byte is an event, so it has to be seen; the one before it may lead. */
	if (watch->body > 2)
		return watch->body - 2;
	if (watch->behind && stream_watch_read(watch, &state))
		return 0;
	if (!watch->led && is_full(watch->fd))
		stream_watch_full(watch);
	watch->leading = watch->wary && !watch->led && watch->body != 1 && len > 1;
	if (watch->leading)
		return 1;
	return len < RECORD_LEN ? len : RECORD_LEN;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The lead was missed: for the program it is the begin of a piece that goes on. */
static int tell_lead(struct stream_watch *watch, struct ksplit_stream_state *state, uint8_t byte)
{
	struct ksplit_pending pending = {.len = 0};
	int err = 0;

	if (state->skip)
		return -EPROTO;
	if (state->flags & KSPLIT_STATE_PENDING)
		err = sampler_read_pending(watch->sampler, state, &pending);
	if (!err && pending.len >= KSPLIT_PENDING_MAX)
		err = -ENOSPC;
	if (!err) {
		pending.bytes[pending.len++] = byte;
		err = sampler_write_pending(watch->sampler, state, &pending);
	}
	explicit_bzero(&pending, sizeof(pending));
	if (err)
		return err;
	state->flags |= KSPLIT_STATE_PENDING;
	state->total++;
	if (!state->first_ns)
		state->first_ns = clock_ns();
	return sampler_write(watch->sampler, watch->fd, state);
}

static enum stream_watch_result look(struct stream_watch *watch, uint8_t first, bool lead)
{
	struct ksplit_stream_state state;

	if (sampler_read(watch->sampler, watch->fd, &state) ||
	    state.total > watch->at)
		return STREAM_WATCH_WRONG;
	if (state.total != watch->at) {
		watch->missed += watch->at - state.total;
		stream_watch_full(watch);
		if (!lead || watch->at - state.total != 1 || tell_lead(watch, &state, first))
			return STREAM_WATCH_WRONG;
	}
	watch->body = state.skip;
	watch->led = lead;
	if (!lead && watch->wary)
		watch->wary--;
	return STREAM_WATCH_RIGHT;
}

enum stream_watch_result stream_watch_sent(struct stream_watch *watch, uint8_t first, size_t len)
{
	bool lead = watch->leading;

	watch->leading = false;
	watch->at += len;
	if (len >= watch->body)
		return look(watch, first, lead);
	if (watch->body != KSPLIT_SKIP_ALL)
		watch->body -= len;
	watch->behind = true;
	watch->led = lead;
	return STREAM_WATCH_RIGHT;
}
