/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_WORKER_LISTEN_H
#define KSPLIT_CORE_WORKER_LISTEN_H

#include <stddef.h>

struct worker;

/*
 * Fill worker->listeners: for each listener of its generation a socket of its own, bound and
 * listening; where there are sockets of that address already (server->inherited), one of these, and
 * a share of those that are left when each worker has one. 0 or -errno with one line in `error`;
 * those that were made are the worker's in any case. In a ksplitd that takes over, sockets of its
 * own do not listen before worker_listen_late.
 */
int worker_listen(struct worker *worker, char *error, size_t error_len);
int worker_listen_late(struct worker *worker, char *error, size_t error_len);

#endif
