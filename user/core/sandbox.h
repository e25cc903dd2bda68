/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SANDBOX_H
#define KSPLIT_CORE_SANDBOX_H

/*
 * A seccomp(2) filter over all threads of the process and those to come: what a proxy never does
 * fails with EPERM from now on - running programs, looking into processes, kernel modules, mounts,
 * namespaces, loading of BPF programs (docs/security.md has the list). EPERM and no signal: a
 * library that tries something unusual must not take the host's calls with it, and an attacker has
 * no use of a call that fails. 0 or -errno (-EINVAL: a kernel without seccomp filters).
 */
int sandbox_enter(void);

#endif
