/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_ROWS_H
#define KSPLIT_STATUS_ROWS_H

#include <cJSON.h>
#include <stddef.h>

/* Where a number stands in a row. */
struct row_number {
	const char *object; /* the member whose member it is; NULL: the row's own */
	const char *member; /* NULL: there is none */
};

/* ... and a text. */
struct row_text {
	const char *member;    /* the row's own; NULL: there is none */
	const char *otherwise; /* another member, where that is empty; NULL: none */
};

/* 0 and "" for what is not there; the text is the row's own. */
double row_number(const cJSON *row, const struct row_number *number);
const char *row_text(const cJSON *row, const struct row_text *text);

/* What a table can be sorted by: numbers from the greatest on, texts from A on. */
struct row_key {
	const char *name;
	struct row_number number, plus; /* their sum */
	double (*of)(const cJSON *row); /* instead, where a number is not simply there */
	struct row_text text;           /* by text, when this has a member */
};

/* By its name in a list that ends with a NULL name; NULL: none of them. */
const struct row_key *row_key_find(const struct row_key *keys, const char *name);

/* Members of a JSON array in another order. */
struct rows {
	struct row {
		const cJSON *json;
		size_t index; /* in the array */
	} * row;
	size_t len, all; /* `all`: before those beyond `top` were left out */
};

/*
 * The members of `array` sorted by `key` (equal ones as they come; one whose "other" is true is the
 * last), at most `top` of them (0: all). The rows are the array's own. 0, or -ENOMEM; rows_free.
 */
int rows_sort(struct rows *rows, const cJSON *array, const struct row_key *key, unsigned int top);
void rows_free(struct rows *rows);

/*
 * The text of an answer with the rows of the array "data.NAME" in this order, others left out.
 * Caller frees it; NULL: no memory, or the array is not there.
 */
char *rows_reorder(const struct rows *rows, const char *line, const char *name);

#endif
