// SPDX-License-Identifier: GPL-2.0-or-later
/* The two flows of a connection, driven by events to their end. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/conn.h"
#include "core/conn_sessions.h"
#include "tls/protocol.h"

static enum conn_flow flow_from(const struct conn_socket *side)
{
	return side->is_client ? FLOW_TO_ORIGIN : FLOW_TO_CLIENT;
}

static enum conn_flow flow_to(const struct conn_socket *side)
{
	return side->is_client ? FLOW_TO_CLIENT : FLOW_TO_ORIGIN;
}

/* --- the end of a flow is the end of the connection --- */

struct failure {
	enum ksplit_reason by_client, by_origin;
	enum conn_goodbye source, sink;
	uint8_t source_alert, sink_alert;
};

static const struct failure failures[] = {
	[END_ALERT] = {KSPLIT_ALERT_FROM_CLIENT, KSPLIT_ALERT_FROM_ORIGIN, GOODBYE_CLOSE,
		       GOODBYE_ALERT, 0, 0},
	[END_RESET] = {KSPLIT_RESET_BY_CLIENT, KSPLIT_RESET_BY_ORIGIN, GOODBYE_RESET,
		       GOODBYE_RESET, 0, 0},
	[END_BAD_RECORD] = {KSPLIT_BAD_RECORD_CLIENT, KSPLIT_BAD_RECORD_ORIGIN, GOODBYE_ALERT,
			    GOODBYE_ALERT, ALERT_BAD_RECORD_MAC, ALERT_INTERNAL_ERROR},
	[END_UNEXPECTED] = {KSPLIT_UNEXPECTED_RECORD_CLIENT, KSPLIT_UNEXPECTED_RECORD_ORIGIN,
			    GOODBYE_ALERT, GOODBYE_ALERT, ALERT_UNEXPECTED_MESSAGE,
			    ALERT_INTERNAL_ERROR},
	[END_KEY_UPDATE] = {KSPLIT_KEY_UPDATE, KSPLIT_KEY_UPDATE, GOODBYE_NOTIFY, GOODBYE_NOTIFY,
			    0, 0},
	/* No client's end tells of it. */
	[END_CERTIFICATE_ASKED] = {KSPLIT_CERTIFICATE_ASKED, KSPLIT_CERTIFICATE_ASKED,
				   GOODBYE_NOTIFY, GOODBYE_NOTIFY, 0, 0},
	[END_RECORD_LIMIT] = {KSPLIT_RECORD_LIMIT, KSPLIT_RECORD_LIMIT, GOODBYE_NOTIFY,
			      GOODBYE_NOTIFY, 0, 0},
};

static void fail(struct conn *conn, enum conn_flow index)
{
	const struct relay_flow *flow = &conn->flow[index];
	const struct failure *failure = &failures[flow->closing];
	bool by_client = index == FLOW_TO_ORIGIN;
	uint8_t sink_alert = failure->sink_alert;
	struct conn_farewell farewell;

	if (flow->src->rx == &relay_rx_kernel &&
	    (flow->closing == END_KEY_UPDATE || flow->closing == END_BAD_RECORD))
		flow->src->rx_over = true;
	if (flow->closing == END_CERTIFICATE_ASKED)
		conn_policy_certificate_asked(conn);
	if (flow->closing == END_ALERT) {
		sink_alert = flow->alert[1];
		stats_add(&conn->worker->stats, STAT_ALERTS_FORWARDED, 1);
	}
	if (by_client)
		farewell = (struct conn_farewell){failure->source, failure->sink,
						  failure->source_alert, sink_alert};
	else
		farewell = (struct conn_farewell){failure->sink, failure->source, sink_alert,
						  failure->source_alert};
	conn_end(conn, by_client ? failure->by_client : failure->by_origin, farewell);
}

/*
 * A sink that takes no more has been reset - but it may have said why before: its last record is
 * still to be read then.
 */
static void sink_gone(struct conn *conn, enum conn_flow index)
{
	enum conn_flow other = index == FLOW_TO_ORIGIN ? FLOW_TO_CLIENT : FLOW_TO_ORIGIN;

	if (conn->flow_result[other] != RELAY_SINK_GONE)
		conn->flow_result[other] =
			relay_flow_pump(&conn->flow[other], &conn->worker->relay_env);
	if (conn->flow_result[other] != RELAY_FAILED)
		conn->flow[other].closing = END_RESET;
	fail(conn, other);
}

static bool is_over(const struct conn *conn, enum conn_flow index)
{
	const struct relay_flow *flow = &conn->flow[index];

	return conn->flow_result[index] == RELAY_FINISHED &&
	       (flow->phase == RELAY_HALF || flow->phase == RELAY_DONE);
}

/* Who was first to end, and how? Later ends are mere answers. */
static void note_first_end(struct conn *conn)
{
	for (int i = 0; i < FLOWS && conn->first_end == KSPLIT_NONE; i++) {
		const struct relay_flow *flow = &conn->flow[i];

		if (flow->phase == RELAY_OPEN)
			continue;
		conn->first_end = KSPLIT_CLOSED;
		/* In plain TCP a FIN is the end in order. */
		if (flow->closing == END_FIN && flow->src->rx != &relay_rx_raw)
			conn->first_end = i == FLOW_TO_ORIGIN ? KSPLIT_TRUNCATED_BY_CLIENT
							      : KSPLIT_TRUNCATED_BY_ORIGIN;
	}
}

/* --- events --- */

