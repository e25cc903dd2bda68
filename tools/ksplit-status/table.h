/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_TABLE_H
#define KSPLIT_STATUS_TABLE_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "rows.h"

#define TABLE_CELL 1600 /* bytes that a cell's text is made in */

/*
 * A column. Which are shown depends on how wide the paper is, so that 80 columns have what matters
 * most. The last one takes what is left, and long texts in it lose their middle.
 */
struct table_column {
	const char *title; /* NULL ends the list */
	unsigned int width;
	unsigned int from; /* shown on paper of at least so many columns */
	bool left;         /* aligned to the left */
	const char *(*value)(const cJSON *row, char *buf, size_t len);
};

/* Titles and rows, each line shorter than `columns`. Nothing when there are no rows. */
void table_print(FILE *out, const struct table_column *table, const struct rows *rows,
		 unsigned int columns);

/* At most `width` characters (code points), "..." in the middle of what was longer. Returns buf. */
const char *table_shorten(const char *text, size_t width, char *buf, size_t len);

#endif
