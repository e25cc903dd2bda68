/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_PULSE_H
#define KSPLIT_CORE_PULSE_H

#include <stdbool.h>

/*
 * Do the workers move? Asked by everything that must not go on when one of them hangs: the rules'
 * keeper, the connect hook, the service manager's watchdog. Each of them has a pulse of its own,
 * since each remembers what it saw last; a pulse is used by one thread at a time.
 */
struct pulse;
struct server;

/* `server` must outlive it, and must have its workers. Caller owns *out. 0 or -ENOMEM. */
int pulse_new(const struct server *server, struct pulse **out);

/*
 * Has every worker made a whole turn of its loop since the last look that was good? Those that have
 * come to their end count as well. Has all of them make another, so that idle ones have when asked
 * again: a look right after another one is too early. Never waits.
 */
bool pulse_look(struct pulse *pulse);

/* NULL allowed. */
void pulse_free(struct pulse *pulse);

#endif
