// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client's side: a leaf that says what the origin's certificate says, then the handshake with
 * it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/conn.h"
#include "core/conn_parallel.h"
#include "core/conn_sessions.h"
#include "core/learned_pass.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

/* The signing process has our leaf, or another's that is the same; it comes back as a post. */
struct conn_leaf_wait {
	struct worker_post post; /* first */
	struct worker *worker;
	struct conn *conn; /* NULL: no longer wanted */
	struct leaf *leaf; /* NULL: there is none, see err */
	int err;
};

/* Has it said that it will send no more? The FIN lies behind the ClientHello, which is unread. */
static bool has_left(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLRDHUP};

	return poll(&poller, 1, 0) > 0;
}

void conn_client_let_go(struct conn *conn)
{
	X509_free(conn->origin_cert);
	conn->origin_cert = NULL;
	free(conn->addresses);
	conn->addresses = NULL;
	free(conn->hello);
	conn->hello = NULL;
}

static void begin(struct conn *conn, const uint8_t *alpn, size_t alpn_len)
{
	struct conn_socket *side = &conn->side[SIDE_CLIENT];

	conn_taps_keys(conn, side);
	if (conn->info.side[SIDE_CLIENT].rx_reason != KSPLIT_NONE)
		tls_session_read_ahead(&side->session);
	conn->leaf_shown = !has_left(side->fd);
	side->session.alpn = alpn;
	side->session.alpn_len = alpn_len;
	conn_client_ready(conn, 0);
}

void conn_client_show(struct conn *conn, const uint8_t *alpn, size_t alpn_len)
{
	struct conn_socket *side = &conn->side[SIDE_CLIENT];
	struct leaf *leaf = conn->leaf;
	const struct tls_credential shown = {
		.cert = leaf->cert,
		.key = leaf->key,
		.chain = leaf->untrusted ? NULL : tls_context_chain(conn->generation->tls),
		.staple = leaf->staple,
		.staple_len = leaf->staple_len,
	};
	uint8_t id[32];

	memcpy(conn->info.leaf_fp, leaf->fingerprint, sizeof(leaf->fingerprint));
	conn->info.has_leaf_fp = true;
	if (conn_sessions_client_id(conn, leaf->fingerprint, id) ||
	    tls_session_accept(&side->session, conn->generation->tls, side->fd, &side->out,
			       conn->worker->kdf, &shown, id)) {
		conn_refuse(conn, KSPLIT_NO_MEMORY, ALERT_INTERNAL_ERROR);
		return;
	}
	begin(conn, alpn, alpn_len);
}

static void handshake_begin(struct conn *conn)
{
	conn_client_let_go(conn);
	conn_enter(conn, CONN_CLIENT_HANDSHAKE);
	conn_client_show(conn, conn->alpn, conn->alpn_len);
}

void conn_client_shake(struct conn *conn)
{
	conn_client_let_go(conn);
	begin(conn, conn->alpn, conn->alpn_len);
}

/*
 * No leaf. The client has been told nothing yet: where only our signature is missing, its call goes
 * on unread rather than not at all.
 */
static void leaf_failed(struct conn *conn, int err)
{
	switch (err) {
	case -EBUSY: conn_upstream_pass(conn, KSPLIT_PASS_SIGNER_BUSY); break;
	case -EACCES: conn_upstream_pass(conn, KSPLIT_PASS_SIGNER_REFUSED); break;
	case -EPIPE: conn_upstream_pass(conn, KSPLIT_PASS_SIGNER_GONE); break;
	case -ENOTSUP: conn_upstream_pass(conn, KSPLIT_PASS_UNFORGEABLE); break;
	default: conn_refuse(conn, KSPLIT_FORGE_FAILED, ALERT_INTERNAL_ERROR); break;
	}
}

void conn_leaf_expired(struct conn *conn)
{
	conn_leaf_cancel(conn);
	leaf_failed(conn, -EPIPE);
}

/*
 * A CA with name constraints: its clients refuse a leaf for other names, whoever signed it. Nobody
 * but ourselves is shown one.
 */
static void leaf_found(struct conn *conn)
{
	if (!conn->leaf->outside || conn->self_test) {
		handshake_begin(conn);
		return;
	}
	leaf_put(conn->leaf);
	conn->leaf = NULL;
	conn_upstream_pass(conn, KSPLIT_PASS_OUTSIDE_CA);
}

static void leaf_arrived(struct worker_post *post)
{
	struct conn_leaf_wait *wait = (struct conn_leaf_wait *)post;
	struct conn *conn = wait->conn;

	if (conn) {
		conn->leaf_waiting = NULL;
		conn->leaf = wait->leaf;
		if (wait->leaf)
			leaf_found(conn);
		else
			leaf_failed(conn, wait->err);
	} else {
		leaf_put(wait->leaf);
	}
	free(wait);
}

