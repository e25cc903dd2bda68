// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Through a pipe: the payload never enters user space. Kernel TLS gives one record a splice; a
 * record goes only into an empty pipe, because kernels before 6.1.189 and 6.12.112 lose bytes when
 * the pipe runs out of slots inside a record.
 */
#include <errno.h>
#include <fcntl.h>

#include "relay/relay.h"

/* At least a record, so that none is cut in two; raw bytes fill the pipe. */
#define RECORD_LEN (64 * 1024)

static int pipe_to_sink(struct relay_flow *flow)
{
	struct relay_pipe *pipe = flow->pipe;

	while (pipe->len) {
		/* No SPLICE_F_MORE: kernel TLS would keep the end of a message back. */
		ssize_t n = splice(pipe->read_fd, NULL, flow->dst->fd, NULL, pipe->len,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			flow->dst->backed_up |= errno == EAGAIN;
			stream_tap_full(flow->tap, flow->stream);
			return -errno;
		}
		if (n == 0)
			return -EIO;
		relay_end_count_spliced(flow->dst, (size_t)n);
		pipe->len -= (size_t)n;
	}
	return 0;
}

static void give_back(struct relay_flow *flow, struct relay_env *env)
{
	if (flow->pipe)
		pipe_pool_give(env->pipes, flow->pipe);
	flow->pipe = NULL;
}

static int splice_flush(struct relay_flow *flow, struct relay_env *env)
{
	int err = relay_ops_copy.flush(flow, env);

	if (!err && flow->pipe) {
		err = pipe_to_sink(flow);
		if (!err)
			give_back(flow, env);
	}
	return err;
}

/*
 * Splice stopped at something that is not data, or at nothing: recvmsg tells. When it has neither
 * an event nor a record that was consumed, the record is broken and would stay there for ever.
 */
static enum end_event ask_recvmsg(struct relay_flow *flow, struct relay_env *env,
				  bool must_progress)
{
	uint32_t swallowed = flow->src->swallowed;
	uint64_t bytes = flow->info->bytes;
	enum end_event event = relay_ops_copy.move(flow, env);
	bool progress = flow->src->swallowed != swallowed || flow->info->bytes != bytes;

	return event == END_AGAIN && must_progress && !progress ? END_BAD_RECORD : event;
}

static enum end_event splice_failed(struct relay_flow *flow, struct relay_env *env, int error)
{
	switch (error) {
	case EAGAIN: return END_AGAIN;
	case EINTR: return END_DATA;
	case EINVAL: return ask_recvmsg(flow, env, true);
	case EBADMSG:
	case EMSGSIZE: return END_BAD_RECORD;
	case EKEYEXPIRED: return END_KEY_UPDATE;
	default: return END_RESET;
	}
}

static enum end_event splice_move(struct relay_flow *flow, struct relay_env *env)
{
	bool raw = flow->src->rx == &relay_rx_raw;
	size_t most;
	ssize_t n;

	if (!flow->pipe && pipe_pool_take(env->pipes, &flow->pipe)) {
		flow->pipe = NULL; /* out of descriptors or pipe pages: this much by hand */
		return relay_ops_copy.move(flow, env);
	}
	/* No more than may pass unseen; a whole record at least (stop_splicing in relay.c). */
	most = raw ? flow->pipe->capacity : RECORD_LEN;
	if (most > flow->unseen)
		most = flow->unseen;
	n = splice(flow->src->fd, NULL, flow->pipe->write_fd, NULL, most,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0) {
		int error = errno;

		give_back(flow, env);
		return n == 0 ? ask_recvmsg(flow, env, false) : splice_failed(flow, env, error);
	}
	flow->pipe->len = (size_t)n;
	if (flow->content)
		tap_conn_spliced(flow->content, flow->content_flow, flow->pipe->read_fd,
				 (size_t)n);
	flow->info->records_in++;
	stream_tap_spliced(flow->tap, flow->stream, (size_t)n);
	relay_flow_count(flow, env, (size_t)n, true);
	return END_DATA;
}

static bool splice_idle(const struct relay_flow *flow)
{
	return !flow->pipe && out_buffer_empty(flow->dst->out);
}

static void splice_release(struct relay_flow *flow, struct relay_env *env)
{
	give_back(flow, env);
}

const struct relay_ops relay_ops_splice = {
	.kind = CONN_RELAY_SPLICE,
	.move = splice_move,
	.flush = splice_flush,
	.idle = splice_idle,
	.release = splice_release,
};
