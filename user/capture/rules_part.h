/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_RULES_PART_H
#define KSPLIT_CAPTURE_RULES_PART_H

#include <netinet/in.h>
#include <stdio.h>

#include "capture/capture.h"

/* What the texts of both rule languages are made of. */

#define RULES_PART_ADDRESS (INET6_ADDRSTRLEN + 2)
#define RULES_PART_NETWORK (INET6_ADDRSTRLEN + 4)

/* Writes a whole text; `ctx` is the caller's own. */
typedef void rules_part_writer(FILE *out, const struct capture *capture, const void *ctx);

/*
 * What `write` writes, as a string that the caller frees. 0; -ENOENT (no rules are asked for) or
 * -ENOMEM, and *out is NULL.
 */
int rules_part_make(const struct capture *capture, rules_part_writer *write, const void *ctx,
		    char **out);

/* "outgoing", "incoming", "forwarded", "hook": as in the configuration. */
const char *rules_part_name(enum capture_kind kind);

/* Networks of one family; is the whole family among them? */
size_t rules_part_count(const struct capture_networks *networks, sa_family_t family);
bool rules_part_is_all(const struct capture_networks *networks, sa_family_t family);

/* The listener for AF_INET or AF_INET6; its own family is 0 where there is none. */
const union capture_address *rules_part_listener(const struct capture_part *part,
						 sa_family_t family);

/* Is there a listener for this family, and none of the lists that names only the other one? */
bool rules_part_captures(const struct capture_part *part, sa_family_t family);

bool rules_part_has_port(const struct capture_match *match, uint16_t port);

/* "192.0.2.0/24"; an address alone without its prefix. */
void rules_part_print_network(const struct capture_network *network, char buf[RULES_PART_NETWORK]);

/* A listener's address, "192.0.2.1" or "[2001:db8::1]"; its port; does it listen on all? */
void rules_part_print_address(const union capture_address *listener, char buf[RULES_PART_ADDRESS]);
uint16_t rules_part_port(const union capture_address *listener);
bool rules_part_is_wildcard(const union capture_address *listener);

/*
 * The routing that method tproxy needs beside its rules, as commands, each line after `prefix`: the
 * kernel hands a packet over only when it is routed to this host (Documentation/networking/
 * tproxy.rst).
 */
void rules_part_write_routing(FILE *out, const struct capture *capture, const char *prefix);

#endif
