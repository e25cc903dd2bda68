/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_TABLE_H
#define KSPLIT_STATUS_TABLE_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "rows.h"
#include "view.h"

#define TABLE_CELL 1600 /* bytes that a cell's text is made in */

/* What a cell is made of, and how it is written. */
enum table_cell {
	TABLE_OWN,   /* by `own` */
	TABLE_SHORT, /* a number (format_short) */
	TABLE_BYTES, /* format_bytes */
	TABLE_TIME,  /* a figure of times in ms (format_time); "-" where their "count" is 0 */
	TABLE_SHARE, /* number of whole (format_share) */
	TABLE_TEXT,  /* "-" for "" */
};

/*
 * A column. Which are shown depends on how wide the paper is, so that 80 columns have what matters
 * most. The last one takes what is left, and long texts in it lose their middle.
 */
struct table_column {
	const char *title; /* NULL ends the list */
	unsigned int width;
	unsigned int from; /* shown on paper of at least so many columns */
	bool left;         /* aligned to the left */
	enum table_cell cell;
	struct row_number number, whole;
	struct row_text text;
	const char *(*own)(const cJSON *row, char *buf, size_t len);
};

/*
 * A whole command: what is shown (a sentence that `head` writes into `line`), an empty line, titles
 * and rows, each shorter than view->columns; no titles where there are no rows. Where "data" says
 * that nobody looks ("on" is false), only why.
 */
struct table_page {
	const struct table_column *table;
	void (*head)(char *line, size_t len, const cJSON *data, const struct rows *rows,
		     const struct view *view);
};
void table_print(FILE *out, const struct table_page *page, const cJSON *data,
		 const struct view *view, const struct rows *rows);

/* At most `width` characters (code points), "..." in the middle of what was longer. Returns buf. */
const char *table_shorten(const char *text, size_t width, char *buf, size_t len);

#endif
