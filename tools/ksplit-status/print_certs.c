// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "span.h"
#include "table.h"

/* What ends soonest first. */
static double expiry_of(const cJSON *row)
{
	return span_smallest(row, "expires_ms");
}

const struct row_key print_certs_keys[] = {
	{"expires", .of = expiry_of},
	{"name", .text = {"name", NULL}},
	{"names", .number = {NULL, "names"}},
	{"kind", .text = {"kind", NULL}},
	{"state", .text = {"state", NULL}},
	{.name = NULL},
};

static const char *print_expires(const cJSON *row, char *buf, size_t len)
{
	const cJSON *left = json_member(row, "expires_ms");

	return cJSON_IsNumber(left) && left->valuedouble <= 0
		       ? "over"
		       : span_print(row, "expires_ms", buf, len);
}

static const struct table_column table[] = {
	{"KIND", 8, 0, true, TABLE_TEXT, .text = {"kind", NULL}},
	{"STATE", 10, 0, true, TABLE_TEXT, .text = {"state", NULL}},
	{"EXPIRES IN", 12, 0, false, TABLE_OWN, .own = print_expires},
	{"KEY", 9, 0, true, TABLE_TEXT, .text = {"key", NULL}},
	{"NAMES", 6, 70, false, TABLE_SHORT, .number = {NULL, "names"}},
	{"SHA-256", 64, 150, true, TABLE_TEXT, .text = {"fingerprint_sha256", NULL}},
	{"NAME", 0, 0, true, TABLE_TEXT, .text = {"name", NULL}},
	{.title = NULL},
};

static size_t count_kind(const cJSON *data, const char *kind)
{
	const cJSON *row;
	size_t count = 0;

	cJSON_ArrayForEach(row, json_member(data, "certs"))
		count += strcmp(json_text(row, "kind"), kind) == 0;
	return count;
}

static void print_head(char *line, size_t len, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const size_t identities = count_kind(data, "identity"), leaves = count_kind(data, "leaf");

	(void)rows;
	snprintf(line, len, "%s, %zu of services, %zu forged; by %s",
		 count_kind(data, "ca") ? "A CA" : "No CA", identities, leaves, view->sort->name);
}

void print_certs(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
{
	static const struct table_page page = {table, print_head};

	table_print(out, &page, data, view, rows);
}
