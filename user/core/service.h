/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SERVICE_H
#define KSPLIT_CORE_SERVICE_H

#include <stddef.h>

struct server;

/*
 * What incoming calls need: the identities, loaded. 0, or -errno with one line in `error`.
 */
int service_load(struct server *server, char *error, size_t error_len);

/*
 * May the addresses of clients be taken as sources, where a listener asks for that? 0, or -errno with
 * one line in `error`.
 */
int service_check_transparent(const struct server *server, char *error, size_t error_len);

/* How long the main thread may wait between two calls of service_watch, ms; -1: for ever. */
int service_watch_ms(const struct server *server);

/* Load identities again whose files have changed. The main thread. */
void service_watch(struct server *server);

#endif
