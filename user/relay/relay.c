// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay/relay.h"
#include "tls/protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A turn: enough to be worth a wake-up, little enough that others are not kept waiting. */
#define MOVES_PER_TURN 32

static bool can_splice(const struct relay_flow *flow)
{
	return flow->src->rx != &relay_rx_user && flow->dst->tx != &relay_tx_user;
}

static enum conn_relay kind_of_bytes(const struct relay_flow *flow)
{
	if (flow->src->rx == &relay_rx_raw && flow->dst->tx == &relay_tx_raw)
		return CONN_RELAY_RAW;
	return can_splice(flow) ? flow->ops->kind : CONN_RELAY_USER;
}

void relay_flow_init(struct relay_flow *flow, struct relay_end *src, struct relay_end *dst,
		     enum relay_choice choice, enum stats_counter byte_counter,
		     struct conn_flow_info *info)
{
	*flow = (struct relay_flow){
		.src = src,
		.dst = dst,
		.choice = choice,
		.ops = &relay_ops_copy,
		.byte_counter = byte_counter,
		.info = info,
		.unseen = UINT64_MAX,
	};
	if (choice == RELAY_CHOICE_SPLICE && can_splice(flow))
		flow->ops = &relay_ops_splice;
	info->relay = kind_of_bytes(flow);
}

void relay_flow_tap(struct relay_flow *flow, struct stream_tap *tap, enum ksplit_stream stream)
{
	flow->tap = tap;
	flow->stream = stream;
	flow->ops = &relay_ops_copy;
}

static enum stats_counter counter_of_kind(enum conn_relay kind)
{
	switch (kind) {
	case CONN_RELAY_SPLICE: return STAT_BYTES_SPLICED;
	case CONN_RELAY_COPY: return STAT_BYTES_COPIED;
	case CONN_RELAY_USER: return STAT_BYTES_USER;
	default: return STAT_BYTES_RAW;
	}
}

void relay_flow_count(struct relay_flow *flow, struct relay_env *env, size_t len, bool spliced)
{
	enum conn_relay kind = kind_of_bytes(flow);

	if (kind == CONN_RELAY_SPLICE && !spliced)
		kind = CONN_RELAY_COPY; /* what splice cannot fetch goes by hand */
	flow->info->relay = kind;
	flow->info->bytes += len;
	if (flow->unseen != UINT64_MAX)
		flow->unseen -= len < flow->unseen ? len : flow->unseen;
	if (spliced)
		flow->info->spliced += len;
	stats_add(env->stats, flow->byte_counter, len);
	stats_add(env->stats, counter_of_kind(kind), len);
}

/*
 * auto: recv and send for small messages, where a pipe only adds calls; splice once a source keeps
 * sending large pieces, and back when a small one was all that it had.
 */
#define AUTO_LARGE	 8192
#define AUTO_LARGE_READS 4
#define AUTO_BODY	 65536 /* a shorter rest of a body is not worth a switch */

/* Worth a switch to splice? What somebody looks at must be a body that goes on for a while. */
static bool may_splice(struct relay_flow *flow, uint64_t least)
{
	if (!flow->ops->idle(flow))
		return false;
	flow->unseen = flow->tap ? stream_tap_skippable(flow->tap, flow->stream, flow->info->bytes)
				 : UINT64_MAX;
	return flow->unseen >= least;
}

static void choose_splice(struct relay_flow *flow, uint64_t moved)
{
	if (flow->choice == RELAY_CHOICE_AUTO) {
		if (moved)
			flow->large_reads = moved >= AUTO_LARGE ? flow->large_reads + 1 : 0;
		if (flow->large_reads < AUTO_LARGE_READS)
			return;
		flow->large_reads = 0;
	}
	if (!may_splice(flow, flow->choice == RELAY_CHOICE_AUTO ? AUTO_BODY : RELAY_SPLICE_MIN))
		return;
	flow->ops = &relay_ops_splice;
	flow->burst = 0;
}

static void choose_again(struct relay_flow *flow, enum end_event event, uint64_t moved)
{
	if (flow->choice == RELAY_CHOICE_COPY || !can_splice(flow))
		return;
	if (flow->ops == &relay_ops_copy) {
		choose_splice(flow, moved);
		return;
	}
	flow->burst += moved;
	if (flow->choice != RELAY_CHOICE_AUTO || event != END_AGAIN)
		return;
	if (flow->burst && flow->burst < AUTO_LARGE && flow->ops->idle(flow)) {
		flow->ops = &relay_ops_copy;
		flow->large_reads = 0;
	}
	flow->burst = 0;
}

/* The body is (nearly) over: what follows it has to be seen. */
static void stop_splicing(struct relay_flow *flow)
{
	if (flow->ops != &relay_ops_splice || flow->unseen >= RELAY_SPLICE_MIN ||
	    !flow->ops->idle(flow))
		return;
	flow->ops = &relay_ops_copy;
	flow->large_reads = 0;
}

