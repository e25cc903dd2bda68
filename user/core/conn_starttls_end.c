// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the watch of a dialogue in plain ends: it stays plain, turns to TLS, or turns to TLS that
 * cannot be opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/conn.h"
#include "core/conn_starttls.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

void conn_starttls_free(struct conn *conn)
{
	/* Half a line of somebody's may be in it. */
	explicit_bzero(conn->starttls, sizeof(*conn->starttls));
	free(conn->starttls);
	conn->starttls = NULL;
}

void conn_starttls_forget(struct conn *conn)
{
	enum ksplit_reason reason;
	bool unused;

	if (!conn->starttls)
		return;
	reason = conn->starttls->reason;
	unused = conn->info.end_reason == KSPLIT_CLIENT_GONE && !conn_starttls_has_moved(conn) &&
		 reason == KSPLIT_PASS_SERVER_FIRST;
	conn_starttls_free(conn);
	if (!unused)
		conn_policy_pass(conn, reason, "");
}

enum starttls_step conn_starttls_leave(struct conn *conn, enum ksplit_reason reason)
{
	conn_starttls_free(conn);
	if (!conn->info.passed)
		conn_policy_pass(conn, reason, "");
	conn_policy_passed(conn);
	conn_relay_start_raw(conn);
	return STEP_LEFT;
}

enum starttls_step conn_starttls_reset(struct conn *conn, enum ksplit_reason reason)
{
	conn_end(conn, reason, (struct conn_farewell){GOODBYE_RESET, GOODBYE_RESET, 0, 0});
	return STEP_LEFT;
}

static void count_upgrade(struct conn *conn)
{
	struct conn_info *info = &conn->info;

	stats_add(&conn->worker->stats, STAT_UPGRADE_SMTP + info->upgrade - CONN_UPGRADE_SMTP, 1);
	log_debug("connection %lu: %s: turns to TLS (%s)", (unsigned long)info->id, info->sni,
		  conn_upgrade_name(info->upgrade));
	for (int i = 0; i < FLOWS; i++) {
		info->upgrade_bytes[i] = info->flow[i].bytes;
		info->flow[i] = (struct conn_flow_info){0};
	}
}

static bool upstream_is_silent(const struct conn *conn)
{
	uint8_t byte;

	return recv(conn->side[SIDE_UPSTREAM].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

enum starttls_step conn_starttls_turn(struct conn *conn, const struct client_hello *hello,
				      enum conn_upgrade how)
{
	enum ksplit_reason reason;

	if (!out_buffer_empty(&conn->side[SIDE_CLIENT].out) ||
	    !out_buffer_empty(&conn->side[SIDE_UPSTREAM].out) || !upstream_is_silent(conn))
		return STEP_IDLE;
	reason = conn_peek_take(conn, hello);
	if (reason == KSPLIT_NO_MEMORY) {
		conn_abort(conn, reason);
		return STEP_LEFT;
	}
	if (reason == KSPLIT_VERSION_REFUSED) {
		conn_refuse(conn, reason, ALERT_PROTOCOL_VERSION);
		return STEP_LEFT;
	}
	if (reason != KSPLIT_NONE)
		return conn_starttls_leave(conn, reason);
	conn->info.upgrade = how;
	conn_policy_decide(conn);
	if (conn->info.passed)
		return conn_starttls_leave(conn, conn->info.pass_reason);
	if (how != CONN_UPGRADE_NONE)
		count_upgrade(conn);
	conn_starttls_free(conn);
	conn_policy_choose_profile(conn);
	conn_upstream_shake(conn);
	return STEP_LEFT;
}

/* --- an upgrade that fails --- */

static void learn(struct conn *conn)
{
	if (conn_policy_learn_upgrade(conn))
		log_info("connection %lu: %s: the next dialogue of that client that turns to TLS "
			 "is passed through for %u s",
			 (unsigned long)conn->info.id, conn->info.sni,
			 conn->generation->config->learned_pass / 1000);
}

bool conn_starttls_cut(struct conn *conn, enum ksplit_reason reason)
{
	if (conn->info.upgrade == CONN_UPGRADE_NONE)
		return false;
	log_info("connection %lu: %s: would be passed through (%s), but its dialogue in plain "
		 "cannot begin again",
		 (unsigned long)conn->info.id, conn->info.sni, ksplit_reason_text(reason));
	stats_count_reason(&conn->worker->stats, reason);
	conn_refuse(conn, KSPLIT_UPGRADE_FAILED, ALERT_HANDSHAKE_FAILURE);
	return true;
}

void conn_starttls_refused(struct conn *conn, enum ksplit_reason reason)
{
	/* Was it for the session that was offered? The next one offers none, and may do. */
	if (conn->info.upgrade != CONN_UPGRADE_NONE && !conn->info.passed &&
	    !conn->sessions_blamed &&
	    (reason == KSPLIT_UPGRADE_FAILED || reason == KSPLIT_UPSTREAM_FAILED ||
	     reason == KSPLIT_UPSTREAM_TIMEOUT))
		learn(conn);
}
