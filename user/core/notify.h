/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_NOTIFY_H
#define KSPLIT_CORE_NOTIFY_H

/*
 * What the service manager is told (sd_notify(3), Type=notify). Without one, that is without
 * NOTIFY_SOCKET in the environment, and where ksplitd was built without libsystemd, nothing happens.
 * None of these can fail in a way that matters to ksplitd.
 */

/* The listeners accept. `status` is one line for `systemctl status`; not kept. */
void notify_ready(const char *status);

/* The end has begun: open connections are waited for. */
void notify_stopping(void);

#endif
