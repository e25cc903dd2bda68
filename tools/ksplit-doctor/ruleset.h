/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_RULESET_H
#define KSPLIT_DOCTOR_RULESET_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

/* A rule that leads TCP connections elsewhere. The texts are the JSON's own. */
struct ruleset_lead {
	const char *family; /* of nft; of iptables the program's name */
	const char *table, *chain;
	const char *verb;    /* "redirect", "dnat", "tproxy" */
	uint16_t target;     /* the port that it leads to; 0: the same */
	const char *address; /* NULL: one of this host */
	struct settings_ports ports[SETTINGS_PORTS];
	size_t ports_len; /* 0: any port */
};

typedef void ruleset_tell(void *context, const struct ruleset_lead *lead);

/*
 * Walk through what `nft -j list ruleset` prints (libnftables-json(5)) and tell of every rule that
 * leads TCP connections elsewhere. Rules for other protocols are left out; of a match that is not
 * understood it is taken that any port fits.
 */
void ruleset_walk(const cJSON *root, ruleset_tell *tell, void *context);

/* Are there rules of iptables-nft, whose targets nft does not tell in full? */
bool ruleset_has_iptables(const cJSON *root);

/* Has the rule to do with one of these ports? */
bool ruleset_meets(const struct ruleset_lead *lead, const struct settings_ports *ports, size_t len);

#endif
