// SPDX-License-Identifier: GPL-2.0-or-later
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format.h"
#include "json_scan.h"

const struct row_key *row_key_find(const struct row_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

double row_number(const cJSON *row, const struct row_number *number)
{
	const cJSON *object = number->object ? json_member(row, number->object) : row;

	return number->member ? json_number(object, number->member) : 0;
}

const char *row_text(const cJSON *row, const struct row_text *text)
{
	const char *found = json_text(row, text->member);

	return *found || !text->otherwise ? found : json_text(row, text->otherwise);
}

static double number_of(const cJSON *row, const struct row_key *key)
{
	if (key->of)
		return key->of(row);
	return row_number(row, &key->number) + row_number(row, &key->plus);
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct row *one = a, *two = b;
	const struct row_key *key = arg;
	const bool one_other = json_true(one->json, "other"),
		   two_other = json_true(two->json, "other");
	double n = 0;
	int rc = 0;

	if (one_other != two_other)
		return one_other ? 1 : -1;
	if (key->text.member)
		rc = strcasecmp(row_text(one->json, &key->text), row_text(two->json, &key->text));
	else
		n = number_of(two->json, key) - number_of(one->json, key);
	if (n > 0 || n < 0)
		return n > 0 ? 1 : -1;
	if (rc)
		return rc;
	return one->index < two->index ? -1 : 1;
}

int rows_sort(struct rows *rows, const cJSON *array, const struct row_key *key, unsigned int top)
{
	const cJSON *json;
	size_t n = 0;

	*rows = (struct rows){0};
	if (!cJSON_IsArray(array))
		return 0;
	rows->row = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(*rows->row));
	if (!rows->row)
		return -ENOMEM;
	cJSON_ArrayForEach(json, array)
	{
		rows->row[n] = (struct row){.json = json, .index = n};
		n++;
	}
	qsort_r(rows->row, n, sizeof(*rows->row), compare_rows, (void *)(uintptr_t)key);
	rows->all = n;
	rows->len = top && top < n ? top : n;
	return 0;
}

void rows_free(struct rows *rows)
{
	free(rows->row);
	*rows = (struct rows){0};
}

/* Where each member of the array at `p` begins and ends in the text, as many as there are rows. */
static const char **spans_of(const char *p, size_t all)
{
	const char **spans = calloc(2 * all + 1, sizeof(*spans));
	size_t i;

	if (!spans)
		return NULL;
	for (i = 0; i < all; i++) {
		p = json_skip_space(p + 1); /* behind the bracket or a comma */
		spans[2 * i] = p;
		p = json_skip_value(p);
		spans[2 * i + 1] = p;
		p = json_skip_space(p);
	}
	return spans;
}

char *rows_reorder(const struct rows *rows, const char *line, const char *name)
{
	const char *array = json_find(json_find(line, "data"), name);
	const char **spans = *array == '[' ? spans_of(array, rows->all) : NULL;
	char *text = NULL;
	size_t len, i;
	FILE *out = spans ? open_memstream(&text, &len) : NULL;

	if (out) {
		fwrite(line, 1, (size_t)(array + 1 - line), out);
		for (i = 0; i < rows->len; i++) {
			const char *const *span = &spans[2 * rows->row[i].index];

			fprintf(out, "%s", i ? "," : "");
			fwrite(span[0], 1, (size_t)(span[1] - span[0]), out);
		}
		fprintf(out, "]%s", json_skip_value(array));
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	free(spans);
	return text;
}
