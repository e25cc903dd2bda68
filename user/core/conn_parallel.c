// SPDX-License-Identifier: GPL-2.0-or-later
/* The client's handshake beside the origin's: what is guessed, and what comes of it. */
#include "core/conn_parallel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/conn_sessions.h"
#include "core/known_origins.h"
#include "core/log.h"
#include "core/server.h"

#define KNOWN_FOR_S 600
/* An origin that was not as known may be several that are not alike. */
#define WRONG_FOR_S 600

enum progress {
	PARALLEL_UNKNOWN, /* nothing to guess; but to be noted when all is good */
	PARALLEL_KNOWN,	  /* found, not shown yet */
	PARALLEL_SHOWN,	  /* the client's handshake is under way, or done: a guess */
	PARALLEL_RIGHT,	  /* the origin is as known */
	PARALLEL_WRONG,	  /* it is not: the client's handshake is seen to its end, and then it is told */
};

struct conn_parallel {
	struct known_key key;
	enum progress progress;
	struct known_origin known; /* from PARALLEL_KNOWN on; its leaf until it is the connection's */
	bool shaken;		   /* the client's handshake is done */
	enum ksplit_reason wrong;
};

/*
 * To a client that speaks HTTP/2: an empty SETTINGS (RFC 9113 3.4), then GOAWAY with no stream
 * processed and NO_ERROR (RFC 9113 6.8): any request is safe to be made again, and clients do so
 * by themselves.
 */
static const uint8_t http2_goaway[] = {0, 0, 0, 4, 0, 0, 0, 0, 0,              /* SETTINGS */
				       0, 0, 8, 7, 0, 0, 0, 0, 0,              /* GOAWAY */
				       0, 0, 0, 0, 0, 0, 0, 0};

static bool is_wanted(const struct conn *conn)
{
	return conn->generation->config->parallel_handshake && !conn->self_test &&
	       !conn->identity && !conn->listener->incoming &&
	       conn->info.upgrade == CONN_UPGRADE_NONE;
}

bool conn_parallel_is_guess(const struct conn *conn)
{
	return conn->parallel && (conn->parallel->progress == PARALLEL_SHOWN ||
				  conn->parallel->progress == PARALLEL_WRONG);
}

void conn_parallel_look(struct conn *conn, const struct tls_upstream_target *target)
{
	struct conn_parallel *parallel = conn->parallel;

	/* Once more to the same origin, without a session: what the client was shown holds. */
	if (parallel || !is_wanted(conn))
		return;
	parallel = calloc(1, sizeof(*parallel));
	if (!parallel || conn_sessions_scope(conn, target, parallel->key.scope)) {
		free(parallel);
		return;
	}
	parallel->key.leaf_key = conn->leaf_key;
	if (known_origins_find(conn->worker->server->known_origins, &parallel->key, time(NULL),
			       &parallel->known))
		parallel->progress = PARALLEL_KNOWN;
	conn->parallel = parallel;
}

void conn_parallel_begin(struct conn *conn)
{
	struct conn_parallel *parallel = conn->parallel;

	if (!parallel || parallel->progress != PARALLEL_KNOWN || conn->dead ||
	    conn->info.state != CONN_UPSTREAM_HANDSHAKE)
		return;
	parallel->progress = PARALLEL_SHOWN;
	conn->leaf = parallel->known.leaf;
	parallel->known.leaf = NULL;
	stats_add(&conn->worker->stats, STAT_HANDSHAKES_PARALLEL, 1);
	/* A copy of its own: what the origin will have chosen may be something else. */
	conn_client_show(conn, parallel->known.alpn, parallel->known.alpn_len);
}

bool conn_parallel_client_ready(struct conn *conn, uint32_t events)
{
	if (!conn_parallel_is_guess(conn) || conn->parallel->shaken)
		return false;
	conn_client_ready(conn, events);
	return true;
}

/* --- right --- */

