/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LAUNCHER_H
#define KSPLIT_CORE_LAUNCHER_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The launcher: a process beside the daemon, forked before it gives up its rights, that keeps those
 * it was started with and does three things with them when it is told to: start a signing process,
 * start a new ksplitd, end the one that it has started last. Orders are numbers. All else, paths
 * and arguments, is what the daemon was started with, so whoever takes over the daemon gets nothing
 * by it that the daemon has not: no file's content, no command, no path crosses. Only so many
 * orders a second are obeyed. It ends with the daemon. Functions are for the main thread.
 */
struct launcher;

/* How the daemon was started; nothing is owned, all is needed as long as the launcher. */
struct launcher_options {
	int argc;
	char **argv;
	const char *program; /* path of the program (proc(5), /proc/PID/exe) */
	int folder;	     /* where relative paths begin (open(2), O_PATH); -1: here */
};

#define LAUNCHER_RATE 5 /* orders a second, and as many at once */

/*
 * Start it: as long as the daemon has all its rights and no threads. Caller owns *out. 0 or -errno.
 */
int launcher_start(const struct launcher_options *options, struct launcher **out);

/*
 * Have it read the configuration and the CA's files as they are now and start a signing process
 * with them. *fd is the caller's, for signer_adopt, which also tells when that process cannot do
 * its work. Waits a second at most. 0, or -errno with a sentence in `error`: -EPIPE (the launcher
 * has gone), -EBUSY (too many orders), -ETIMEDOUT ...
 */
int launcher_signer(struct launcher *launcher, int *fd, pid_t *pid, char *error, size_t error_len);

/*
 * Have it start the program at the path that the daemon came from, with the same arguments, and
 * KSPLIT_HANDOVER=NUMBER in the environment: a descriptor, whose other end is *fd, the caller's. As
 * above.
 */
int launcher_upgrade(struct launcher *launcher, int *fd, pid_t *pid, char *error,
		     size_t error_len);

/* Have it kill (SIGKILL) the ksplitd that it has started last. 0 or -errno. */
int launcher_cancel(struct launcher *launcher);

/* Its number. */
pid_t launcher_pid(const struct launcher *launcher);

/* End it, wait for its end, free. NULL allowed. */
void launcher_stop(struct launcher *launcher);

#endif
