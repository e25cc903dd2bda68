// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Through a buffer: recv and send where both ends are the kernel's, OpenSSL's calls where they are
 * not. The buffer is the worker's; only what a full socket leaves over is kept with the connection.
 */
#include <errno.h>

#include "relay/relay.h"

/*
 * A read much shorter than the buffer has emptied the source: the wait will tell when there is
 * more.
 */
static bool drained(const struct relay_flow *flow, size_t len)
{
	return len < 16384 && !relay_end_has_pending(flow->src);
}

static size_t waiting(const struct relay_flow *flow)
{
	return OUT_BUFFER_BLOCK - out_buffer_room(flow->dst->out);
}

/* Piece by piece, as the tap wants it. 0 or -errno. */
static int write_watched(struct relay_flow *flow, const uint8_t *data, size_t len)
{
	while (len) {
		size_t piece = stream_tap_watched(flow->tap, flow->stream) &&
					       out_buffer_empty(flow->dst->out)
				       ? stream_tap_piece(flow->tap, flow->stream, len)
				       : len;
		size_t before = waiting(flow);
		int err = relay_end_write(flow->dst, data, piece);

		if (!before)
			stream_tap_shown(flow->tap, flow->stream, data, piece);
		if (err)
			return err;
		if (!before && stream_tap_watched(flow->tap, flow->stream))
			stream_tap_sent(flow->tap, flow->stream, *data, piece - waiting(flow));
		if (waiting(flow))
			stream_tap_full(flow->tap, flow->stream);
		data += piece;
		len -= piece;
	}
	return 0;
}

/* Whoever samples in the kernel is told of each send, before its bytes go. */
static bool is_followed(const struct relay_flow *flow)
{
	return stream_tap_watched(flow->tap, flow->stream) || (flow->tap && flow->tap->asked);
}

/* One send of what waits, and what the tap wants to know of it. 0 or -errno. */
static int flush_piece(struct relay_flow *flow)
{
	struct out_buffer *out = flow->dst->out;
	const uint8_t *bytes = out_buffer_bytes(out);
	uint8_t first = *bytes;
	size_t piece = waiting(flow);
	ssize_t n;

	if (stream_tap_watched(flow->tap, flow->stream))
		piece = stream_tap_piece(flow->tap, flow->stream, piece);
	n = out_buffer_try(out, flow->dst->fd, piece);
	if (n < 0)
		return (int)n;
	stream_tap_shown(flow->tap, flow->stream, bytes, (size_t)n);
	out_buffer_drop(out, (size_t)n);
	if (stream_tap_watched(flow->tap, flow->stream))
		stream_tap_sent(flow->tap, flow->stream, first, (size_t)n);
	return 0;
}

static int flush_followed(struct relay_flow *flow)
{
	struct relay_end *dst = flow->dst;
	int err = dst->tx->renew_key(dst);

	while (!err && !out_buffer_empty(dst->out) && is_followed(flow))
		err = flush_piece(flow);
	if (!err)
		return relay_end_flush(dst);
	if (err == -EAGAIN) {
		dst->backed_up = true;
		stream_tap_full(flow->tap, flow->stream);
	} else if (err != -EKEYEXPIRED) {
		dst->write_errno = -err;
	}
	return err;
}

static enum end_event copy_move(struct relay_flow *flow, struct relay_env *env)
{
	size_t len = 0;
	enum end_event event = relay_end_read(flow->src, env->scratch, env->scratch_len, &len,
					      flow->alert);

	if (len > env->scratch_used)
		env->scratch_used = len;
	if (event != END_DATA)
		return event;
	/* Before it is written: the answer could be there before the question's time was taken. */
	stream_tap_data(flow->tap, flow->stream, env->scratch, len);
	if (flow->content)
		tap_conn_data(flow->content, flow->content_flow, env->scratch, len);
	if (write_watched(flow, env->scratch, len))
		return END_RESET;
	relay_flow_count(flow, env, len, false);
	return drained(flow, len) ? END_AGAIN : END_DATA;
}

static int copy_flush(struct relay_flow *flow, struct relay_env *env)
{
	(void)env;
	return is_followed(flow) ? flush_followed(flow) : relay_end_flush(flow->dst);
}

static bool copy_idle(const struct relay_flow *flow)
{
	return out_buffer_empty(flow->dst->out);
}

static void copy_release(struct relay_flow *flow, struct relay_env *env)
{
	(void)flow;
	(void)env;
}

const struct relay_ops relay_ops_copy = {
	.kind = CONN_RELAY_COPY,
	.move = copy_move,
	.flush = copy_flush,
	.idle = copy_idle,
	.release = copy_release,
};
