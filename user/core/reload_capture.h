/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_RELOAD_CAPTURE_H
#define KSPLIT_CORE_RELOAD_CAPTURE_H

#include <stddef.h>

struct generation;
struct server;

/*
 * Can this process capture what the next generation wants captured? Other rules it can, and the
 * first ones, if its own calls may be marked; the hook's programs are loaded at the start alone. 0,
 * or -EOPNOTSUPP with one line in `error`: a ksplitd that starts could.
 */
int reload_capture_check(const struct server *server, const struct generation *next, char *error,
			 size_t error_len);

/*
 * Load the next generation's rules, or withdraw those that are loaded, if they are others; its
 * listeners accept by now. 0, or -errno with one line in `error`: nothing has changed.
 */
int reload_capture_change(struct server *server, const struct generation *next, char *error,
			  size_t error_len);

/* Another generation is the present one: hold on to what capture still needs of the one before. */
void reload_capture_follow(struct server *server, struct generation *before,
			   struct generation *now);

#endif
