/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SERVICE_H
#define KSPLIT_CORE_SERVICE_H

#include <stddef.h>

struct config;
struct identity_store;
struct server;

/*
 * What incoming calls need: the identities, loaded; *out stays NULL where there are none. `before`
 * (NULL: none) as for identity_store_follow. The
 * caller's. 0, or -errno with one line in `error`.
 */
int service_load(const struct config *config, struct identity_store *before,
		 struct identity_store **out, char *error, size_t error_len);

/*
 * May the addresses of clients be taken as sources, where a listener asks for that? 0, or -errno
 * with one line in `error`.
 */
int service_check_transparent(const struct config *config, char *error, size_t error_len);

/* How long until service_watch has something to do, ms; -1: for ever. */
int service_watch_ms(const struct server *server);

/* Load identities again whose files have changed, if it is time to look. The main thread. */
void service_watch(struct server *server);

#endif
