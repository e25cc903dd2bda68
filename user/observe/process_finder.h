/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_PROCESS_FINDER_H
#define KSPLIT_OBSERVE_PROCESS_FINDER_H

#include "observe/bpf_object.h"
#include "observe/request.h"

/*
 * Who made a connection of this host? The connect hook remembers it at connect(2) by the addresses
 * of the connection, so that it is known though the caller is gone. For what the hook has not seen
 * sock_diag(7) leads from addresses to the socket, and that to the process that has it open now
 * (socket_owner.h). One thread at a time.
 */
struct process_finder;

/*
 * `set` with the group BPF_GROUP_PROCESSES, or NULL: without the hook. It is attached to the root
 * of cgroup v2, its links are pinned as "link_connect4", "link_connect6" and "link_connect"; `set`
 * must live longer. Only this network namespace's sockets are found; before Linux 5.15 also those
 * of others with the same addresses and ports. Caller owns *out. 0 or -errno: -ENOMEM, -EMFILE.
 */
int process_finder_new(struct bpf_object_set *set, struct process_finder **out);

/* Detach and free; NULL allowed. */
void process_finder_free(struct process_finder *finder);

/* One sentence why the hook is not attached; "" when it is. */
const char *process_finder_why(const struct process_finder *finder);

/*
 * Find the process by the addresses of its socket: its own, and the one that it called (what it
 * called as it knows it: where a rule redirected it, the original destination). All zero when it is
 * not of this host, or nobody can tell: the hook has not seen it, and the socket is closed. Some
 * microseconds with the hook; for a scan without it see socket_owner.h.
 */
void process_finder_find(struct process_finder *finder, const union conn_address *local_of_caller,
			 const union conn_address *remote_of_caller, struct observe_process *out);

#endif
