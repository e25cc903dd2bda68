// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/uri_template.h"

#include <stdbool.h>
#include <string.h>

#include "observe/uri_segment.h"

#define CUT       "{...}"
#define NAMES_MAX 16

/* Writes whole units (a "/", a segment, a parameter) as long as they fit, then CUT. */
struct writer {
	char *out;
	size_t len;
	size_t fits; /* a length, at the end of a unit, behind which there is room for CUT */
	bool cut;
};

static void put(struct writer *writer, const char *text, size_t len)
{
	if (writer->cut)
		return;
	if (len > URI_TEMPLATE_MAX - 1 - writer->len) {
		writer->cut = true;
		memcpy(writer->out + writer->fits, CUT, sizeof(CUT));
		writer->len = writer->fits + sizeof(CUT) - 1;
		return;
	}
	memcpy(writer->out + writer->len, text, len);
	writer->len += len;
	writer->out[writer->len] = '\0';
	if (writer->len <= URI_TEMPLATE_MAX - sizeof(CUT))
		writer->fits = writer->len;
}

static size_t span_before(const char *text, size_t len, char stop)
{
	size_t n = 0;

	while (n < len && text[n] != stop)
		n++;
	return n;
}

/* Parameters end at either. */
static size_t span_parameter(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] != '&' && text[n] != ';')
		n++;
	return n;
}

/* A parameter keeps its name. */
static size_t fold_name(const char *text, size_t len, char out[URI_SEGMENT_MAX])
{
	return uri_segment_fold(text, span_before(text, len, '='), out);
}

/* ";jsessionid=1A2B": matrix parameters (RFC 3986 3.3), in their order. */
static void put_matrix(struct writer *writer, const char *text, size_t len)
{
	char name[URI_SEGMENT_MAX + 1] = ";";

	while (len > 0) {
		size_t n = span_before(text, len, ';');
		size_t name_len = fold_name(text, n, name + 1);

		if (name_len > 0)
			put(writer, name, name_len + 1);
		n += n < len;
		text += n;
		len -= n;
	}
}

/* "date=2024-01-02" as a segment. Padding of base64 is no assignment. */
static void put_assignment(struct writer *writer, const char *text, size_t len)
{
	static const char value[] = "={token}";
	char name[URI_SEGMENT_MAX + sizeof(value)];
	size_t name_len = span_before(text, len, '=');
	size_t i = name_len;

	while (i < len && text[i] == '=')
		i++;
	if (i == len || name_len == 0) {
		put(writer, value + 1, sizeof(value) - 2);
		return;
	}
	name_len = uri_segment_fold(text, name_len, name);
	memcpy(name + name_len, value, sizeof(value));
	put(writer, name, name_len + sizeof(value) - 1);
}

static void put_segment(struct writer *writer, const char *text, size_t len)
{
	size_t base = span_before(text, len, ';');
	char folded[URI_SEGMENT_MAX];

	if (span_before(text, base, '=') < base && span_before(text, base, '@') == base)
		put_assignment(writer, text, base);
	else
		put(writer, folded, uri_segment_fold(text, base, folded));
	if (base < len)
		put_matrix(writer, text + base + 1, len - base - 1);
}

static void put_path(struct writer *writer, const char *path, size_t len)
{
	while (!writer->cut) {
		size_t n = span_before(path, len, '/');

		put_segment(writer, path, n);
		if (n == len)
			return;
		put(writer, "/", 1);
		path += n + 1;
		len -= n + 1;
	}
}

/* The least names in order, without duplicates. */
struct names {
	char name[NAMES_MAX][URI_SEGMENT_MAX];
	size_t len;
	bool more;
};

static void names_add(struct names *names, const char *name)
{
	size_t i = 0;
	int order = 1;

	while (i < names->len && (order = strcmp(names->name[i], name)) < 0)
		i++;
	if (i < names->len && order == 0)
		return;
	if (names->len == NAMES_MAX)
		names->more = true;
	else
		names->len++;
	if (i == names->len)
		return;
	memmove(names->name[i + 1], names->name[i], (names->len - 1 - i) * sizeof(names->name[0]));
	strcpy(names->name[i], name);
}

static void put_query(struct writer *writer, const char *query, size_t len)
{
	struct names names = {.len = 0};
	char name[URI_SEGMENT_MAX];

	while (len > 0) {
		size_t n = span_parameter(query, len);

		/* A plus is a space there: words that someone typed. */
		if (memchr(query, '+', span_before(query, n, '=')))
			names_add(&names, "{token}");
		else if (fold_name(query, n, name) > 0)
			names_add(&names, name);
		n += n < len;
		query += n;
		len -= n;
	}
	for (size_t i = 0; i < names.len; i++) {
		put(writer, i == 0 ? "?" : "&", 1);
		put(writer, names.name[i], strlen(names.name[i]));
	}
	if (names.more)
		put(writer, "&" CUT, sizeof(CUT));
}

static void put_all(struct writer *writer, const char *path, size_t len)
{
	size_t path_len;

	len = span_before(path, len, '#'); /* a fragment has no place in a request */
	path_len = span_before(path, len, '?');
	writer->out[0] = '\0';
	put_path(writer, path, path_len);
	if (path_len < len)
		put_query(writer, path + path_len + 1, len - path_len - 1);
}

size_t uri_template(const char *path, char out[URI_TEMPLATE_MAX])
{
	struct writer writer = {.out = out};

	put_all(&writer, path, strlen(path));
	return writer.len;
}

size_t uri_template_cut(const char *path, char out[URI_TEMPLATE_MAX])
{
	struct writer writer = {.out = out};
	size_t len = strlen(path);

	while (len > 0 && !strchr("/?&;", path[len - 1]))
		len--;
	put_all(&writer, path, len);
	put(&writer, CUT, strlen(CUT));
	return writer.len;
}
