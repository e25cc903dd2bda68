// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <string.h>

#include <ksplit/text.h>

#include "print.h"

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* From an opening quote to behind the closing one. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

/* The value of the outermost object's member "data"; the end of the text when there is none. */
static const char *find_data(const char *p)
{
	const char *name;
	int depth = 0;

	while (*p) {
		if (*p == '"') {
			name = p;
			p = skip_space(skip_string(p));
			if (depth == 1 && *p == ':' && strncmp(name, "\"data\"", 6) == 0)
				return skip_space(p + 1);
			continue;
		}
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		p++;
	}
	return p;
}

static const char *print_string(FILE *out, const char *p)
{
	const char *end = skip_string(p);
	uint32_t code;
	size_t n;

	while (p < end) {
		n = ksplit_utf8_decode(p, (size_t)(end - p), &code);
		if (n && ksplit_text_printable(code))
			fwrite(p, 1, n, out);
		else
			fprintf(out, "\\u%04x", n ? (unsigned int)code : 0xfffd);
		p += n ? n : 1;
	}
	return end;
}

static void new_line(FILE *out, int depth)
{
	fprintf(out, "\n%*s", 2 * depth, "");
}

/* An opening bracket; empty containers stay in one piece. */
static const char *print_open(FILE *out, const char *p, int *depth)
{
	const char *next = skip_space(p + 1);

	fputc(*p, out);
	if (*next == '}' || *next == ']') {
		fputc(*next, out);
		return next + 1;
	}
	new_line(out, ++*depth);
	return next;
}

void print_json(FILE *out, const char *line)
{
	const char *p = find_data(line);
	int depth = 0;

	do {
		p = skip_space(p);
		switch (*p) {
		case '\0': break;
		case '"': p = print_string(out, p); break;
		case '{':
		case '[': p = print_open(out, p, &depth); break;
		case '}':
		case ']':
			new_line(out, --depth);
			fputc(*p++, out);
			break;
		case ',':
			fputc(*p++, out);
			new_line(out, depth);
			break;
		case ':':
			fputs(": ", out);
			p++;
			break;
		default: fputc(*p++, out);
		}
	} while (*p && depth > 0);
	fputc('\n', out);
}
