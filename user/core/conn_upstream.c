// SPDX-License-Identifier: GPL-2.0-or-later
/* The origin's side: TCP, then TLS with the client's own wishes, then what its certificate says. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/conn.h"
#include "core/conn_parallel.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

static socklen_t address_len(const union conn_address *address)
{
	return address->sa.sa_family == AF_INET6 ? sizeof(address->in6) : sizeof(address->in);
}

/*
 * So that rules leave it alone. Where it may not be marked, no rules were loaded
 * (core/capturing.c).
 */
static void mark(const struct conn *conn, int fd)
{
	const uint32_t own = atomic_load(&conn->worker->server->own_mark);

	if (own)
		setsockopt(fd, SOL_SOCKET, SO_MARK, &own, sizeof(own));
}

/* 0: under way or done; -errno: this address is none. */
static int connect_address(struct conn *conn, const union conn_address *address)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];
	const int on = 1;
	int err;

	side->fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (side->fd < 0)
		return -errno;
	setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	mark(conn, side->fd);
	conn->info.upstream = *address;
	err = conn_service_take_source(conn, side->fd, address->sa.sa_family);
	if (err) {
		conn->source_refused = true;
		conn_side_close(side);
		return err;
	}
	conn_observe_connect(conn);
	if (connect(side->fd, &address->sa, address_len(address)) && errno != EINPROGRESS) {
		err = -errno;
		conn_side_close(side);
		return err;
	}
	if (conn->listener->destination == DESTINATION_ORIGINAL)
		own_sockets_add(conn->worker->server->own_sockets, &conn->own, side->fd);
	/*
	 * Of several addresses each gets its share of the time: one that is silent is not the end.
	 */
	deadline_set(&conn->worker->deadlines, &conn->deadline,
		     conn->addresses_len > 1 ? DEADLINE_CONNECT_TRY : DEADLINE_CONNECT,
		     conn->worker->now_us);
	conn_side_watch(side, EPOLLOUT);
	return 0;
}

static void connect_failed(struct conn *conn, int err)
{
	char name[64];

	/* Until the deadline of the phase: what others give back is soon there. */
	if (err == -EMFILE || err == -ENFILE) {
		conn->addresses_next = 0;
		deadline_set(&conn->worker->deadlines, &conn->settle, DEADLINE_SETTLE,
			     conn->worker->now_us);
		return;
	}
	if (conn->source_refused) {
		log_warn("connection %lu: cannot take the address of the client as source towards "
			 "%s: %s (transparent needs CAP_NET_ADMIN, and a service of the same "
			 "address family)",
			 (unsigned long)conn->info.id,
			 conn_address_print(&conn->info.upstream, name, sizeof(name)),
			 strerror(-err));
		conn_refuse(conn, KSPLIT_SOURCE_REFUSED, ALERT_INTERNAL_ERROR);
		return;
	}
	log_info("connection %lu: %s: %s", (unsigned long)conn->info.id,
		 conn_address_print(&conn->info.upstream, name, sizeof(name)), strerror(-err));
	conn_refuse(conn, KSPLIT_CONNECT_FAILED, ALERT_INTERNAL_ERROR);
}

static void connect_next(struct conn *conn)
{
	int err = -EADDRNOTAVAIL;

	while (conn->addresses_next < conn->addresses_len) {
		err = connect_address(conn, &conn->addresses[conn->addresses_next++]);
		if (!err || conn->dead)
			return;
	}
	connect_failed(conn, err);
}

bool conn_upstream_try_next(struct conn *conn)
{
	if (conn->addresses_next >= conn->addresses_len)
		return false;
	conn_side_close(&conn->side[SIDE_UPSTREAM]);
	connect_next(conn);
	return true;
}

void conn_upstream_connect_again(struct conn *conn)
{
	connect_next(conn);
}

void conn_upstream_connect(struct conn *conn)
{
	conn_policy_decide(conn);
	conn_enter(conn, CONN_CONNECT);
	connect_next(conn);
}

/*
 * The name that the origin's certificate must be for: the client's SNI; else what the administrator
 * called it.
 */
static const char *verify_name(const struct conn *conn)
{
	if (conn->self_test)
		return NULL;
	if (conn->info.sni[0])
		return conn->info.sni;
	return conn->listener->destination == DESTINATION_STATIC ? conn->listener->host : NULL;
}

