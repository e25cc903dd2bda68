/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_RULES_MATCH_H
#define KSPLIT_CAPTURE_RULES_MATCH_H

#include <stdbool.h>
#include <stdio.h>

#include "capture/capture.h"

/*
 * The part of a rule in nft's language (nft(8)) that says for whom it is: ports, networks, users,
 * interfaces, cgroups. Each is written with a space behind it; an empty list is nothing.
 */

/* A chain on its way. */
struct rules_chain {
	FILE *out;
	const struct capture *capture;
	enum capture_kind kind;
	const char *protocol; /* "tcp", "udp" */
	bool open; /* only what connections need that were captured before */
};

static inline const struct capture_part *rules_chain_part(const struct rules_chain *chain)
{
	return &chain->capture->parts[chain->kind];
}

void rules_match_write_ports(const struct rules_chain *chain, const struct capture_ports *ports);
void rules_match_write_users(const struct rules_chain *chain, const struct capture_users *users);
void rules_match_write_interfaces(const struct rules_chain *chain,
				  const struct capture_names *names);

/* "ip daddr { 192.0.2.0/24 } " of one family; nothing for "all addresses". Was anything written? */
bool rules_match_write_networks(const struct rules_chain *chain,
				const struct capture_networks *networks, sa_family_t family,
				const char *direction);

/* A cgroup at its depth: the processes of those below it belong to it, too. */
void rules_match_write_cgroup(const struct rules_chain *chain, const char *path);

/* All of it, of a rule that captures, with its counter. `cgroup` NULL: any. */
void rules_match_write(const struct rules_chain *chain, sa_family_t family,
		       const struct capture_ports *ports, const char *cgroup);

#endif
