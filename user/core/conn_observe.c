// SPDX-License-Identifier: GPL-2.0-or-later
/* What the observer is told of a connection, and who samples its plaintext. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "core/conn.h"
#include "core/log.h"
#include "core/server.h"
#include "observe/event_queue.h"
#include "observe/observer.h"
#include "observe/timings.h"

static struct sampler *sampler_of(const struct conn *conn)
{
	struct observer *observer = conn->worker->server->observer;

	return observer ? observer_sampler(observer) : NULL;
}

static struct event_queue *queue_of(const struct conn *conn)
{
	return observer_queue(conn->worker->server->observer, conn->worker->index);
}

/* A side's socket carries what goes to that side. */
static enum ksplit_stream stream_to(const struct conn_socket *side)
{
	return side->is_client ? KSPLIT_RESPONSES : KSPLIT_REQUESTS;
}

void conn_observe_enlist(struct conn *conn, const struct conn_socket *side)
{
	struct sampler *sampler = sampler_of(conn);

	if (sampler && sampler_at(sampler, SAMPLER_KERNEL_TLS) == KSPLIT_SAMPLER_SK_MSG)
		sampler_enlist(sampler, side->fd, conn->info.id, stream_to(side));
}

void conn_observe_connect(struct conn *conn)
{
	struct observer *observer = conn->worker->server->observer;

	if (observer && observer_timings(observer))
		timings_mark_upstream(observer_timings(observer), conn->side[SIDE_UPSTREAM].fd);
}

/*
 * What is passed raw may be plain HTTP - but not when it is TLS that we could not open, or a
 * dialogue that was watched from its beginning and is none of HTTP.
 */
static bool is_plain(const struct conn *conn)
{
	if (conn->info.flow[FLOW_TO_ORIGIN].bytes || conn->info.flow[FLOW_TO_CLIENT].bytes)
		return false;
	return conn->info.pass_reason == KSPLIT_PASS_NOT_TLS ||
	       conn->info.pass_reason == KSPLIT_PASS_SERVER_FIRST;
}

static enum sampler_place place_of(const struct conn *conn)
{
	if (conn->info.passed)
		return SAMPLER_PLAIN_TCP;
	if (conn->info.side[SIDE_CLIENT].tx_kernel && conn->info.side[SIDE_UPSTREAM].tx_kernel)
		return SAMPLER_KERNEL_TLS;
	return SAMPLER_USER_TLS;
}

/* gRPC's C core offers a name of its own before "h2", for the same protocol. */
static bool is_http2(const struct conn *conn)
{
	return (conn->alpn_len == 2 && !memcmp(conn->alpn, "h2", 2)) ||
	       (conn->alpn_len == 8 && !memcmp(conn->alpn, "grpc-exp", 8));
}

static void tap_begin(struct conn *conn, struct sampler *sampler)
{
	struct stream_tap_options options = {
		.sampler = sampler,
		.scanner = conn->worker->scanner,
		.place = place_of(conn),
		.conn = conn->info.id,
		.http2 = is_http2(conn),
		.fd = {[KSPLIT_REQUESTS] = conn->side[SIDE_UPSTREAM].fd,
		       [KSPLIT_RESPONSES] = conn->side[SIDE_CLIENT].fd},
	};

	if (conn->info.passed && !is_plain(conn))
		return;
	if (options.place == SAMPLER_PLAIN_TCP &&
	    sampler_at(sampler, SAMPLER_PLAIN_TCP) == KSPLIT_SAMPLER_SK_MSG)
		for (int i = 0; i < KSPLIT_STREAMS; i++)
			/*
			 * Only sockets that are ESTABLISHED go into a sockhash; else the daemon
			 * looks.
			 */
			if (sampler_enlist(sampler, options.fd[i], options.conn, i))
				options.place = SAMPLER_USER_TLS;
	stream_tap_begin(&conn->tap, &options);
	if (conn->tap.kind == KSPLIT_SAMPLER_NONE)
		return;
	relay_flow_tap(&conn->flow[FLOW_TO_ORIGIN], &conn->tap, KSPLIT_REQUESTS);
	relay_flow_tap(&conn->flow[FLOW_TO_CLIENT], &conn->tap, KSPLIT_RESPONSES);
}

void conn_observe_begin(struct conn *conn)
{
	const struct conn_info *info = &conn->info;
	struct sampler *sampler = sampler_of(conn);
	struct observer_open open = {
		.conn = {.id = info->id,
			 .direction = info->incoming ? OBSERVE_INCOMING : OBSERVE_OUTGOING,
			 .endpoint = info->upstream,
			 .client = info->client,
			 .passed = info->passed,
			 .tls_version = info->side[SIDE_CLIENT].version,
			 .tls_suite = info->side[SIDE_CLIENT].suite},
		.local = info->local,
	};

	if (!sampler)
		return;
	memcpy(open.conn.server_name, info->sni, sizeof(open.conn.server_name));
	/* A sampler's first event must find the connection known. */
	open.sampler = sampler_at(sampler, place_of(conn));
	if (info->passed && !is_plain(conn))
		open.sampler = KSPLIT_SAMPLER_NONE;
	conn->observed = event_queue_put(queue_of(conn), EVENT_QUEUE_OPEN, &open, sizeof(open));
	if (conn->observed)
		tap_begin(conn, sampler);
}

static void read_tcp(struct conn *conn)
{
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);

	memset(&tcp, 0, sizeof(tcp));
	if (getsockopt(conn->side[SIDE_UPSTREAM].fd, IPPROTO_TCP, TCP_INFO, &tcp, &len))
		return;
	conn->tcp.rtt_us = tcp.tcpi_rtt;
	conn->tcp.retransmits = tcp.tcpi_total_retrans;
}

void conn_observe_side_close(struct conn *conn, const struct conn_socket *side)
{
	enum conn_flow flow = side->is_client ? FLOW_TO_CLIENT : FLOW_TO_ORIGIN;
	bool orderly = conn->info.end_reason == KSPLIT_CLOSED ||
		       conn->info.end_reason == KSPLIT_TRUNCATED_BY_CLIENT ||
		       conn->info.end_reason == KSPLIT_TRUNCATED_BY_ORIGIN;

	if (side->fd < 0 || !conn->worker->server->observer)
		return;
	if (!side->is_client)
		read_tcp(conn);
	if (conn->tap.kind != KSPLIT_SAMPLER_NONE)
		stream_tap_end(&conn->tap, stream_to(side), conn->info.flow[flow].bytes, orderly);
}

void conn_observe_end(struct conn *conn, const struct conn_info *info)
{
	struct observer_close close = {
		.info = *info, .tcp = conn->tcp, .opened = conn->observed};

	if (!conn->worker->server->observer)
		return;
	close.lost_bytes = conn->tap.lost_bytes;
	stream_tap_release(&conn->tap);
	event_queue_put(queue_of(conn), EVENT_QUEUE_CLOSE, &close, sizeof(close));
}