/* On the thread that takes the signer's answers. */
static void leaf_ready(void *waiter, int err, struct leaf *leaf)
{
	struct conn_leaf_wait *wait = waiter;

	wait->leaf = leaf;
	wait->err = err;
	worker_post(wait->worker, &wait->post);
}

void conn_leaf_cancel(struct conn *conn)
{
	if (conn->leaf_waiting)
		conn->leaf_waiting->conn = NULL;
	conn->leaf_waiting = NULL;
}

void conn_leaf_find(struct conn *conn)
{
	uint8_t shown_fp[FINGERPRINT_LEN];
	struct leaf_wish wish = {
		.origin = conn->origin_cert,
		.origin_fp = conn->info.origin_fp,
		.sni = conn->info.sni,
		.key = conn->leaf_key,
	};
	struct conn_leaf_wait *wait = calloc(1, sizeof(*wait));
	int err = -ENOMEM;

	conn_enter(conn, CONN_LEAF);
	conn_judge_wish(conn, &wish, shown_fp);
	if (wait) {
		wait->post.run = leaf_arrived;
		wait->worker = conn->worker;
		wait->conn = conn;
		err = leaf_cache_get(conn->generation->issuer->leaves, &wish, leaf_ready, wait,
				     &conn->leaf);
	}
	if (err == -EINPROGRESS) {
		conn->leaf_waiting = wait;
		return;
	}
	free(wait);
	if (err)
		leaf_failed(conn, err);
	else
		leaf_found(conn);
}

/* What the leaf repeats of the origin's faults has alerts of its own. */
static bool refuses_origin(const struct conn *conn, int alert)
{
	return conn->info.origin_faults &&
	       ((alert >= ALERT_BAD_CERTIFICATE && alert <= ALERT_CERTIFICATE_UNKNOWN) ||
		alert == ALERT_UNKNOWN_CA);
}

static void handshake_failed(struct conn *conn, const struct tls_failure *failure)
{
	enum ksplit_reason reason = KSPLIT_CLIENT_FAILED;

	stats_add(&conn->worker->stats, STAT_HANDSHAKES_CLIENT_FAILED, 1);
	conn_policy_client_failed(conn, failure);
	if (failure->kind == TLS_FAILURE_ALERT && refuses_origin(conn, failure->alert))
		reason = KSPLIT_BAD_ORIGIN_REFUSED;
	else if (failure->kind == TLS_FAILURE_ALERT && !conn->identity &&
		 learned_pass_of_alert(failure->alert) == KSPLIT_PASS_LEARNED)
		reason = KSPLIT_LEAF_REJECTED;
	else if (failure->kind == TLS_FAILURE_CLOSED || failure->kind == TLS_FAILURE_RESET)
		reason = KSPLIT_CLIENT_GONE;
	log_info("connection %lu: %s: handshake with the client: %s", (unsigned long)conn->info.id,
		 conn->info.sni, failure->text);
	conn_end(conn, reason,
		 (struct conn_farewell){.client = GOODBYE_CLOSE, .upstream = GOODBYE_NOTIFY});
}

void conn_client_shaken(struct conn *conn)
{
	conn_parallel_note(conn);
	conn_parallel_forget(conn);
	leaf_put(conn->leaf);
	conn->leaf = NULL;
	conn_service_shaken(conn);
	conn_relay_start(conn);
}

static void handshake_done(struct conn *conn)
{
	struct conn_side_info *info = &conn->info.side[SIDE_CLIENT];
	SSL *ssl = conn->side[SIDE_CLIENT].session.ssl;

	stats_add(&conn->worker->stats, STAT_HANDSHAKES_CLIENT, 1);
	info->version = (uint16_t)SSL_version(ssl);
	info->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
	info->resumed = SSL_session_reused(ssl);
	if (info->resumed)
		stats_add(&conn->worker->stats, STAT_HANDSHAKES_CLIENT_RESUMED, 1);
	stats_add(&conn->worker->stats, STAT_SESSIONS_CLIENT_REFUSED,
		  conn->side[SIDE_CLIENT].session.ticket_refused);
	if (!conn_parallel_holds(conn))
		conn_client_shaken(conn);
}

void conn_client_ready(struct conn *conn, uint32_t events)
{
	struct conn_socket *side = &conn->side[SIDE_CLIENT];
	struct tls_failure failure;

	(void)events;
	switch (tls_session_step(&side->session, &failure)) {
	case TLS_STEP_DONE: handshake_done(conn); break;
	case TLS_STEP_AGAIN:
		conn_side_watch(side, EPOLLIN | (out_buffer_empty(&side->out) ? 0 : EPOLLOUT));
		break;
	default: handshake_failed(conn, &failure); break;
	}
}
