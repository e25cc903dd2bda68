/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_VIEW_H
#define KSPLIT_STATUS_VIEW_H

#include <stdio.h>

#include "rows.h"

enum view_form {
	VIEW_TEXT,      /* for a person */
	VIEW_JSON,      /* indented */
	VIEW_JSON_LINE, /* one line */
};

/* How an answer is to be shown. */
struct view {
	enum view_form form;
	const struct row_key *sort; /* of tables; NULL: the command's first */
	unsigned int top;           /* rows of tables; 0: all */
	unsigned int columns;       /* of the paper */
	const char *action;         /* what is to be done, of commands that do; NULL: nothing */
	const char *tap;            /* which, of the command `taps`; NULL: all */
};

/* Columns of the terminal that `out` is, else $COLUMNS, else 80. */
unsigned int view_columns(FILE *out);

#endif