static int forward_close_notify(struct relay_flow *flow)
{
	int err;

	if (flow->dst->tx == &relay_tx_raw)
		return 0;
	if (flow->tap)
		stream_tap_close(flow->tap, flow->stream, flow->info->bytes);
	err = relay_end_send_alert(flow->dst, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
	return err == -ENOTSUP ? 0 : err;
}

/* The last byte is out: the source's end follows it. */
static enum relay_result forward_end(struct relay_flow *flow)
{
	int err = 0;

	switch (flow->closing) {
	case END_CLOSE_NOTIFY:
		if (flow->dst->tx == &relay_tx_raw) {
			flow->phase = RELAY_SETTLING; /* a FIN says it in plain TCP */
			break;
		}
		err = forward_close_notify(flow);
		if (err == -EAGAIN)
			return RELAY_WAIT_SINK;
		flow->phase = RELAY_HALF;
		flow->dst->tx_over = true;
		break;
	case END_FIN:
		/* Plain TCP ends in order by a FIN; TLS needs the close_notify before it. */
		if (flow->src->rx == &relay_rx_raw)
			err = forward_close_notify(flow);
		if (err == -EAGAIN)
			return RELAY_WAIT_SINK;
		flow->phase = RELAY_SETTLING;
		break;
	default: return RELAY_FAILED;
	}
	if (err) {
		flow->dst->write_errno = -err;
		return RELAY_SINK_GONE;
	}
	return RELAY_MORE;
}

static enum relay_result settle(struct relay_flow *flow)
{
	if (!relay_end_settled(flow->dst))
		return RELAY_WAIT_SETTLE;
	shutdown(flow->dst->fd, SHUT_WR);
	flow->dst->tx_over = true;
	flow->phase = RELAY_DONE;
	return RELAY_FINISHED;
}

/*
 * The end itself may have met a full socket: OpenSSL's close_notify waits in the out buffer then.
 */
static enum relay_result send_end(struct relay_flow *flow)
{
	int err = out_buffer_send(flow->dst->out, flow->dst->fd);

	if (!err)
		return RELAY_MORE;
	if (err == -EAGAIN)
		return RELAY_WAIT_SINK;
	flow->dst->write_errno = -err;
	return RELAY_SINK_GONE;
}

/* After the close_notify: is there a FIN, which is forwarded too? */
static enum relay_result drain(struct relay_flow *flow, struct relay_env *env)
{
	switch (relay_end_drain(flow->src, env->scratch, env->scratch_len)) {
	case END_FIN: flow->phase = RELAY_SETTLING; return settle(flow);
	case END_RESET: flow->closing = END_RESET; return RELAY_FAILED;
	default: return RELAY_FINISHED;
	}
}

static enum relay_result flush(struct relay_flow *flow, struct relay_env *env)
{
	int err = flow->ops->flush(flow, env);

	if (!err)
		return RELAY_MORE;
	if (err == -EAGAIN)
		return RELAY_WAIT_SINK;
	if (err == -EKEYEXPIRED) {
		flow->closing = END_RECORD_LIMIT;
		return RELAY_FAILED;
	}
	flow->dst->write_errno = -err;
	return RELAY_SINK_GONE;
}

/* One read and one write; RELAY_MORE: go on. */
static enum relay_result move_once(struct relay_flow *flow, struct relay_env *env)
{
	uint64_t before = flow->info->bytes, moved;
	enum end_event event;

	stop_splicing(flow);
	event = flow->ops->move(flow, env);
	moved = flow->info->bytes - before;
	choose_again(flow, event, moved);
	switch (event) {
	case END_DATA: return RELAY_MORE;
	case END_AGAIN: return RELAY_WAIT_SOURCE;
	default: break;
	}
	if (event == END_RESET && flow->dst->write_errno)
		return RELAY_SINK_GONE;
	flow->closing = event;
	flow->phase = RELAY_FORWARDING;
	return RELAY_MORE;
}

static enum relay_result pump(struct relay_flow *flow, struct relay_env *env)
{
	enum relay_result result = RELAY_MORE;

	for (int moves = 0; result == RELAY_MORE; moves++) {
		if (flow->phase == RELAY_DONE) {
			out_buffer_reset(flow->dst->out); /* nothing goes out behind a FIN */
			return RELAY_FINISHED;
		}
		if (flow->phase == RELAY_HALF || flow->phase == RELAY_SETTLING) {
			result = send_end(flow);
			if (result != RELAY_MORE)
				return result;
			return flow->phase == RELAY_HALF ? drain(flow, env) : settle(flow);
		}
		result = flush(flow, env);
		if (result != RELAY_MORE)
			break;
		if (flow->phase == RELAY_FORWARDING)
			result = forward_end(flow);
		else if (moves < MOVES_PER_TURN)
			result = move_once(flow, env);
		else
			break;
	}
	/* A reset does not wait its turn behind bytes that a full sink holds up. */
	if (result == RELAY_WAIT_SINK && flow->src->stashed == END_RESET) {
		flow->closing = END_RESET;
		return RELAY_FAILED;
	}
	return result;
}

enum relay_result relay_flow_pump(struct relay_flow *flow, struct relay_env *env)
{
	enum relay_result result = pump(flow, env);

	if (env->scratch_used)
		explicit_bzero(env->scratch, env->scratch_used);
	env->scratch_used = 0;
	return result;
}

void relay_flow_release(struct relay_flow *flow, struct relay_env *env)
{
	if (flow->ops)
		flow->ops->release(flow, env);
}
