/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_RULE_H
#define KSPLIT_CORE_CONFIG_RULE_H

#include "core/config_reader.h"

/*
 * Which connections a rule is about: members that the rules of several sections have in common.
 * `out` is a struct policy_rule. A list may be given as its only element.
 */
config_reader_fn config_rule_read_sni;
config_reader_fn config_rule_read_networks;
config_reader_fn config_rule_read_ports;
config_reader_fn config_rule_read_alpn;
config_reader_fn config_rule_read_process;
config_reader_fn config_rule_read_comment;

/* Read a list, which is not empty, or its only element; `read` gets `rule` as its `out`. */
int config_rule_read_some(struct config_reader *reader, const cJSON *value, const char *key,
			  config_reader_fn *read, void *rule);

/* Put a copy of an element behind an array of `*len`. 0, or -ENOMEM and told. */
int config_rule_append(struct config_reader *reader, const char *key, void **list, size_t *len,
		       const void *element, size_t size);

/* Out of memory at this key; -ENOMEM. */
int config_rule_no_memory(struct config_reader *reader, const char *key);

#endif
