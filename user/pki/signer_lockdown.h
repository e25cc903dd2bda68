/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_LOCKDOWN_H
#define KSPLIT_PKI_SIGNER_LOCKDOWN_H

#include <stddef.h>

/*
 * Nothing is left to the calling process but the descriptor `keep`, memory, time, random numbers
 * and its own end: no capabilities, no other descriptors, no supplementary groups, as root the
 * user `user` (getpwnam(3); not called by others, who stay who they are), not dumpable (core(5),
 * ptrace(2)), and a seccomp filter that answers EPERM to all else. 0, or -errno with one line in
 * `error`.
 */
int signer_lockdown(int keep, const char *user, char *error, size_t error_len);

#endif
