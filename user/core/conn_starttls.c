// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A dialogue in plain is relayed and watched for its turn to TLS. What the client sends is looked
 * at before it is taken from its socket, so that a ClientHello is still there, whole, for whoever
 * gets the connection: OpenSSL or, at any doubt, the origin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/conn.h"
#include "core/conn_starttls.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

/* Of plain bytes each way: more than any dialogue before STARTTLS, nothing beside a transfer. */
#define WATCHED_BYTES 65536

bool conn_starttls_wanted(const struct conn *conn)
{
	return !conn->listener->starttls_off && !conn->self_test &&
	       conn->listener->destination != DESTINATION_SNI && !conn_service_is_plain(conn);
}

bool conn_starttls_begin(struct conn *conn, enum ksplit_reason reason)
{
	if (!conn_starttls_wanted(conn))
		return false;
	conn->starttls = calloc(1, sizeof(*conn->starttls));
	if (!conn->starttls)
		return false;
	conn->starttls->reason = reason;
	conn_destination_find(conn);
	return true;
}

/* --- bytes --- */

static void count(struct conn *conn, enum conn_flow flow, size_t len)
{
	struct stats *stats = &conn->worker->stats;

	conn->info.flow[flow].relay = CONN_RELAY_RAW;
	conn->info.flow[flow].bytes += len;
	stats_add(stats, flow == FLOW_TO_ORIGIN ? STAT_BYTES_TO_ORIGIN : STAT_BYTES_TO_CLIENT, len);
	stats_add(stats, STAT_BYTES_RAW, len);
}

/* Put them on their way; a socket that takes nothing any more is the relay's to find out about. */
static enum starttls_step give(struct conn *conn, enum conn_flow flow, const uint8_t *data,
			       size_t len)
{
	struct conn_socket *to = &conn->side[flow == FLOW_TO_ORIGIN ? SIDE_UPSTREAM : SIDE_CLIENT];

	if (out_buffer_append(&to->out, data, len)) {
		conn_abort(conn, KSPLIT_NO_MEMORY);
		return STEP_LEFT;
	}
	count(conn, flow, len);
	out_buffer_send(&to->out, to->fd);
	return STEP_MOVED;
}

/* Is there room for what comes next? What waits goes first. */
static bool has_room(struct conn_socket *to)
{
	return out_buffer_empty(&to->out) || !out_buffer_send(&to->out, to->fd);
}

