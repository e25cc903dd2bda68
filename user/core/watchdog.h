/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_WATCHDOG_H
#define KSPLIT_CORE_WATCHDOG_H

/*
 * The service manager's watchdog (systemd.service(5), WatchdogSec=): it is told that ksplitd is
 * alive three times in the time that it gives, but only when all workers move (core/pulse.h). When
 * one hangs, or the main thread, it hears no more and starts ksplitd again. Functions are for the
 * main thread.
 */
struct watchdog;
struct server;

/*
 * *out stays NULL when the manager does not ask for it (notify_watchdog_us). `server` must outlive
 * it, and must have its workers. Caller owns *out. 0 or -ENOMEM.
 */
int watchdog_new(const struct server *server, struct watchdog **out);

/* How long until watchdog_run has something to do, ms; -1: for ever. NULL allowed, as below. */
int watchdog_wait_ms(const struct watchdog *watchdog);

/* Look at the workers and tell the manager, if it is time. Never waits. */
void watchdog_run(struct watchdog *watchdog);
void watchdog_free(struct watchdog *watchdog);

#endif
