/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SESSIONS_H
#define KSPLIT_CORE_SESSIONS_H

#include "core/config.h"
#include "tls/resumption.h"
#include "tls/ticket_keys.h"

struct server;

/* How the contexts of a generation let their sessions be resumed. */
void sessions_read_config(const struct config *config, struct ticket_keys *keys,
			  struct tls_resumption *out);

/* Make the keys of clients' tickets. 0 or -errno. */
int sessions_make_keys(const struct config *config, struct ticket_keys **out);

/*
 * Make what outlives a generation: the cache of origins' sessions; and take over the ticket keys of
 * the ksplitd before this one, if it has handed over any. 0 or -ENOMEM.
 */
int sessions_init(struct server *server);

/* Main thread: change keys and free what is too old, as it is due. How long until then, ms. */
int sessions_watch_ms(const struct server *server);
void sessions_watch(struct server *server);

/* The ticket keys as text, for the ksplitd that takes over: secret. "": there are none. */
void sessions_hand_over(const struct server *server, char *text, size_t len);

#endif
