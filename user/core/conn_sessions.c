// SPDX-License-Identifier: GPL-2.0-or-later
/* Resumption, for one connection. */
#include "core/conn_sessions.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/server.h"
#include "tls/key_groups.h"
#include "tls/session_cache.h"
#include "tls/ticket_feed.h"

/*
 * SSL objects that are kept for tickets alone, some 20 KB each: of so many connections of a worker
 * at most, the ones that came last.
 */
#define AWAITING_MAX 64
/* Servers send one to four. */
#define TICKETS_ENOUGH 4

struct conn_resumption {
	uint8_t key[SESSION_KEY_LEN];
	struct session_grant grant; /* what was offered; its session until the handshake is done */
	int64_t born;               /* of what comes of this connection */
	uint32_t stored;
	bool kept_already; /* TLS 1.2: what was offered is what there is */
};

static uint32_t profile_of(const struct conn *conn)
{
	return (uint32_t)conn->profile;
}

static void count(const struct conn *conn, enum stats_counter counter, uint64_t n)
{
	stats_add(&conn->worker->stats, counter, n);
}

int conn_sessions_scope(const struct conn *conn, const struct tls_upstream_target *target,
			uint8_t key[SESSION_KEY_LEN])
{
	const union conn_address *to = &conn->info.upstream;
	const bool ipv6 = to->sa.sa_family == AF_INET6;
	const struct session_scope scope = {
		.address = ipv6 ? (const void *)&to->in6.sin6_addr : &to->in.sin_addr,
		.address_len = ipv6 ? sizeof(to->in6.sin6_addr) : sizeof(to->in.sin_addr),
		.port = ipv6 ? to->in6.sin6_port : to->in.sin_port,
		.sni = target->sni,
		.verify_name = target->verify_name,
		.alpn = target->alpn,
		.alpn_len = target->alpn_len,
		.profile = profile_of(conn),
		.generation = conn->generation->number,
	};

	return session_cache_key(&scope, key);
}

/* --- what comes --- */

static void keep(struct conn *conn, SSL_SESSION *fresh)
{
	const struct config_sessions *config = &conn->generation->config->sessions;
	struct conn_resumption *resumption = conn->resumption;
	const struct session_grant grant = {
		.session = fresh,
		.born = resumption->born,
		.faults = resumption->grant.faults,
		.was_asked = conn->side[SIDE_UPSTREAM].session.was_asked,
		.group = key_groups_used(conn->side[SIDE_UPSTREAM].session.ssl),
	};

	/* A bad origin is looked at anew each time. */
	if (conn->side[SIDE_UPSTREAM].session.faults)
		return;
	if (session_cache_put(conn->worker->server->sessions, resumption->key, &grant,
			      config->upstream_lifetime_s, time(NULL)))
		return;
	resumption->stored++;
	count(conn, STAT_SESSIONS_STORED, 1);
}

/*
 * What an origin's certificate lacks is found out, and told to the client, in each handshake anew:
 * only one without a fault is taken at its word for a while.
 */
static bool is_faultless(const SSL *ssl)
{
	return SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ||
	       SSL_get_verify_result(ssl) == X509_V_OK;
}

/* TLS 1.3: a ticket came. */
static void on_fresh(struct tls_session *session, SSL_SESSION *fresh)
{
	struct conn_socket *side =
		(void *)((char *)session - offsetof(struct conn_socket, session));
	struct conn *conn = side->conn;

	/* Servers send tickets that nobody has asked for. */
	if (conn->resumption && conn->generation->config->sessions.upstream_tickets &&
	    SSL_SESSION_get_protocol_version(fresh) == TLS1_3_VERSION && is_faultless(session->ssl))
		keep(conn, fresh);
}

/* --- the handshake --- */

static void look_up(struct conn *conn)
{
	struct conn_resumption *resumption = conn->resumption;
	size_t over = session_cache_take(conn->worker->server->sessions, resumption->key,
					 resumption->born, &resumption->grant);

	count(conn, STAT_SESSIONS_EXPIRED, over);
	count(conn, resumption->grant.session ? STAT_SESSIONS_HITS : STAT_SESSIONS_MISSES, 1);
}

void conn_sessions_offer(struct conn *conn, struct tls_upstream_target *target)
{
	struct conn_resumption *resumption;

	if (!conn->worker->server->sessions || conn->self_test || conn->sessions_blamed)
		return;
	conn_sessions_forget(conn);
	resumption = calloc(1, sizeof(*resumption));
	if (!resumption || conn_sessions_scope(conn, target, resumption->key)) {
		free(resumption);
		return;
	}
	resumption->born = time(NULL);
	conn->resumption = resumption;
	look_up(conn);
	target->resume = resumption->grant.session;
	target->was_asked = resumption->grant.was_asked;
	target->group = resumption->grant.group;
	target->on_fresh = on_fresh;
}

