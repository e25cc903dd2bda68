// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a connection: each side is told what the other did, its last bytes are seen off, and
 * only then is it closed.
 */
#include <openssl/ssl.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/conn.h"
#include "core/conn_parallel.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "tls/protocol.h"

static void side_close(struct conn_socket *side)
{
	conn_side_close(side);
	side->gone = true;
}

static void side_reset(struct conn_socket *side)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	side_close(side);
}

static void stop_waiting(struct conn *conn)
{
	if (conn->resolving)
		resolver_cancel(conn->resolving);
	conn->resolving = NULL;
	conn_leaf_cancel(conn);
	conn_sessions_forget(conn);
	conn_starttls_forget(conn);
	deadline_clear(&conn->worker->deadlines, &conn->settle);
	for (int i = 0; i < FLOWS; i++)
		relay_flow_release(&conn->flow[i], &conn->worker->relay_env);
}

static void die(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (conn->dead)
		return;
	conn->dead = true;
	conn->info.phase_us[conn->info.state] += worker_clock_us() - conn->phase_start_us;
	conn->phase_start_us = worker_clock_us();
	deadline_clear(&worker->deadlines, &conn->deadline);
	deadline_clear(&worker->deadlines, &conn->settle);
	LIST_REMOVE(conn, link);
	worker_count_open(worker, conn->info.state, -1);
	worker->open_passed -= conn->counted_passed;
	conn_policy_forget(conn);
	worker->conns_len--;
	LIST_INSERT_HEAD(&worker->dead, conn, link);
	worker_resume_accept(worker);
}

void conn_abort(struct conn *conn, enum ksplit_reason reason)
{
	if (conn->dead)
		return;
	if (conn->info.end_reason == KSPLIT_NONE)
		conn->info.end_reason = reason;
	stop_waiting(conn);
	for (int i = 0; i < SIDES; i++)
		side_close(&conn->side[i]);
	die(conn);
}

/* An alert before any keys: the record is plain (RFC 8446 6, 5.1). */
static void queue_plain_alert(struct conn_socket *side)
{
	const uint8_t record[] = {TLS_CT_ALERT, 3, 3, 0, 2, ALERT_FATAL, side->alert};

	if (!out_buffer_append(&side->out, record, sizeof(record)))
		side->conn->info.side[side->is_client ? SIDE_CLIENT : SIDE_UPSTREAM].alert_sent =
			side->alert;
}

/* 0: said, or not possible; -EAGAIN: the socket is full. */
static int say_goodbye(struct conn_socket *side)
{
	bool notify = side->goodbye == GOODBYE_NOTIFY;
	int err;

	if (side->goodbye == GOODBYE_CLOSE)
		return 0;
	if (side->has_end) {
		err = relay_end_flush(&side->end);
		if (!err || err == -EKEYEXPIRED)
			err = relay_end_send_alert(&side->end,
						   notify ? ALERT_WARNING : ALERT_FATAL,
						   notify ? ALERT_CLOSE_NOTIFY : side->alert);
		return err == -EAGAIN ? err : 0;
	}
	if (side->session.ssl) {
		if (notify && SSL_is_init_finished(side->session.ssl))
			SSL_shutdown(side->session.ssl);
		return 0;
	}
	if (side->is_client && !notify)
		queue_plain_alert(side);
	return 0;
}

/*
 * Closing a socket with unread bytes in it resets the connection and can take our last words with
 * it, so a peer that was told something is listened to until it closes too.
 */
static bool must_linger(const struct conn_socket *side)
{
	if (side->has_end)
		return side->goodbye != GOODBYE_CLOSE;
	return side->is_client;
}

static enum end_event discard(struct conn_socket *side)
{
	struct relay_env *env = &side->conn->worker->relay_env;
	ssize_t n;

