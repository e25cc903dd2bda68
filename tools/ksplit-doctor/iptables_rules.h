/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_IPTABLES_RULES_H
#define KSPLIT_DOCTOR_IPTABLES_RULES_H

#include "ruleset.h"

/*
 * Walk through what iptables-save(8) prints, which is cut up, and tell of every rule that leads TCP
 * connections elsewhere. `program` ("iptables", "ip6tables-legacy") becomes the family of what is
 * told.
 */
void iptables_rules_walk(const char *program, char *text, ruleset_tell *tell, void *context);

#endif
