/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_PRINT_RULES_H
#define KSPLIT_CORE_PRINT_RULES_H

#include "core/config.h"

/*
 * --print-rules: the rules of a checked configuration to stdout, as they would be loaded or, when a
 * language is asked for, for hand use. Where libnftables, which would load them, is not installed,
 * they are iptables lines, with a word on stderr. Loads nothing. The exit status of ksplitd: 0, or
 * 1 (memory, stdout).
 */
int print_rules(const struct config *config);

#endif