static bool is_as_known(const struct conn *conn)
{
	const struct known_origin *known = &conn->parallel->known;

	return conn->info.has_origin_fp && !conn->info.origin_faults &&
	       !memcmp(conn->info.origin_fp, known->origin_fp, sizeof(known->origin_fp)) &&
	       conn->alpn_len == known->alpn_len &&
	       !memcmp(conn->alpn, known->alpn, known->alpn_len);
}

bool conn_parallel_judge(struct conn *conn)
{
	struct conn_parallel *parallel = conn->parallel;

	if (!conn_parallel_is_guess(conn))
		return false;
	if (!is_as_known(conn)) {
		conn_parallel_cut(conn, KSPLIT_GUESS_WRONG);
		return true;
	}
	parallel->progress = PARALLEL_RIGHT;
	conn_client_let_go(conn);
	if (parallel->shaken) {
		conn_client_shaken(conn);
		return true;
	}
	conn_enter(conn, CONN_CLIENT_HANDSHAKE);
	return true;
}

/* --- wrong --- */

static void say_goodbye(struct conn *conn)
{
	struct tls_session *session = &conn->side[SIDE_CLIENT].session;

	if (conn->parallel->known.alpn_len == 2 && !memcmp(conn->parallel->known.alpn, "h2", 2))
		SSL_write(session->ssl, http2_goaway, sizeof(http2_goaway));
	conn_end(conn, conn->parallel->wrong,
		 (struct conn_farewell){.client = GOODBYE_NOTIFY, .upstream = GOODBYE_CLOSE});
}

bool conn_parallel_cut(struct conn *conn, enum ksplit_reason reason)
{
	struct conn_parallel *parallel = conn->parallel;

	if (!conn_parallel_is_guess(conn))
		return false;
	if (parallel->progress == PARALLEL_WRONG)
		return true;
	/* Not even the client's handshake may be there to be seen to its end. */
	if (reason == KSPLIT_NO_MEMORY)
		return false;
	parallel->progress = PARALLEL_WRONG;
	parallel->wrong = reason;
	known_origins_wrong(conn->worker->server->known_origins, &parallel->key, WRONG_FOR_S,
			    time(NULL));
	stats_add(&conn->worker->stats, STAT_HANDSHAKES_PARALLEL_WRONG, 1);
	log_info("connection %lu: %s: shown to the client before the origin had answered, which is not "
		 "as it was known: ended before anything of the client's was sent to it (%s)",
		 (unsigned long)conn->info.id, conn->info.sni, ksplit_reason_text(reason));
	conn_sessions_forget(conn);
	conn_side_close(&conn->side[SIDE_UPSTREAM]);
	if (parallel->shaken)
		say_goodbye(conn);
	else
		conn_enter(conn, CONN_CLIENT_HANDSHAKE);
	return true;
}

bool conn_parallel_holds(struct conn *conn)
{
	if (!conn_parallel_is_guess(conn))
		return false;
	conn->parallel->shaken = true;
	if (conn->parallel->progress == PARALLEL_WRONG)
		say_goodbye(conn);
	else
		conn_side_watch(&conn->side[SIDE_CLIENT], 0);
	return true;
}

/* --- for the next one --- */

void conn_parallel_note(struct conn *conn)
{
	struct conn_parallel *parallel = conn->parallel;
	struct known_origin seen = {.leaf = conn->leaf, .alpn_len = conn->alpn_len};

	if (!parallel || !conn->leaf || conn->leaf->untrusted || !conn->info.has_origin_fp ||
	    conn->info.origin_faults || conn->alpn_len > sizeof(seen.alpn))
		return;
	memcpy(seen.origin_fp, conn->info.origin_fp, sizeof(seen.origin_fp));
	memcpy(seen.alpn, conn->alpn, conn->alpn_len);
	known_origins_note(conn->worker->server->known_origins, &parallel->key, &seen, KNOWN_FOR_S,
			   time(NULL));
}

void conn_parallel_forget(struct conn *conn)
{
	if (!conn->parallel)
		return;
	leaf_put(conn->parallel->known.leaf);
	free(conn->parallel);
	conn->parallel = NULL;
}