void conn_upstream_shake(struct conn *conn)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];
	struct conn_side_info *info = &conn->info.side[SIDE_UPSTREAM];
	struct tls_upstream_target target = {
		.profile = conn->profile,
		.sni = conn->info.sni,
		.verify_name = verify_name(conn),
		.alpn = conn->hello->alpn,
		.alpn_len = conn->hello->alpn_len,
		.unverified = conn->self_test,
		.may_be_asked = conn_policy_may_be_asked(conn),
		.answers_later = conn->generation->config->ktls != KTLS_REQUIRE,
		.strict = conn->listener->incoming,
	};

	info->rx_reason = server_ktls_reason(conn->worker->server, conn->generation->config);
	if (info->rx_reason == KSPLIT_NONE)
		conn_observe_enlist(conn, side);
	if (info->rx_reason == KSPLIT_NONE && ktls_install_ulp(side->fd))
		info->rx_reason = KSPLIT_KTLS_ULP_REFUSED;
	info->tx_reason = info->rx_reason;
	conn_parallel_look(conn, &target);
	conn_sessions_offer(conn, &target);
	if (tls_session_connect(&side->session, conn->generation->tls, side->fd, &side->out,
				conn->worker->kdf, &target)) {
		conn_refuse(conn, KSPLIT_NO_MEMORY, ALERT_INTERNAL_ERROR);
		return;
	}
	conn_taps_keys(conn, side);
	if (info->rx_reason != KSPLIT_NONE)
		tls_session_read_ahead(&side->session);
	conn_enter(conn, CONN_UPSTREAM_HANDSHAKE);
	conn_upstream_ready(conn, 0);
	conn_parallel_begin(conn);
}

static void connected(struct conn *conn)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error) {
		conn_side_close(side);
		if (conn->addresses_next < conn->addresses_len)
			connect_next(conn);
		else
			connect_failed(conn, -error);
		return;
	}
	len = sizeof(conn->info.upstream_local);
	getsockname(side->fd, &conn->info.upstream_local.sa, &len);
	if (conn_service_is_plain(conn)) {
		conn_service_connected(conn);
		return;
	}
	/* Ahead of all that the service reads, whoever sends it. */
	if (conn_service_announce(conn)) {
		conn_refuse(conn, KSPLIT_CONNECT_FAILED, ALERT_INTERNAL_ERROR);
		return;
	}
	if (conn->starttls) {
		conn_starttls_start(conn);
		return;
	}
	if (!conn_parallel_is_guess(conn) &&
	    (conn->info.passed || conn_policy_overloaded(conn))) {
		conn_policy_passed(conn);
		conn_relay_start_raw(conn);
		return;
	}
	conn_policy_choose_profile(conn);
	conn_upstream_shake(conn);
}

void conn_upstream_pass(struct conn *conn, enum ksplit_reason reason)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];

	if (conn_starttls_cut(conn, reason) || conn_parallel_cut(conn, KSPLIT_GUESS_WRONG))
		return;
	conn_policy_pass(conn, reason, "");
	/* The second call may go otherwise; nothing of the first one is what the client gets. */
	conn->info.side[SIDE_UPSTREAM].version = 0;
	conn->info.side[SIDE_UPSTREAM].suite = 0;
	conn->info.alpn[0] = '\0';
	conn_judge_forget(conn);
	X509_free(conn->origin_cert);
	conn->origin_cert = NULL;
	conn_sessions_forget(conn);
	tls_session_free(&side->session);
	conn_side_close(side);
	conn->addresses_next = 0;
	conn_upstream_connect(conn);
}

/* Nothing of it has been told to the client: once more, without what was offered. */
static void connect_anew(struct conn *conn)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];

	tls_session_free(&side->session);
	conn_side_close(side);
	conn->addresses_next = 0;
	conn_enter(conn, CONN_CONNECT);
	connect_next(conn);
}

/*
 * The origin refused what we offered, or asked for what only the client has: then let the two talk
 * to each other. Any other failure is told to the client by an alert.
 */