	if (side->has_end && side->end.rx_over)
		return relay_end_await_fin(&side->end);
	if (side->has_end)
		return relay_end_drain(&side->end, env->scratch, env->scratch_len);
	do {
		n = recv(side->fd, env->scratch, env->scratch_len, MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? END_AGAIN : END_FIN;
}

/*
 * Get on with one side; what to wait for comes back as epoll events, 0: nothing (a timer, or it is
 * gone).
 */
static uint32_t side_step(struct conn_socket *side)
{
	struct conn *conn = side->conn;
	int err;

	if (side->goodbye == GOODBYE_RESET) {
		side_reset(side);
		return 0;
	}
	if (!side->goodbye_said) {
		if (say_goodbye(side) == -EAGAIN)
			return EPOLLOUT;
		side->goodbye_said = true;
	}
	err = out_buffer_send(&side->out, side->fd);
	if (err == -EAGAIN)
		return EPOLLOUT;
	if (!err && side->has_end && !relay_end_settled(&side->end)) {
		if (!conn->settle.set)
			deadline_set(&conn->worker->deadlines, &conn->settle, DEADLINE_SETTLE,
				     conn->worker->now_us);
		return 0;
	}
	if (err || !must_linger(side)) {
		side_close(side);
		return 0;
	}
	if (!side->fin_sent)
		shutdown(side->fd, SHUT_WR);
	side->fin_sent = true;
	switch (discard(side)) {
	case END_DATA: return EPOLLIN;
	/* Edge-triggered, since kernel TLS would tell of half a record over and over. */
	case END_AGAIN: return (side->end.rx_over ? 0 : EPOLLIN) | EPOLLRDHUP | EPOLLET;
	default: break;
	}
	side_close(side);
	return 0;
}

void conn_close_ready(struct conn *conn)
{
	bool all_gone = true;

	for (int i = 0; i < SIDES && !conn->dead; i++) {
		struct conn_socket *side = &conn->side[i];
		uint32_t events;

		if (side->gone)
			continue;
		events = side_step(side);
		all_gone &= side->gone;
		if (!side->gone)
			conn_side_watch(side, events);
	}
	if (all_gone)
		die(conn);
}

void conn_close_expired(struct conn *conn)
{
	bool undelivered = false;

	for (int i = 0; i < SIDES; i++)
		undelivered |= !conn->side[i].gone && !conn->side[i].fin_sent;
	if (undelivered && (conn->info.end_reason == KSPLIT_CLOSED))
		conn->info.end_reason = KSPLIT_CLOSE_TIMEOUT;
	conn_abort(conn, KSPLIT_CLOSE_TIMEOUT);
}

/* In plain TCP a FIN is all that there is to say; what went wrong is told by a reset. */
static enum conn_goodbye in_plain_tcp(enum conn_goodbye goodbye)
{
	switch (goodbye) {
	case GOODBYE_NOTIFY: return GOODBYE_CLOSE;
	case GOODBYE_ALERT: return GOODBYE_RESET;
	default: return goodbye;
	}
}

void conn_end(struct conn *conn, enum ksplit_reason reason, struct conn_farewell farewell)
{
	if (conn->dead || conn->info.state == CONN_CLOSING)
		return;
	conn->info.end_reason = reason;
	stop_waiting(conn);
	conn->side[SIDE_CLIENT].goodbye = farewell.client;
	conn->side[SIDE_CLIENT].alert = farewell.client_alert;
	conn->side[SIDE_UPSTREAM].goodbye = conn_service_is_plain(conn)
						    ? in_plain_tcp(farewell.upstream)
						    : farewell.upstream;
	conn->side[SIDE_UPSTREAM].alert = farewell.upstream_alert;
	for (int i = 0; i < SIDES; i++)
		conn->side[i].gone = conn->side[i].fd < 0;
	conn_enter(conn, CONN_CLOSING);
	conn_close_ready(conn);
}

void conn_refuse(struct conn *conn, enum ksplit_reason reason, uint8_t description)
{
	bool tls = !conn->info.passed && !conn->starttls;

	if (conn_parallel_cut(conn, reason))
		return;
	conn_starttls_refused(conn, reason);
	conn_end(conn, reason,
		 (struct conn_farewell){.client = tls ? GOODBYE_ALERT : GOODBYE_CLOSE,
					.client_alert = description,
					.upstream = GOODBYE_NOTIFY});
}
