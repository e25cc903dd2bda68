/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_PRINT_PAIR_H
#define KSPLIT_STATUS_PRINT_PAIR_H

#include <cJSON.h>

#include "format.h"

/* One more pair of a row (format_pairs_start): a member's figure as a count, or as bytes. */
void print_count(struct format_pairs *pairs, const char *name, const cJSON *object,
		 const char *member);
void print_size(struct format_pairs *pairs, const char *name, const cJSON *object,
		const char *member);

#endif
