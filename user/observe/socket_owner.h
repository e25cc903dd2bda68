/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SOCKET_OWNER_H
#define KSPLIT_OBSERVE_SOCKET_OWNER_H

#include <stdint.h>

/*
 * Which process has a socket open? Found as ss(8) does, by reading the links /proc/PID/fd/N of all
 * processes: about two microseconds a descriptor. So one scan answers for a second, and no scan
 * reads more than SOCKET_OWNER_LINKS of them. Processes of other users take CAP_SYS_PTRACE.
 */
#define SOCKET_OWNER_LINKS    65536
#define SOCKET_OWNER_FRESH_MS 1000

struct socket_owners; /* one thread at a time */

/* Caller owns *out. 0 or -ENOMEM. */
int socket_owners_new(struct socket_owners **out);
void socket_owners_free(struct socket_owners *owners); /* NULL allowed */

/*
 * The process with the least number that has the socket of this inode; 0: none, or it was opened
 * after the last scan and that is younger than a second.
 */
uint32_t socket_owners_find(struct socket_owners *owners, uint32_t inode);

/* How many scans there were. */
uint64_t socket_owners_scans(const struct socket_owners *owners);

#endif
