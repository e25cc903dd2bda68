/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_RELOAD_CAPTURE_H
#define KSPLIT_CORE_RELOAD_CAPTURE_H

#include <stddef.h>

struct generation;
struct server;

/*
 * Can capture be what the next generation wants it to be? Other rules can; the hook's programs and
 * the keeper's process are made at the start. 0, or -EOPNOTSUPP with one line in `error`.
 */
int reload_capture_check(const struct server *server, const struct generation *next, char *error,
			 size_t error_len);

/*
 * Load the next generation's rules, if they are others; its listeners accept by now. 0, or -errno
 * with one line in `error`: nothing has changed.
 */
int reload_capture_change(struct server *server, const struct generation *next, char *error,
			  size_t error_len);

/* Another generation is the present one: hold on to what capture still needs of the one before. */
void reload_capture_follow(struct server *server, struct generation *before,
			   struct generation *now);

#endif
