/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_PRIVILEGES_H
#define KSPLIT_CORE_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/*
 * What of capabilities(7) a daemon with this configuration needs after its start, as a set of bits
 * (1 << CAP_...). docs/security.md tells the reason of each.
 */
uint64_t privileges_needed(const struct config *config);

/*
 * Become the user that the configuration names for good: no groups but its own, only the
 * capabilities that are needed, none of which can come back. What is opened again later is made its
 * own before: the folder of the control socket where it is missing or ours by name, and the access
 * log; `pin_root` (observe/bpf_pins.h; 0: none). As root, before threads exist (capset(2) is for
 * one thread). Without a user in the configuration nothing happens; a process that is that user
 * already stays it. 0, or -errno with one line in `error`.
 */
int privileges_drop(const struct config *config, int pin_root, char *error, size_t error_len);

#endif
