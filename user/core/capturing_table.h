/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURING_TABLE_H
#define KSPLIT_CORE_CAPTURING_TABLE_H

#include <stddef.h>

#define CAPTURING_TABLES 9

/*
 * A name for the table of a ksplitd that takes over, whose rules are loaded before those of the
 * other one go: the one configured, or that with "_2" ... "_9" behind it, the first that is
 * nobody's. Caller frees *out. 0, or -errno with a sentence in `error`: -EBUSY (there is none).
 */
int capturing_table_choose(const char *configured, char **out, char *error, size_t error_len);

#endif