static ssize_t look(struct conn *conn, struct conn_socket *from, int flags)
{
	struct relay_env *env = &conn->worker->relay_env;
	ssize_t n;

	do {
		n = recv(from->fd, env->scratch, env->scratch_len, flags | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && (size_t)n > env->scratch_used)
		env->scratch_used = (size_t)n;
	return n;
}

/* --- the client --- */

/* Perhaps the beginning of a hello: the rest is waited for, a while. */
static enum starttls_step hold(struct conn *conn, enum deadline_kind kind)
{
	if (conn->starttls->client_ended)
		return conn_starttls_leave(conn, KSPLIT_PASS_HELLO_MALFORMED);
	if (!conn->starttls->holds)
		deadline_set(&conn->worker->deadlines, &conn->deadline, kind, conn->worker->now_us);
	conn->starttls->holds = true;
	return STEP_IDLE;
}

static void hold_no_more(struct conn *conn)
{
	if (conn->starttls->holds)
		deadline_set(&conn->worker->deadlines, &conn->deadline, DEADLINE_PLAIN,
			     conn->worker->now_us);
	conn->starttls->holds = false;
}

static enum starttls_step take_plain(struct conn *conn, size_t len)
{
	struct relay_env *env = &conn->worker->relay_env;
	ssize_t n = recv(conn->side[SIDE_CLIENT].fd, env->scratch, len, MSG_DONTWAIT);

	hold_no_more(conn);
	/* They were there a moment ago. */
	if (n < 0 || (size_t)n != len)
		return conn_starttls_reset(conn, KSPLIT_RESET_BY_CLIENT);
	return give(conn, FLOW_TO_ORIGIN, env->scratch, len);
}

/* The client was to send its hello, and this is what it has sent. */
static enum starttls_step client_hello(struct conn *conn, const uint8_t *data, size_t len)
{
	struct conn_starttls *watch = conn->starttls;
	struct client_hello hello;
	size_t need;

	switch (client_hello_parse(data, len, &hello, &need)) {
	case 1: return conn_starttls_turn(conn, &hello, watch->dialogue.protocol);
	case 0: return hold(conn, DEADLINE_PEEK);
	case -EPROTO: return conn_starttls_leave(conn, watch->reason);
	case -EMSGSIZE: return conn_starttls_leave(conn, KSPLIT_PASS_HELLO_TOO_LARGE);
	default: return conn_starttls_leave(conn, KSPLIT_PASS_HELLO_MALFORMED);
	}
}

/* Nobody knows the protocol: what is not exactly a hello is none. */
static enum starttls_step maybe_hello(struct conn *conn, const uint8_t *data, size_t len)
{
	struct client_hello hello;
	size_t need;

	switch (client_hello_parse(data, len, &hello, &need)) {
	case 1:
		if (len == hello.wire_len || hello.early_data)
			return conn_starttls_turn(conn, &hello, CONN_UPGRADE_OTHER);
		break;
	case 0:
		if (!conn->starttls->client_ended)
			return hold(conn, DEADLINE_PLAIN_HELLO);
		break;
	default: break;
	}
	starttls_client_plain(&conn->starttls->dialogue);
	return take_plain(conn, len);
}

/* Nobody has said anything yet: TLS from the first byte, after a while? *plain: no. */
static enum starttls_step first_bytes(struct conn *conn, const uint8_t *data, size_t len,
				      bool *plain)
{
	struct client_hello hello;
	size_t need;

	*plain = false;
	switch (client_hello_parse(data, len, &hello, &need)) {
	case 1: return conn_starttls_turn(conn, &hello, CONN_UPGRADE_NONE);
	case 0: return hold(conn, DEADLINE_PEEK);
	case -EMSGSIZE: return conn_starttls_leave(conn, KSPLIT_PASS_HELLO_TOO_LARGE);
	case -EBADMSG: return conn_starttls_leave(conn, KSPLIT_PASS_HELLO_MALFORMED);
	default: break;
	}
	conn->starttls->reason = KSPLIT_PASS_NOT_TLS;
	if (starttls_is_http(data, len))
		return conn_starttls_leave(conn, KSPLIT_PASS_NOT_TLS);
	*plain = true;
	return STEP_IDLE;
}

static enum starttls_step client_said(struct conn *conn, const uint8_t *data, size_t len)
{
	struct conn_starttls *watch = conn->starttls;
	size_t take;

	if (!conn_starttls_has_moved(conn)) {
		bool plain;
		enum starttls_step step = first_bytes(conn, data, len, &plain);

		if (!plain)
			return step;
	}
	switch (starttls_client(&watch->dialogue, data, len, &take)) {
	case STARTTLS_GO_ON: return take_plain(conn, take);
	case STARTTLS_HELLO: return client_hello(conn, data, len);
	case STARTTLS_MAYBE: return maybe_hello(conn, data, len);
	case STARTTLS_PIPELINED: return conn_starttls_leave(conn, KSPLIT_PASS_PIPELINED);
	default: return conn_starttls_leave(conn, watch->reason);
	}
}

static enum starttls_step from_client(struct conn *conn)
{
	ssize_t n;

	if (!has_room(&conn->side[SIDE_UPSTREAM]))
		return STEP_IDLE;
	n = look(conn, &conn->side[SIDE_CLIENT], MSG_PEEK);
	if (n > 0)
		return client_said(conn, conn->worker->relay_env.scratch, (size_t)n);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return STEP_IDLE;
	if (!conn_starttls_has_moved(conn)) {
		conn_abort(conn, KSPLIT_CLIENT_GONE);
		return STEP_LEFT;
	}
	return n ? conn_starttls_reset(conn, KSPLIT_RESET_BY_CLIENT)
		 : conn_starttls_leave(conn, conn->starttls->reason);
}

/* --- the origin --- */

static enum starttls_step from_origin(struct conn *conn)
{
	const uint8_t *data = conn->worker->relay_env.scratch;
	enum starttls_verdict verdict;
	enum starttls_step step;
	ssize_t n;

	if (!has_room(&conn->side[SIDE_CLIENT]))
		return STEP_IDLE;
	n = look(conn, &conn->side[SIDE_UPSTREAM], 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return STEP_IDLE;
	if (n < 0)
		return conn_starttls_reset(conn, KSPLIT_RESET_BY_ORIGIN);
	if (n == 0)
		return conn_starttls_leave(conn, conn->starttls->reason);
	verdict = starttls_server(&conn->starttls->dialogue, data, (size_t)n);
	step = give(conn, FLOW_TO_CLIENT, data, (size_t)n);
	if (step == STEP_LEFT || verdict == STARTTLS_GO_ON)
		return step;
	return conn_starttls_leave(conn, verdict == STARTTLS_PIPELINED ? KSPLIT_PASS_PIPELINED
								       : conn->starttls->reason);
}

/* --- events --- */

static void watch_side(struct conn_socket *side)
{
	conn_side_watch(side, EPOLLIN | EPOLLRDHUP | EPOLLET |
				      (out_buffer_empty(&side->out) ? 0 : EPOLLOUT));
}

/* What the origin has sent was sent before what the client answers: it is looked at first. */
static void run(struct conn *conn)
{
	struct relay_env *env = &conn->worker->relay_env;
	enum starttls_step origin, client = STEP_LEFT;

	do {
		origin = from_origin(conn);
		if (origin != STEP_LEFT)
			client = from_client(conn);
	} while (origin != STEP_LEFT && client != STEP_LEFT &&
		 (origin == STEP_MOVED || client == STEP_MOVED) &&
		 conn->info.flow[FLOW_TO_ORIGIN].bytes <= WATCHED_BYTES &&
		 conn->info.flow[FLOW_TO_CLIENT].bytes <= WATCHED_BYTES);
	if (env->scratch_used)
		explicit_bzero(env->scratch, env->scratch_used);
	env->scratch_used = 0;
	if (origin == STEP_LEFT || client == STEP_LEFT)
		return;
	if (conn->info.flow[FLOW_TO_ORIGIN].bytes > WATCHED_BYTES ||
	    conn->info.flow[FLOW_TO_CLIENT].bytes > WATCHED_BYTES) {
		conn_starttls_leave(conn, conn->starttls->reason);
		return;
	}
	for (int i = 0; i < SIDES && !conn->dead; i++)
		watch_side(&conn->side[i]);
}

void conn_starttls_start(struct conn *conn)
{
	conn_enter(conn, CONN_PLAIN);
	run(conn);
}

void conn_starttls_ready(struct conn_socket *side, uint32_t events)
{
	struct conn *conn = side->conn;

	if (side->is_client && (events & (EPOLLRDHUP | EPOLLHUP)))
		conn->starttls->client_ended = true;
	run(conn);
}

void conn_starttls_expired(struct conn *conn)
{
	if (conn->starttls->holds && !conn_starttls_has_moved(conn)) {
		conn_starttls_free(conn);
		conn_refuse(conn, KSPLIT_PEEK_TIMEOUT, ALERT_UNRECOGNIZED_NAME);
		return;
	}
	conn_starttls_leave(conn, conn->starttls->reason);
}
