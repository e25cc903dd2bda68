/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_CONTENT_H
#define KSPLIT_TAP_CONTENT_H

#include "tap/tap_about.h"
#include "tap/tap_item.h"
#include "tap/tap_target.h"
#include "tap/tap_told.h"

/*
 * The writer's part of the content log: two files for each connection, NAME.to-origin and
 * NAME.to-client, each the beginning of what went that way, byte for byte. Where something is
 * missing at its end the file is called NAME.to-client.truncated when the connection is over.
 */
struct content {
	struct tap_told *told;	   /* not owned */
	struct tap_target *target; /* NULL: off */
	uint64_t left;		   /* bytes until target->most */
};

/* A connection's files; made by a worker, given to the writer with TAP_CLOSE. */
struct content_conn;

/* `pattern` is one that content_name_check takes. NULL: no memory, or the name is too long. */
struct content_conn *content_conn_new(const char *pattern, const struct tap_about *about);

/* Fits struct tap_writer; `ctx` is a struct content, objects are struct content_conn. */
void content_handle(void *ctx, struct tap_item *item);

#endif
