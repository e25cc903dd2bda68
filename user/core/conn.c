// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/conn_parallel.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

void conn_side_watch(struct conn_socket *side, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = &side->watch};
	int epoll_fd = side->conn->worker->epoll_fd;

	/*
	 * Errors and hang-ups are always told of. Where nothing else is wanted they are told once:
	 * a reset must be noticed, and a hang-up that cannot be acted on yet must not be told for
	 * ever.
	 */
	if (!events)
		event.events = EPOLLET;
	if (side->fd < 0 || (side->registered && side->armed == event.events))
		return;
	if (!events && !side->registered)
		return;
	if (epoll_ctl(epoll_fd, side->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, side->fd,
		      &event)) {
		log_error("connection %lu: epoll_ctl: %s", (unsigned long)side->conn->info.id,
			  strerror(errno));
		conn_abort(side->conn, KSPLIT_NO_MEMORY);
		return;
	}
	side->registered = true;
	side->armed = event.events;
}

void conn_side_close(struct conn_socket *side)
{
	struct conn *conn = side->conn;

	conn_observe_side_close(conn, side);
	if (!side->is_client)
		own_sockets_remove(conn->worker->server->own_sockets, &conn->own);
	/*
	 * Closing takes it out of the set only when no other process has it: one that is being
	 * forked does (epoll(7)), and events would come for a connection that is freed.
	 */
	if (side->registered)
		epoll_ctl(conn->worker->epoll_fd, EPOLL_CTL_DEL, side->fd, NULL);
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
	side->registered = false;
	side->armed = 0;
	out_buffer_reset(&side->out);
}

static const enum deadline_kind deadline_of_state[CONN_STATES] = {
	[CONN_PEEK] = DEADLINE_PEEK,
	[CONN_RESOLVE] = DEADLINE_RESOLVE,
	[CONN_CONNECT] = DEADLINE_CONNECT,
	[CONN_PLAIN] = DEADLINE_PLAIN,
	[CONN_UPSTREAM_HANDSHAKE] = DEADLINE_UPSTREAM_HANDSHAKE,
	[CONN_LEAF] = DEADLINE_CLIENT_HANDSHAKE,
	[CONN_CLIENT_HANDSHAKE] = DEADLINE_CLIENT_HANDSHAKE,
	[CONN_RELAY] = DEADLINE_IDLE,
	[CONN_CLOSING] = DEADLINE_CLOSE,
};

void conn_enter(struct conn *conn, enum conn_state state)
{
	uint64_t now_us = worker_clock_us();

	conn->info.phase_us[conn->info.state] += now_us - conn->phase_start_us;
	conn->phase_start_us = now_us;
	worker_count_open(conn->worker, conn->info.state, -1);
	worker_count_open(conn->worker, state, 1);
	conn->info.state = state;
	deadline_set(&conn->worker->deadlines, &conn->deadline, deadline_of_state[state],
		     conn->worker->now_us);
}

static void client_ready_early(struct conn *conn, uint32_t events)
{
	/* Its bytes wait until the origin has answered; but when it goes, so do we. */
	if (events & (EPOLLERR | EPOLLHUP))
		conn_abort(conn, KSPLIT_CLIENT_GONE);
}

static void side_ready(struct watch *watch, uint32_t events)
{
	struct conn_socket *side = (struct conn_socket *)watch;
	struct conn *conn = side->conn;

	if (conn->dead)
		return;
	switch (conn->info.state) {
	case CONN_PEEK: conn_peek_ready(conn, events); break;
	case CONN_PLAIN: conn_starttls_ready(side, events); break;
	case CONN_RELAY: conn_relay_ready(side, events); break;
	case CONN_CLOSING: conn_close_ready(conn); break;
	case CONN_CLIENT_HANDSHAKE:
		/* What the origin sends meanwhile waits in its socket. */
		if (side->is_client)
			conn_client_ready(conn, events);
		else
			conn_side_watch(side, 0);
		break;
	default:
		if (!side->is_client)
			conn_upstream_ready(conn, events);
		else if (!conn_parallel_client_ready(conn, events))
			client_ready_early(conn, events);
		break;
	}
}

static void deadline_expired(struct deadline *deadline)
{
	struct conn *conn = (void *)((char *)deadline - offsetof(struct conn, deadline));
	static const struct conn_farewell notify_both = {.client = GOODBYE_NOTIFY,
							 .upstream = GOODBYE_NOTIFY};

	switch (conn->info.state) {
	case CONN_PEEK: conn_peek_expired(conn); break;
	case CONN_RESOLVE:
		conn_refuse(conn, KSPLIT_RESOLVE_TIMEOUT, ALERT_INTERNAL_ERROR);
		break;
	case CONN_CONNECT:
		if (conn_upstream_try_next(conn))
			break;
		conn_refuse(conn, KSPLIT_CONNECT_TIMEOUT, ALERT_INTERNAL_ERROR);
		break;
	case CONN_PLAIN: conn_starttls_expired(conn); break;
	case CONN_UPSTREAM_HANDSHAKE:
		stats_add(&conn->worker->stats, STAT_HANDSHAKES_UPSTREAM_FAILED, 1);
		conn_refuse(conn, KSPLIT_UPSTREAM_TIMEOUT, ALERT_INTERNAL_ERROR);
		break;
	case CONN_LEAF: conn_leaf_expired(conn); break;
	case CONN_CLIENT_HANDSHAKE:
		stats_add(&conn->worker->stats, STAT_HANDSHAKES_CLIENT_FAILED, 1);
		conn_end(conn, KSPLIT_CLIENT_TIMEOUT,
			 (struct conn_farewell){.client = GOODBYE_CLOSE,
						.upstream = GOODBYE_NOTIFY});
		break;
	case CONN_RELAY: conn_end(conn, KSPLIT_IDLE_TIMEOUT, notify_both); break;
	default: conn_close_expired(conn); break;
	}
}

