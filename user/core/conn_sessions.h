/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONN_SESSIONS_H
#define KSPLIT_CORE_CONN_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/conn.h"
#include "tls/session_cache.h"

/*
 * A connection's part in resumption (docs/sessions.md). Towards the origin: offer what is kept,
 * keep what comes. The functions may be called for connections that have nothing to do with it.
 */

/*
 * What a session of this handshake would be good for, as a key: session_cache_key(). 0 or -EIO.
 */
int conn_sessions_scope(const struct conn *conn, const struct tls_upstream_target *target,
			uint8_t key[SESSION_KEY_LEN]);

/* The handshake with the origin begins: what is to be offered goes into `target`. */
void conn_sessions_offer(struct conn *conn, struct tls_upstream_target *target);

/* That handshake is done. */
void conn_sessions_shaken(struct conn *conn);

/*
 * It has failed. True: a session was offered, and has to be blamed first; the next handshake of
 * this connection offers none.
 */
bool conn_sessions_blame(struct conn *conn);

/*
 * The origin's side has its keys where they stay. Frees the SSL object as soon as it is not needed:
 * now, or when the tickets that come after the handshake are there.
 */
void conn_sessions_armed(struct conn *conn);

/* Bytes were moved: are the tickets there? */
void conn_sessions_look_closer(struct conn *conn);
static inline void conn_sessions_look(struct conn *conn)
{
	if (conn->tickets.set)
		conn_sessions_look_closer(conn);
}

/* The origin's certificate is not good: nothing that is kept may hide that the next time. */
void conn_sessions_spoil(struct conn *conn);

/* No more is wanted of it. */
void conn_sessions_forget(struct conn *conn);

/* There is no more time for tickets. */
void conn_sessions_expired(struct deadline *deadline);

/*
 * What a client's session is good for: this leaf, shown under this name, of an origin that was
 * verified in this way. 0 or -EIO.
 */
int conn_sessions_client_id(const struct conn *conn, const uint8_t leaf_id[32], uint8_t id[32]);

#endif
