/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_RULES_SOURCE_H
#define KSPLIT_CAPTURE_RULES_SOURCE_H

#include <stdio.h>

#include "capture/capture.h"

/*
 * Calls of ksplitd's own that have a client's address as source (client_address transparent).
 * Kernel and client choose their ports without knowing of each other: now and then both calls have
 * the same addresses and ports, and connection tracking would take ours for the client's and lead
 * it back to ksplitd. So ours are tracked in a zone of their own (nft(8), CT STATEMENT;
 * nf_ct_zone_id() in include/net/netfilter/nf_conntrack_zones.h), on their way to the service
 * alone: answers are found in any case.
 */

/* Does any part lead to a listener that makes such calls? */
bool rules_source_needed(const struct capture *capture);

/* The chain in nft's language; nothing when it is not needed. */
void rules_source_write_nft(FILE *out, const struct capture *capture);

/* The rule as a command of iptables or ip6tables (AF_INET, AF_INET6): `command` is -I or -D. */
void rules_source_write_iptables(FILE *out, const struct capture *capture, sa_family_t family,
				 const char *command);

#endif
