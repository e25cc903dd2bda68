/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONN_PARALLEL_H
#define KSPLIT_CORE_CONN_PARALLEL_H

#include <stdbool.h>

#include "core/conn.h"

/*
 * The client's handshake beside the origin's (docs/sessions.md, "Known origins"), where
 * upstream.parallel_handshake is on and the origin is known. Nothing of the client's bytes goes
 * anywhere before the origin was seen to be as known: a wrong guess costs a call that the client
 * can make again without a doubt. The functions may be called for connections that have nothing to
 * do with it.
 */

/* Is this connection's client being shown, or was it shown, what is only guessed so far? */
bool conn_parallel_is_guess(const struct conn *conn);

/*
 * The handshake with the origin begins, to `target`: is anything known of it? Before its first
 * step; conn_parallel_begin after that.
 */
void conn_parallel_look(struct conn *conn, const struct tls_upstream_target *target);

/* ... then the client's begins as well. */
void conn_parallel_begin(struct conn *conn);

/*
 * Something has happened at the client's socket meanwhile. False: its handshake is not under way.
 */
bool conn_parallel_client_ready(struct conn *conn, uint32_t events);

/*
 * The origin's handshake is done, and its certificate was judged. True: the client was shown
 * something already, and everything that comes of it is done.
 */
bool conn_parallel_judge(struct conn *conn);

/* The client's handshake is done. True: it has to wait for the origin's, or was told goodbye. */
bool conn_parallel_holds(struct conn *conn);

/*
 * The origin will not be intercepted as was guessed, or at all: to be ended for `reason`. False: no
 * such connection.
 */
bool conn_parallel_cut(struct conn *conn, enum ksplit_reason reason);

/* Both handshakes are done, the origin is a good one: it is known from now on. */
void conn_parallel_note(struct conn *conn);

void conn_parallel_forget(struct conn *conn);

#endif
