// SPDX-License-Identifier: GPL-2.0-or-later
/* Both handshakes are done, or none is wanted: keys into the kernel, and the two flows set up. */
#include <stdlib.h>

#include "core/conn.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

/* --- keys into the kernel --- */

struct direction_stats {
	enum stats_counter kernel, user;
};

static const struct direction_stats rx_stats[SIDES] = {
	[SIDE_CLIENT] = {STAT_KTLS_CLIENT_RX, STAT_USER_CLIENT_RX},
	[SIDE_UPSTREAM] = {STAT_KTLS_UPSTREAM_RX, STAT_USER_UPSTREAM_RX},
};

static const struct direction_stats tx_stats[SIDES] = {
	[SIDE_CLIENT] = {STAT_KTLS_CLIENT_TX, STAT_USER_CLIENT_TX},
	[SIDE_UPSTREAM] = {STAT_KTLS_UPSTREAM_TX, STAT_USER_UPSTREAM_TX},
};

static bool to_kernel(struct conn *conn, struct conn_socket *side, enum ktls_direction direction,
		      enum ksplit_reason *reason, const struct direction_stats *counters)
{
	struct stats *stats = &conn->worker->stats;

	if (*reason == KSPLIT_NONE)
		*reason = tls_session_to_kernel(&side->session, side->fd, direction,
						&conn->worker->server->ktls);
	if (*reason == KSPLIT_NONE) {
		stats_add(stats, counters->kernel, 1);
		return true;
	}
	stats_add(stats, counters->user, 1);
	stats_count_reason(stats, *reason);
	log_debug("connection %lu: %s %s stays in user space: %s", (unsigned long)conn->info.id,
		  side->is_client ? "client" : "upstream", direction == KTLS_TX ? "tx" : "rx",
		  ksplit_reason_text(*reason));
	return false;
}

/* True: all of it is the kernel's. */
static bool side_arm(struct conn *conn, enum conn_side index)
{
	struct conn_socket *side = &conn->side[index];
	struct conn_side_info *info = &conn->info.side[index];
	const struct server *server = conn->worker->server;
	uint16_t record_bytes = tls_session_record_bytes(&side->session);
	struct relay_end_options options;

	info->tx_kernel = to_kernel(conn, side, KTLS_TX, &info->tx_reason, &tx_stats[index]);
	info->rx_kernel = to_kernel(conn, side, KTLS_RX, &info->rx_reason, &rx_stats[index]);
	options = (struct relay_end_options){
		.fd = side->fd,
		.session = &side->session,
		.out = &side->out,
		.support = &server->ktls,
		.stats = &conn->worker->stats,
		.version = info->version,
		.suite = info->suite,
		.is_client_side = side->is_client,
		.rx_kernel = info->rx_kernel,
		.tx_kernel = info->tx_kernel,
		.record_bytes = record_bytes,
		.record_limit = conn->generation->config->gcm_records,
	};
	relay_end_init(&side->end, &options);
	side->has_end = true;
	if (!side->is_client)
		conn_sessions_armed(conn);
	else if (info->rx_kernel && info->tx_kernel)
		tls_session_release(&side->session);
	if (!info->rx_kernel)
		tls_session_read_ahead(&side->session);
	return info->rx_kernel && info->tx_kernel;
}

/* A service in plain TCP: its side has no keys. */
static void side_bare(struct conn *conn, struct conn_socket *side)
{
	relay_end_init(&side->end, &(struct relay_end_options){.fd = side->fd,
							       .out = &side->out,
							       .stats = &conn->worker->stats});
	side->has_end = true;
}

static bool upstream_arm(struct conn *conn)
{
	if (!conn_service_is_plain(conn))
		return side_arm(conn, SIDE_UPSTREAM);
	side_bare(conn, &conn->side[SIDE_UPSTREAM]);
	return true;
}

/* --- flows --- */

static enum relay_choice relay_choice(const struct conn *conn)
{
	/* A pipe is two descriptors more. */
	if (conn->info.pass_reason == KSPLIT_PASS_OVERLOAD)
		return RELAY_CHOICE_COPY;
	if (conn->info.passed)
		return RELAY_CHOICE_SPLICE;
	switch (conn->generation->config->relay) {
	case RELAY_SPLICE: return RELAY_CHOICE_SPLICE;
	case RELAY_COPY: return RELAY_CHOICE_COPY;
	default: return RELAY_CHOICE_AUTO;
	}
}

static void flows_begin(struct conn *conn)
{
	struct relay_end *client = &conn->side[SIDE_CLIENT].end;
	struct relay_end *upstream = &conn->side[SIDE_UPSTREAM].end;

	relay_flow_init(&conn->flow[FLOW_TO_ORIGIN], client, upstream, relay_choice(conn),
			STAT_BYTES_TO_ORIGIN, &conn->info.flow[FLOW_TO_ORIGIN]);
	relay_flow_init(&conn->flow[FLOW_TO_CLIENT], upstream, client, relay_choice(conn),
			STAT_BYTES_TO_CLIENT, &conn->info.flow[FLOW_TO_CLIENT]);
	conn_observe_begin(conn);
	conn_taps_begin(conn);
	conn_enter(conn, CONN_RELAY);
	conn_relay_run(conn);
}

void conn_relay_start(struct conn *conn)
{
	const struct config *config = conn->generation->config;
	bool client_armed = side_arm(conn, SIDE_CLIENT);
	bool upstream_armed = upstream_arm(conn);

	stats_add(&conn->worker->stats, STAT_INTERCEPTED, 1);
	if (conn_service_is_plain(conn) && conn_service_announce(conn)) {
		conn_end(conn, KSPLIT_CONNECT_FAILED,
			 (struct conn_farewell){.client = GOODBYE_ALERT,
						.client_alert = ALERT_INTERNAL_ERROR});
		return;
	}
	if (config->ktls == KTLS_REQUIRE && !(client_armed && upstream_armed)) {
		conn_end(conn, KSPLIT_KTLS_REQUIRED,
			 (struct conn_farewell){.client = GOODBYE_ALERT,
						.client_alert = ALERT_INTERNAL_ERROR,
						.upstream = GOODBYE_NOTIFY});
		return;
	}
	flows_begin(conn);
}

void conn_relay_start_raw(struct conn *conn)
{
	for (int i = 0; i < SIDES; i++)
		side_bare(conn, &conn->side[i]);
	/* Only a connection that has yet to reach its origin needs these. */
	free(conn->hello);
	free(conn->addresses);
	conn->hello = NULL;
	conn->addresses = NULL;
	conn_service_forget(conn);
	stats_add(&conn->worker->stats, STAT_PASSED, 1);
	conn->counted_passed = true;
	conn->worker->open_passed++;
	flows_begin(conn);
}
