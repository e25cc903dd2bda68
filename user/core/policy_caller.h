/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_POLICY_CALLER_H
#define KSPLIT_CORE_POLICY_CALLER_H

#include <stdbool.h>

#include "core/policy.h"

/*
 * Which process of this host made a call, found at once: sock_diag(7) tells the socket's inode and
 * cgroup, /proc who has it open. The observer knows the same later and cheaper, by its connect
 * hook; a decision cannot wait for it. Without a rule that names processes none of this is done.
 * One thread at a time.
 */
struct policy_callers;

/* Caller owns *out. 0 or -errno: -ENOMEM, -EMFILE, -EPROTONOSUPPORT. */
int policy_callers_new(struct policy_callers **out);
void policy_callers_free(struct policy_callers *callers);

/*
 * The owner of the socket `client`, which sees itself connected to `called`. `policy` says whether
 * commands and paths are wanted, for which all of /proc has to be read at each call (about two
 * microseconds for a descriptor of the host), or the cgroup alone, which the kernel tells with the
 * socket (since 5.8). Processes of other users take CAP_SYS_PTRACE, cgroups CAP_DAC_READ_SEARCH.
 * false: it is not of this host (or network namespace), or gone, or nobody can tell; then *out is
 * empty.
 */
bool policy_callers_find(struct policy_callers *callers, const struct policy *policy,
			 const union conn_address *client, const union conn_address *called,
			 struct policy_caller *out);

#endif
