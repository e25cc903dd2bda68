/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_NOTIFY_H
#define KSPLIT_CORE_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What the service manager is told (sd_notify(3), Type=notify). Without one, that is without
 * NOTIFY_SOCKET in the environment, and where ksplitd was built without libsystemd, nothing
 * happens. None of these can fail in a way that matters to ksplitd.
 */

/* The listeners accept. `status` is one line for `systemctl status`; not kept. */
void notify_ready(const char *status);

/* Another process is the service from now on; it says itself that it is ready. */
void notify_main_process(pid_t pid);

/* The end has begun: open connections are waited for. */
void notify_stopping(void);

/*
 * Within how many microseconds the manager wants to hear from this process again and again, or ends
 * it (sd_watchdog_enabled(3): WATCHDOG_USEC, WATCHDOG_PID); 0: it does not ask.
 */
uint64_t notify_watchdog_us(void);

/* That we are alive (WATCHDOG=1). */
void notify_alive(void);

#endif
