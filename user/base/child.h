/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BASE_CHILD_H
#define KSPLIT_BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* A process of our own that is talked with through a pair of sockets, and ends when they do. */

/* What it is: its end of the pair in `fd`. Where it comes back the process ends with 1. */
typedef void (*child_fn)(const void *arg, int fd);

/*
 * Fork; the two have a pair of Unix sockets of this type (SOCK_STREAM, SOCK_SEQPACKET), both
 * close-on-exec. The child runs `run` with all signals blocked, so that none finds this process's
 * ways of handling it there; it has a copy of every descriptor (child_close_others). The caller's
 * end is in *fd and the caller's. The child's number, or -errno and -1 in *fd.
 */
pid_t child_start(int type, child_fn run, const void *arg, int *fd);

/*
 * In the child: close what is not stdin, stdout, stderr, `a` or `b` (below 3: none). A copy of a
 * listener would go on taking connections that nobody serves, one of a connection keep it open.
 */
void child_close_others(int a, int b);

/*
 * Wait until it has ended and reap it, for `timeout_ms` at most. False: it still runs. What is no
 * child of this process (any more) has nobody to wait for: true at once.
 */
bool child_await(pid_t pid, int timeout_ms);

#endif
