/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LISTEN_FDS_H
#define KSPLIT_CORE_LISTEN_FDS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

/*
 * Listening sockets that this process has not opened itself: from the service manager
 * (sd_listen_fds(3)) or from the ksplitd that it takes over from. A configured listener takes those
 * with its address. For one thread.
 */
struct listen_fds;

/* None yet. Caller owns *out. 0 or -ENOMEM. */
int listen_fds_new(struct listen_fds **out);

/* Close what is left. NULL allowed. */
void listen_fds_free(struct listen_fds *fds);

/*
 * Take over a descriptor, in any case. `name`: what it is called in messages. The same socket is
 * kept once. 0, or -errno with one line in `error`: -EINVAL (no listening TCP socket), -ENOMEM.
 */
int listen_fds_add(struct listen_fds *fds, int fd, const char *name, char *error,
		   size_t error_len);

/*
 * Those that the service manager has opened for this process, if it has: LISTEN_FDS, LISTEN_PID,
 * LISTEN_FDNAMES, which are taken out of the environment. As above.
 */
int listen_fds_from_manager(struct listen_fds *fds, char *error, size_t error_len);

/* How many are there for this listener? NULL: none. */
size_t listen_fds_count(const struct listen_fds *fds, const struct config_listener *listener);

/*
 * Has one of these the listener's port on an address that includes its own, or lies in it? NULL:
 * none has.
 */
bool listen_fds_overlap(const struct listen_fds *fds, const struct config_listener *listener);

/*
 * A copy of the n-th of these (n < count), the caller's; or -errno. They count as used from now on.
 */
int listen_fds_get(struct listen_fds *fds, const struct config_listener *listener, size_t n);

/*
 * One that no listener has taken: "NAME (ADDRESS)" in `text`. false: there is none.
 */
bool listen_fds_unused(const struct listen_fds *fds, char *text, size_t len);

#endif
