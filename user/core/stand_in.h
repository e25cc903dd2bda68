/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_STAND_IN_H
#define KSPLIT_CORE_STAND_IN_H

struct server;
struct stand_in;

/*
 * While the main thread works on something that may take its time (a name that resolves slowly,
 * large files), a thread stands in for it with those who take its silence for its death: the rules'
 * keeper and the service manager. It says that all is well only if the workers move, as the main
 * thread does, and for STAND_IN_S seconds at most: what hangs for longer is to be noticed. For the
 * main thread. `server` must outlive it. NULL: no thread can be made, and nothing is said.
 */
#define STAND_IN_S 60

struct stand_in *stand_in_begin(struct server *server);

/* The main thread is back. NULL allowed. */
void stand_in_end(struct stand_in *stand_in);

#endif
