/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_LABEL_H
#define KSPLIT_CA_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "authority.h"

/* Names under which CAs stand in stores (authority_label). */
struct labels {
	char (*item)[AUTHORITY_LABEL];
	size_t count;
};

/*
 * Does `text` begin with a label that we have made and that `end` ends? `wanted` is the one that is
 * looked for, "" any. Others' names, also such as begin with ksplit-, are none.
 */
bool label_matches(const char *text, const char *wanted, const char *end);

/* Add the label that `text` begins with, once. 0 or -ENOMEM. */
int labels_add(struct labels *labels, const char *text);

/* Those with which lines of a program's output begin, as with label_matches. */
int labels_of_lines(struct labels *labels, const char *text, const char *wanted, const char *end);

void labels_free(struct labels *labels);

#endif
