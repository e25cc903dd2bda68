/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_RELOAD_H
#define KSPLIT_CORE_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "observe/reload_status.h"

struct launcher_options;
struct reload;
struct server;

/*
 * A new configuration while the daemon runs (SIGHUP, `ksplit-status reload`). Everything that it
 * needs is made first: files read and checked, a signing process for another CA, sockets bound.
 * Only when all of that is good workers change over; otherwise nothing has changed, and the log and
 * the answer say why. Open connections end under what they began with.
 */

/*
 * `start` says how the daemon was started, which the configuration is read again by; it must live
 * as long. Caller owns *out. 0 or -ENOMEM.
 */
int reload_new(struct server *server, const struct launcher_options *start, struct reload **out);

/*
 * Main thread: do it. `by` says who asks, where no command does: "SIGHUP". What takes rights that a
 * ksplitd has at its start alone is left to a new one, which takes over (core/handover_give.h).
 */
void reload_run(struct reload *reload, const char *by);

/* Main thread: after each handover_give_signal, since that may have been such a one. */
void reload_note_handover(struct reload *reload);

/*
 * Main thread: how long it may wait between two calls of reload_watch, ms, -1: for ever; free
 * generations whose last connection has ended. NULL allowed.
 */
int reload_watch_ms(const struct reload *reload);
void reload_watch(struct reload *reload);

/*
 * Any thread but the main one: ask for it, by a SIGHUP to this process, and wait until it is done,
 * a minute and a half at most. false: that was not enough, or the daemon ends.
 */
bool reload_ask(struct reload *reload, const char *by, struct reload_status *out);

/* Any thread. */
void reload_read(struct reload *reload, struct reload_status *out);

/* There will be none any more: who waits for one waits no longer. NULL allowed. */
void reload_end(struct reload *reload);

/* When no other thread asks any more. NULL allowed. */
void reload_free(struct reload *reload);

#endif
