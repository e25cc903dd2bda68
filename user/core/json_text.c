// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/json_text.h"

#include <errno.h>
#include <string.h>

#include <ksplit/text.h>

size_t json_text_line(const char *text, size_t offset)
{
	size_t line = 1, i;

	for (i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

/* From an opening quote to behind the closing one, or to the end of the text. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

/* Where the comment at p ends: a // comment before its newline; NULL when it has no end. */
static char *comment_end(char *p)
{
	char *end;

	if (p[1] == '/')
		return p + strcspn(p, "\n");
	end = strstr(p + 2, "*/");
	return end ? end + 2 : NULL;
}

int json_text_blank_comments(char *text, size_t len, size_t *line)
{
	char *p = text, *end;

	while (p < text + len) {
		if (*p == '"') {
			p = text + (skip_string(p) - text);
			continue;
		}
		if (*p != '/' || (p[1] != '/' && p[1] != '*')) {
			p++;
			continue;
		}
		end = comment_end(p);
		if (!end) {
			*line = json_text_line(text, (size_t)(p - text));
			return -EINVAL;
		}
		for (; p < end; p++)
			*p = *p == '\n' ? '\n' : ' ';
	}
	return 0;
}

static const char *skip_digits(const char *p)
{
	return p + strspn(p, "0123456789");
}

/* RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. The number's end, or NULL when it is not one.
 */
static const char *number_end(const char *p)
{
	const char *start;

	p += *p == '-';
	start = p;
	p = skip_digits(p);
	if (p == start || (*start == '0' && p - start > 1))
		return NULL;
	if (*p == '.') {
		start = ++p;
		p = skip_digits(p);
		if (p == start)
			return NULL;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		start = p;
		p = skip_digits(p);
		if (p == start)
			return NULL;
	}
	return p;
}

/* What a parser of strict JSON would have against the string from p to end; NULL: nothing. */
static const char *string_problem(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\t' || *p == '\r' || *p == '\n')
			return "line break or tab inside a string";
		if (*p != '\\')
			continue;
		if (strncmp(p, "\\u0000", 6) == 0)
			return "\\u0000 inside a string";
		p++; /* the character that is escaped */
	}
	return NULL;
}

static const char *check_characters(const char *text, size_t len, size_t *offset)
{
	uint32_t code;
	size_t n;

	for (*offset = 0; *offset < len; *offset += n) {
		n = ksplit_utf8_decode(text + *offset, len - *offset, &code);
		if (n == 0)
			return "not valid UTF-8";
		if ((code < 0x20 && !strchr("\t\r\n", (int)code)) || code == 0 || code == 0x7f)
			return "control character";
	}
	return NULL;
}

static const char *check_tokens(const char *text, size_t len, size_t *offset)
{
	const char *p = text, *end, *what;

	while (p < text + len) {
		*offset = (size_t)(p - text);
		end = p + 1;
		if (*p == '"') {
			end = skip_string(p);
			what = string_problem(p, end);
			if (what)
				return what;
		} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
			end = number_end(p);
			if (!end || (*end && !strchr(" \t\r\n,]}", *end)))
				return "not a number as JSON writes it";
		}
		p = end;
	}
	return NULL;
}

int json_text_check(const char *text, size_t len, size_t *line, const char **what)
{
	size_t offset = 0;

	*what = check_characters(text, len, &offset);
	if (!*what)
		*what = check_tokens(text, len, &offset);
	if (!*what)
		return 0;
	*line = json_text_line(text, offset);
	return -EINVAL;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Behind the value at p: a string, a bracketed value with all inside it, or a plain word. */
static const char *skip_value(const char *p)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth -= depth > 0;
			p++;
		} else if (depth) {
			p += strcspn(p, "\"{}[]");
		} else {
			p += strcspn(p, " \t\r\n,]}");
		}
	} while (depth && *p);
	return p;
}

/*
 * Into the object or array at p: its member or element number `index` starts at *mark and has its
 * value at the returned place. NULL when there is none.
 */
static const char *enter(const char *p, size_t index, const char **mark)
{
	const int object = *p == '{';
	const char *start;
	size_t i;

	if (!object && *p != '[')
		return NULL;
	for (i = 0;; i++) {
		start = p = skip_space(p + 1);
		if (object && *p == '"') {
			p = skip_space(skip_string(p));
			p = *p == ':' ? skip_space(p + 1) : p;
		}
		if (*p == '\0' || *p == ']' || *p == '}')
			return NULL;
		if (i == index) {
			*mark = start;
			return p;
		}
		p = skip_space(skip_value(p));
		if (*p != ',')
			return NULL;
	}
}

size_t json_text_line_of(const char *text, const size_t *path, size_t depth)
{
	const char *p = skip_space(text), *mark = p;
	size_t i;

	for (i = 0; i < depth && p; i++)
		p = enter(p, path[i], &mark);
	return json_text_line(text, (size_t)(mark - text));
}