static uint32_t wanted(const struct conn *conn, const struct conn_socket *side)
{
	enum conn_flow from = flow_from(side), to = flow_to(side);
	enum relay_result reading = conn->flow_result[from];
	uint32_t events = 0;

	if (reading == RELAY_WAIT_SOURCE || reading == RELAY_MORE ||
	    (reading == RELAY_FINISHED && conn->flow[from].phase == RELAY_HALF))
		events |= EPOLLIN;
	if (relay_end_mid_message(&side->end))
		events |= EPOLLIN;
	else if (conn->flow_result[to] == RELAY_WAIT_SINK)
		events |= EPOLLOUT;
	if (!out_buffer_empty(&side->out) ||
	    (side->end.key_update_due && !side->end.tx_over))
		events |= EPOLLOUT;
	return side->edge ? events | EPOLLET : events;
}

/*
 * Interest is added at once but taken away only when an event shows that it is in the way: most
 * back-pressure is over before that, and costs no system call.
 */
static void watch_side(struct conn *conn, struct conn_socket *side, uint32_t fired)
{
	uint32_t want = wanted(conn, side);

	if ((want & ~side->armed) || ((want ^ side->armed) & EPOLLET) ||
	    (fired & ~want & ~(want ? EPOLLERR | EPOLLHUP : 0)))
		conn_side_watch(side, want);
}

static uint64_t progress(const struct relay_flow *flow)
{
	return flow->info->bytes + flow->src->swallowed;
}

/* True: something came from the source. */
static bool pump(struct conn *conn, enum conn_flow index)
{
	struct conn_socket *source =
		&conn->side[index == FLOW_TO_ORIGIN ? SIDE_CLIENT : SIDE_UPSTREAM];
	struct relay_flow *flow = &conn->flow[index];
	uint64_t before = progress(flow);

	conn->flow_result[index] = relay_flow_pump(flow, &conn->worker->relay_env);
	if (progress(flow) == before)
		return false;
	source->edge = false;
	return true;
}

/*
 * Readable, but nothing to read: a record that is not yet whole. poll(2) tells of it for as long as
 * it lies there (6.1 always; 6.12 and 7.3 once the socket is no longer ESTABLISHED, as after a FIN
 * of ours), so that only the arrival of more is waited for.
 */
static void source_ready(struct conn *conn, struct conn_socket *side, uint32_t events)
{
	enum conn_flow from = flow_from(side);

	if (!pump(conn, from) && (events & EPOLLIN) && side->end.rx == &relay_rx_kernel &&
	    (conn->flow_result[from] == RELAY_WAIT_SOURCE ||
	     conn->flow_result[from] == RELAY_FINISHED))
		side->edge = true;
}

/* Act on what the pumps have said. `fired`: the events that `side` (NULL: none) was told of. */
static void conclude(struct conn *conn, const struct conn_socket *side, uint32_t fired)
{
	bool settling = false;

	note_first_end(conn);
	conn_policy_client_ended(conn);
	conn_sessions_look(conn);
	conn_policy_origin_wishes(conn);
	for (int i = 0; i < FLOWS; i++) {
		if (conn->flow_result[i] == RELAY_FAILED) {
			fail(conn, i);
			return;
		}
	}
	for (int i = 0; i < FLOWS; i++) {
		if (conn->flow_result[i] == RELAY_SINK_GONE) {
			sink_gone(conn, i);
			return;
		}
		settling |= conn->flow_result[i] == RELAY_WAIT_SETTLE;
	}
	if (is_over(conn, FLOW_TO_ORIGIN) && is_over(conn, FLOW_TO_CLIENT)) {
		conn_end(conn, conn->first_end,
			 (struct conn_farewell){.client = GOODBYE_CLOSE,
						.upstream = GOODBYE_CLOSE});
		return;
	}
	if (settling && !conn->settle.set)
		deadline_set(&conn->worker->deadlines, &conn->settle, DEADLINE_SETTLE,
			     conn->worker->now_us);
	for (int i = 0; i < SIDES && !conn->dead; i++)
		watch_side(conn, &conn->side[i], side == &conn->side[i] ? fired : 0);
	for (int i = 0; i < FLOWS && !conn->dead; i++)
		if (conn->flow_result[i] == RELAY_MORE &&
		    relay_end_has_pending(conn->flow[i].src))
			worker_run_again(conn->worker, conn);
}

/* The source failed while its bytes wait for the sink, so that nobody reads the error from it. */
static void source_error(struct conn *conn, enum conn_flow index, int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (!error)
		return;
	conn->flow[index].closing = error == EBADMSG ? END_BAD_RECORD : END_RESET;
	conn->flow_result[index] = RELAY_FAILED;
}

static void touch(struct conn *conn)
{
	deadline_set(&conn->worker->deadlines, &conn->deadline, DEADLINE_IDLE,
		     conn->worker->now_us);
}

void conn_relay_ready(struct conn_socket *side, uint32_t events)
{
	struct conn *conn = side->conn;
	enum conn_flow from = flow_from(side), to = flow_to(side);

	const bool mid_message = relay_end_mid_message(&side->end);

	touch(conn);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		source_ready(conn, side, events);
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) ||
	    (mid_message && !relay_end_mid_message(&side->end)))
		pump(conn, to);
	if ((events & EPOLLERR) && conn->flow_result[from] == RELAY_WAIT_SINK)
		source_error(conn, from, side->fd);
	conclude(conn, side, events);
}

void conn_relay_run(struct conn *conn)
{
	pump(conn, FLOW_TO_ORIGIN);
	pump(conn, FLOW_TO_CLIENT);
	conclude(conn, NULL, 0);
}

void conn_relay_settle(struct conn *conn)
{
	for (int i = 0; i < FLOWS; i++)
		if (conn->flow_result[i] == RELAY_WAIT_SETTLE)
			pump(conn, i);
	conclude(conn, NULL, 0);
}