/* Towards an origin that knows it no more the others of its kind are of no use either. */
static void refused(struct conn *conn)
{
	count(conn, STAT_SESSIONS_REFUSED, 1);
	session_cache_drop(conn->worker->server->sessions, conn->resumption->key);
}

void conn_sessions_shaken(struct conn *conn)
{
	struct conn_resumption *resumption = conn->resumption;
	SSL *ssl = conn->side[SIDE_UPSTREAM].session.ssl;

	if (!resumption || !resumption->grant.session)
		return;
	if (SSL_session_reused(ssl)) {
		count(conn, STAT_HANDSHAKES_UPSTREAM_RESUMED, 1);
		resumption->born = resumption->grant.born;
		/* TLS 1.2: nothing came in its place (RFC 5077 3.3). */
		resumption->kept_already = SSL_get0_session(ssl) == resumption->grant.session;
	} else {
		refused(conn);
	}
	SSL_SESSION_free(resumption->grant.session);
	resumption->grant.session = NULL;
}

/* A session of TLS 1.2 is there with the handshake. */
static void keep_tls12(struct conn *conn)
{
	SSL *ssl = conn->side[SIDE_UPSTREAM].session.ssl;

	if (conn->resumption && !conn->resumption->kept_already && ssl &&
	    SSL_version(ssl) == TLS1_2_VERSION && is_faultless(ssl))
		keep(conn, SSL_get0_session(ssl));
}

bool conn_sessions_blame(struct conn *conn)
{
	if (!conn->resumption || !conn->resumption->grant.session)
		return false;
	refused(conn);
	conn_sessions_forget(conn);
	conn->sessions_blamed = true;
	return true;
}

void conn_sessions_spoil(struct conn *conn)
{
	if (conn->resumption)
		session_cache_drop(conn->worker->server->sessions, conn->resumption->key);
	conn_sessions_forget(conn);
}

/* --- tickets after the handshake --- */

static void stop_awaiting(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (!conn->tickets.set)
		return;
	deadline_clear(&worker->deadlines, &conn->tickets);
	worker->awaiting_tickets--;
	tls_ticket_feed_end(&conn->side[SIDE_UPSTREAM].session, &worker->server->ktls);
}

void conn_sessions_forget(struct conn *conn)
{
	stop_awaiting(conn);
	conn->side[SIDE_UPSTREAM].session.on_fresh = NULL;
	if (!conn->resumption)
		return;
	SSL_SESSION_free(conn->resumption->grant.session);
	free(conn->resumption);
	conn->resumption = NULL;
}

void conn_sessions_expired(struct deadline *deadline)
{
	struct conn *conn = (void *)((char *)deadline - offsetof(struct conn, tickets));

	/* It was cleared before this was called. */
	conn->worker->awaiting_tickets--;
	tls_ticket_feed_end(&conn->side[SIDE_UPSTREAM].session, &conn->worker->server->ktls);
	conn_sessions_forget(conn);
}

static void await_tickets(struct conn *conn)
{
	struct worker *worker = conn->worker;

	deadline_set(&worker->deadlines, &conn->tickets, DEADLINE_TICKETS, worker->now_us);
	if (++worker->awaiting_tickets > AWAITING_MAX)
		deadlines_expire_first(&worker->deadlines, DEADLINE_TICKETS);
}

void conn_sessions_armed(struct conn *conn)
{
	struct tls_session *session = &conn->side[SIDE_UPSTREAM].session;
	const struct conn_side_info *info = &conn->info.side[SIDE_UPSTREAM];

	keep_tls12(conn);
	if (!info->rx_kernel)
		return; /* OpenSSL reads the tickets like all else */
	if (info->tx_kernel && conn->resumption &&
	    conn->generation->config->sessions.upstream_tickets && tls_ticket_feed_begin(session)) {
		await_tickets(conn);
		return;
	}
	if (info->tx_kernel)
		tls_ticket_feed_end(session, &conn->worker->server->ktls);
	conn_sessions_forget(conn);
}

/*
 * Servers send tickets ahead of their first data. One that does not, and one that goes on without
 * any, has until the deadline.
 */
void conn_sessions_look_closer(struct conn *conn)
{
	const struct conn_resumption *resumption = conn->resumption;

	if (!conn->side[SIDE_UPSTREAM].session.awaits_tickets ||
	    resumption->stored >= TICKETS_ENOUGH ||
	    (resumption->stored && conn->info.flow[FLOW_TO_CLIENT].bytes))
		conn_sessions_forget(conn);
}

/* --- the client's side --- */

int conn_sessions_client_id(const struct conn *conn, const uint8_t leaf_id[32], uint8_t id[32])
{
	const uint32_t profile = profile_of(conn);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(md, leaf_id, 32) &&
		 EVP_DigestUpdate(md, conn->info.sni, strlen(conn->info.sni) + 1) &&
		 EVP_DigestUpdate(md, &profile, sizeof(profile)) &&
		 EVP_DigestFinal_ex(md, id, NULL);

	EVP_MD_CTX_free(md);
	return ok ? 0 : -EIO;
}
