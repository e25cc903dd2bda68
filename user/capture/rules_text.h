/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_RULES_TEXT_H
#define KSPLIT_CAPTURE_RULES_TEXT_H

#include <stdbool.h>

#include "capture/capture.h"

/*
 * The rules for a configuration in nft's language (nft(8)): one `table inet NAME { ... }`, with
 * `flags owner` when `owner` is set, so that the kernel withdraws the table when the netlink socket
 * that loaded it is closed (NFT_TABLE_F_OWNER, Linux 5.12). The same for the same configuration:
 * nothing is looked up. 0 and *out, which the caller frees; -ENOENT (no rules are asked for: *out
 * is NULL) or -ENOMEM.
 */
int rules_text_make(const struct capture *capture, bool owner, char **out);

/*
 * The same table without anything that captures: only what connections need that were captured
 * before, in place of the other while rules are withdrawn and ksplitd lives. A chain of type nat
 * keeps the kernel translating, a rule that asks for the state of a connection keeps it tracking:
 * with the last of these in a network namespace both stop, for open connections as well
 * (nf_nat_unregister_fn, nf_ct_netns_put). TPROXY has no memory but the rule for its own.
 */
int rules_text_make_open(const struct capture *capture, bool owner, char **out);

#endif