static void handshake_failed(struct conn *conn, const struct tls_failure *failure)
{
	stats_add(&conn->worker->stats, STAT_HANDSHAKES_UPSTREAM_FAILED, 1);
	log_info("connection %lu: %s: handshake with the origin: %s", (unsigned long)conn->info.id,
		 conn->info.sni, failure->text);
	if (failure->kind != TLS_FAILURE_UNVERIFIED && conn_sessions_blame(conn) &&
	    conn->info.upgrade == CONN_UPGRADE_NONE) {
		connect_anew(conn);
		return;
	}
	switch (failure->kind) {
	case TLS_FAILURE_VERSION:
		if (tls_context_refuses_old_origin(conn->generation->tls, conn->profile)) {
			conn_refuse(conn, KSPLIT_VERSION_REFUSED, ALERT_PROTOCOL_VERSION);
			break;
		}
		/* fall through */
	case TLS_FAILURE_ALERT:
	case TLS_FAILURE_PROTOCOL: conn_upstream_pass(conn, KSPLIT_PASS_UPSTREAM_REFUSED); break;
	case TLS_FAILURE_UNVERIFIED:
		conn_judge_refused(conn);
		conn_refuse(conn, KSPLIT_UPSTREAM_UNVERIFIED, (uint8_t)failure->alert);
		break;
	default: conn_refuse(conn, KSPLIT_UPSTREAM_FAILED, ALERT_HANDSHAKE_FAILURE); break;
	}
}

void conn_alpn_keep(struct conn *conn, const uint8_t *alpn, size_t len)
{
	size_t printable = 0;

	if (!alpn || len > 255)
		return;
	memcpy(conn->alpn, alpn, len);
	conn->alpn_len = (uint8_t)len;
	for (; printable < len && printable < sizeof(conn->info.alpn) - 1; printable++)
		conn->info.alpn[printable] =
			(char)(alpn[printable] > 32 && alpn[printable] < 127 ? alpn[printable]
									     : '?');
}

static void handshake_done(struct conn *conn)
{
	struct conn_side_info *info = &conn->info.side[SIDE_UPSTREAM];
	SSL *ssl = conn->side[SIDE_UPSTREAM].session.ssl;
	const unsigned char *alpn;
	unsigned int alpn_len;

	stats_add(&conn->worker->stats, STAT_HANDSHAKES_UPSTREAM, 1);
	info->version = (uint16_t)SSL_version(ssl);
	info->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
	info->resumed = SSL_session_reused(ssl);
	conn_sessions_shaken(conn);
	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	conn_alpn_keep(conn, alpn, alpn_len);
	conn->origin_cert = SSL_get1_peer_certificate(ssl);
	if (!conn->origin_cert) {
		conn_refuse(conn, KSPLIT_FORGE_FAILED, ALERT_INTERNAL_ERROR);
		return;
	}
	conn->info.has_origin_fp = !fingerprint_of(conn->origin_cert, conn->info.origin_fp);
	if (!conn_judge_origin(conn))
		return;
	/* Data that the origin sends first waits for the client's handshake. */
	conn_side_watch(&conn->side[SIDE_UPSTREAM], 0);
	if (conn->dead || conn_parallel_judge(conn))
		return;
	if (conn->identity)
		conn_service_shake(conn);
	else
		conn_leaf_find(conn);
}

void conn_upstream_ready(struct conn *conn, uint32_t events)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];
	struct tls_failure failure;

	(void)events;
	if (conn->info.state == CONN_CONNECT) {
		connected(conn);
		return;
	}
	if (conn->info.state != CONN_UPSTREAM_HANDSHAKE) {
		conn_side_watch(side, 0); /* waiting for the leaf */
		return;
	}
	switch (tls_session_step(&side->session, &failure)) {
	case TLS_STEP_DONE: handshake_done(conn); break;
	case TLS_STEP_AGAIN:
		conn_side_watch(side, EPOLLIN | (out_buffer_empty(&side->out) ? 0 : EPOLLOUT));
		break;
	case TLS_STEP_CLIENT_CERT: conn_upstream_pass(conn, KSPLIT_PASS_CLIENT_CERT); break;
	case TLS_STEP_FAILED:
		out_buffer_send(&side->out, side->fd); /* OpenSSL's own alert, if it can go */
		handshake_failed(conn, &failure);
		break;
	}
}
