/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_NFT_H
#define KSPLIT_DOCTOR_NFT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Run nft commands in the network namespace of the caller (libnftables(3)). 0 with the output in
 * *out, which the caller frees (NULL: not wanted); -ENOMEM; -EPERM: not allowed; -EOPNOTSUPP:
 * refused, and the first line of what nft said is in `error`.
 */
int nft_run(const char *commands, bool json, char **out, char *error, size_t error_len);

/*
 * Enter a new, empty network namespace with its loopback device up; where that needs more privilege
 * than there is, a user namespace with it. 0, -EPERM: neither is allowed here; other -errno.
 */
int nft_namespace_enter(void);

#endif