static void settle_expired(struct deadline *deadline)
{
	struct conn *conn = (void *)((char *)deadline - offsetof(struct conn, settle));

	if (conn->info.state == CONN_RELAY)
		conn_relay_settle(conn);
	else if (conn->info.state == CONN_CLOSING)
		conn_close_ready(conn);
	else if (conn->info.state == CONN_CONNECT)
		conn_upstream_connect_again(conn);
}

static int64_t wall_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void side_init(struct conn_socket *side, struct conn *conn, bool is_client)
{
	side->watch.ready = side_ready;
	side->conn = conn;
	side->fd = -1;
	side->is_client = is_client;
	out_buffer_init(&side->out, &conn->worker->out_pool);
}

static void info_init(struct conn *conn, const union conn_address *peer)
{
	struct conn_info *info = &conn->info;
	socklen_t len = sizeof(info->local);

	/* Unique in the process: workers take every n-th number. */
	info->id = conn->worker->next_conn_id++ * conn->worker->server->workers_len +
		   conn->worker->index + 1;
	info->start_ms = wall_clock_ms();
	info->client = *peer;
	getsockname(conn->side[SIDE_CLIENT].fd, &info->local.sa, &len);
	for (int i = 0; i < SIDES; i++)
		info->side[i].alert_received = info->side[i].alert_sent = -1;
}

void conn_accept(struct worker *worker, struct generation *generation,
		 const struct config_listener *listener, int fd, const union conn_address *peer)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	const int on = 1;

	if (!conn) {
		close(fd);
		stats_count_reason(&worker->stats, KSPLIT_NO_MEMORY);
		return;
	}
	conn->worker = worker;
	conn->generation = generation_get(generation);
	conn->listener = listener;
	side_init(&conn->side[SIDE_CLIENT], conn, true);
	side_init(&conn->side[SIDE_UPSTREAM], conn, false);
	conn->side[SIDE_CLIENT].fd = fd;
	conn->deadline.expired = deadline_expired;
	conn->settle.expired = settle_expired;
	conn->tickets.expired = conn_sessions_expired;
	info_init(conn, peer);
	conn_destination_look_for_self(conn);
	conn->info.incoming = conn->listener->incoming;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	LIST_INSERT_HEAD(&worker->conns, conn, link);
	worker->conns_len++;
	stats_add(&worker->stats, STAT_ACCEPTED, 1);
	conn->phase_start_us = worker_clock_us();
	worker_count_open(worker, CONN_PEEK, 1);
	conn_enter(conn, CONN_PEEK);
	conn_peek_begin(conn);
	/* Edge-triggered: bytes that are only peeked at stay where they are. */
	conn_side_watch(&conn->side[SIDE_CLIENT], EPOLLIN | EPOLLRDHUP | EPOLLET);
}

void conn_run_again(struct conn *conn)
{
	if (conn->info.state == CONN_RELAY)
		conn_relay_run(conn);
}

static void snapshot_alerts(const struct conn *conn, struct conn_info *out)
{
	for (int i = 0; i < SIDES; i++) {
		if (!out->side[i].version && !conn->side[i].session.track.kdf)
			continue;
		out->side[i].alert_received = conn->side[i].session.track.alert_received;
		if (out->side[i].alert_sent < 0)
			out->side[i].alert_sent = conn->side[i].session.track.alert_sent;
	}
}

void conn_snapshot(const struct conn *conn, struct conn_info *out)
{
	*out = conn->info;
	out->phase_us[out->state] += worker_clock_us() - conn->phase_start_us;
	snapshot_alerts(conn, out);
}

/* Ends that any healthy host sees all day: told at level debug; the others are worth a line. */
static bool is_ordinary(enum ksplit_reason reason)
{
	return reason == KSPLIT_CLOSED || reason == KSPLIT_TRUNCATED_BY_CLIENT ||
	       reason == KSPLIT_TRUNCATED_BY_ORIGIN || reason == KSPLIT_CLIENT_GONE;
}

static void report(struct conn *conn)
{
	struct access_log *log = conn->worker->server->access_log;
	enum ksplit_reason reason = conn->info.end_reason;
	struct stats *stats = &conn->worker->stats;
	struct conn_info info;

	stats_add(stats, STAT_CLOSED, 1);
	stats_count_reason(stats, reason);
	log_write(is_ordinary(reason) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		  "connection %lu: %s: ended: %s", (unsigned long)conn->info.id, conn->info.sni,
		  ksplit_reason_text(reason));
	conn_snapshot(conn, &info);
	conn_observe_end(conn, &info);
	if (!log)
		return;
	if (!access_log_connection(log, &info))
		stats_add(stats, STAT_ACCESS_LOG_DROPPED, 1);
}

static void side_free(struct conn_socket *side)
{
	tls_session_free(&side->session);
	out_buffer_reset(&side->out);
}

void conn_free(struct conn *conn)
{
	conn_taps_end(conn);
	report(conn);
	for (int i = 0; i < SIDES; i++)
		side_free(&conn->side[i]);
	free(conn->hello);
	free(conn->addresses);
	X509_free(conn->origin_cert);
	leaf_put(conn->leaf);
	conn_parallel_forget(conn);
	conn_service_forget(conn);
	generation_put(conn->generation);
	free(conn);
}
