// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"

#include <string.h>

#include "format.h"

#define LAST_MIN 8 /* of the last column, on however narrow paper */
#define DOTS     "..."

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Bytes of the first `n` characters. */
static size_t bytes_of(const char *text, size_t n)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (((unsigned char)text[i] & 0xc0) == 0x80)
			continue;
		if (n-- == 0)
			break;
	}
	return i;
}

const char *table_shorten(const char *text, size_t width, char *buf, size_t len)
{
	const size_t all = characters(text), dots = strlen(DOTS);
	size_t head, tail;

	if (all <= width) {
		snprintf(buf, len, "%s", text);
	} else if (width < dots + 2) {
		snprintf(buf, len, "%.*s", (int)bytes_of(text, width), text);
	} else {
		head = (width - dots + 1) / 2;
		tail = width - dots - head;
		snprintf(buf, len, "%.*s" DOTS "%s", (int)bytes_of(text, head), text,
			 text + bytes_of(text, all - tail));
	}
	return buf;
}

static bool is_last(const struct table_column *column)
{
	return !column[1].title;
}

static bool is_shown(const struct table_column *column, unsigned int columns)
{
	return is_last(column) || columns >= column->from;
}

static size_t last_width(const struct table_column *table, unsigned int columns)
{
	size_t used = 1; /* a full line would wrap in some terminals */

	for (; !is_last(table); table++)
		used += is_shown(table, columns) ? table->width + 1 : 0;
	return columns > used + LAST_MIN ? columns - used : LAST_MIN;
}

static void print_cell(FILE *out, const struct table_column *column, size_t width, const char *text)
{
	char cell[TABLE_CELL];
	const char *shown = table_shorten(text, width, cell, sizeof(cell));
	const int pad = (int)(width - characters(shown));

	if (is_last(column))
		fprintf(out, "%s\n", shown);
	else if (column->left)
		fprintf(out, "%s%*s ", shown, pad, "");
	else
		fprintf(out, "%*s%s ", pad, "", shown);
}

static const char *cell_text(const struct table_column *column, const cJSON *row, char *buf,
			     size_t len)
{
	const struct row_number count = {column->number.object, "count"};
	const double number = row_number(row, &column->number);
	const char *text;

	switch (column->cell) {
	case TABLE_OWN: return column->own(row, buf, len);
	case TABLE_SHORT: return format_short(number, buf, len);
	case TABLE_BYTES: return format_bytes(number, buf, len);
	case TABLE_TIME: return row_number(row, &count) > 0 ? format_time(number, buf, len) : "-";
	case TABLE_SHARE: return format_share(number, row_number(row, &column->whole), buf, len);
	case TABLE_TEXT: break;
	}
	text = row_text(row, &column->text);
	return *text ? text_safe(text, buf, len) : "-";
}

/* A row, or with NULL the titles. */
static void print_row(FILE *out, const struct table_column *table, const cJSON *row,
		      unsigned int columns)
{
	const size_t last = last_width(table, columns);
	char text[TABLE_CELL];

	for (; table->title; table++) {
		if (is_shown(table, columns))
			print_cell(out, table, is_last(table) ? last : table->width,
				   row ? cell_text(table, row, text, sizeof(text)) : table->title);
	}
}

static void print_rows(FILE *out, const struct table_column *table, const struct rows *rows,
		       unsigned int columns)
{
	size_t i;

	if (!rows->len)
		return;
	print_row(out, table, NULL, columns);
	for (i = 0; i < rows->len; i++)
		print_row(out, table, rows->row[i].json, columns);
}

void table_print(FILE *out, const struct table_page *page, const cJSON *data,
		 const struct view *view, const struct rows *rows)
{
	char why[200], line[400];

	if (cJSON_IsFalse(json_member(data, "on"))) {
		format_wrapped(out, 0, text_safe(json_text(data, "why"), why, sizeof(why)));
		return;
	}
	page->head(line, sizeof(line), data, rows, view);
	format_wrapped(out, 0, line);
	if (rows->len)
		fputc('\n', out);
	print_rows(out, page->table, rows, view->columns);
}
