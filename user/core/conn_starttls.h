/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONN_STARTTLS_H
#define KSPLIT_CORE_CONN_STARTTLS_H

#include "core/conn.h"
#include "relay/starttls.h"

/* Between conn_starttls.c, which watches a dialogue in plain, and conn_starttls_end.c alone. */

struct conn_starttls {
	struct starttls dialogue;
	enum ksplit_reason reason; /* to be passed for, if nothing comes of it */
	bool holds;                /* the beginning of a ClientHello, perhaps */
	bool client_ended;         /* its FIN lies behind what is unread */
};

/* What a look at one direction came to. LEFT: it is not watched any more. */
enum starttls_step { STEP_IDLE, STEP_MOVED, STEP_LEFT };

static inline bool conn_starttls_has_moved(const struct conn *conn)
{
	return conn->info.flow[FLOW_TO_ORIGIN].bytes || conn->info.flow[FLOW_TO_CLIENT].bytes;
}

/*
 * The client's next unread bytes are a whole hello. STEP_IDLE: what was said before it has not gone
 * out yet, or the origin is still speaking; later, then.
 */
enum starttls_step conn_starttls_turn(struct conn *conn, const struct client_hello *hello,
				      enum conn_upgrade how);

/* It stays plain, or TLS that is not ours: both ends as they are, as if nobody had looked. */
enum starttls_step conn_starttls_leave(struct conn *conn, enum ksplit_reason reason);

/* One side has reset the connection; that is what the other is told, as in a relay. */
enum starttls_step conn_starttls_reset(struct conn *conn, enum ksplit_reason reason);

/* Stop watching, and wipe what was seen. */
void conn_starttls_free(struct conn *conn);

#endif
