// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "span.h"
#include "table.h"

/* The last first: how long ago it was, from behind. */
static double recency_of(const cJSON *row)
{
	return span_smallest(row, "last_ms");
}

/* What ends soonest first; what never ends last. */
static double expiry_of(const cJSON *row)
{
	return span_smallest(row, "expires_ms");
}

const struct row_key print_passes_keys[] = {
	{"last", .of = recency_of},
	{"count", .number = {NULL, "count"}},
	{"expires", .of = expiry_of},
	{"reason", .text = {"reason", NULL}},
	{"name", .text = {"name", NULL}},
	{.name = NULL},
};

static const char *print_last(const cJSON *row, char *buf, size_t len)
{
	return span_print(row, "last_ms", buf, len);
}

static const char *print_expires(const cJSON *row, char *buf, size_t len)
{
	return span_print(row, "expires_ms", buf, len);
}

/* "pass[0] banks", "client_certificate" */
static const char *print_reason(const cJSON *row, char *buf, size_t len)
{
	char comment[400];

	if (!cJSON_IsNumber(json_member(row, "rule")))
		return text_safe(json_text(row, "reason"), buf, len);
	snprintf(buf, len, "pass[%.0f] %s", json_number(row, "rule"),
		 text_safe(json_text(row, "comment"), comment, sizeof(comment)));
	return buf;
}

static const struct table_column table[] = {
	{"COUNT", 6, 0, false, TABLE_SHORT, .number = {NULL, "count"}},
	{"LAST AGO", 12, 50, false, TABLE_OWN, .own = print_last},
	{"EXPIRES IN", 12, 65, false, TABLE_OWN, .own = print_expires},
	{"REASON", 19, 0, true, TABLE_OWN, .own = print_reason},
	{"CLIENT", 24, 110, true, TABLE_TEXT, .text = {"client", NULL}},
	{"NAME", 0, 0, true, TABLE_TEXT, .text = {"name", NULL}},
	{.title = NULL},
};

static void print_head(char *line, size_t len, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const cJSON *reason;
	char number[FORMAT_NUMBER], name[60];
	const char *before = "Passed through: ";
	size_t used = 0;

	cJSON_ArrayForEach(reason, json_member(data, "reasons"))
	{
		if (used < len)
			used += (size_t)snprintf(
				line + used, len - used, "%s%s %s", before,
				format_count(cJSON_GetNumberValue(reason), number, sizeof(number)),
				text_safe(reason->string, name, sizeof(name)));
		before = ", ";
	}
	if (!used)
		used = (size_t)snprintf(line, len, "Nothing was passed through");
	if (used < len)
		snprintf(line + used, len - used, "; %zu row%s by %s", rows->len,
			 rows->len == 1 ? "" : "s", view->sort->name);
}

void print_passes(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
{
	static const struct table_page page = {table, print_head};

	table_print(out, &page, data, view, rows);
}
