// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <string.h>

#include <ksplit/text.h>

#include "json_scan.h"
#include "print.h"

/* A value on its way to the paper. */
struct json_printer {
	FILE *out;
	bool indent;
	int depth;
};

static const char *print_string(const struct json_printer *printer, const char *p)
{
	const char *end = json_skip_string(p);
	uint32_t code;
	size_t n;

	while (p < end) {
		n = ksplit_utf8_decode(p, (size_t)(end - p), &code);
		if (n && ksplit_text_printable(code))
			fwrite(p, 1, n, printer->out);
		else
			fprintf(printer->out, "\\u%04x", n ? (unsigned int)code : 0xfffd);
		p += n ? n : 1;
	}
	return end;
}

static void new_line(const struct json_printer *printer)
{
	if (printer->indent)
		fprintf(printer->out, "\n%*s", 2 * printer->depth, "");
}

/* An opening bracket; empty containers stay in one piece. */
static const char *print_open(struct json_printer *printer, const char *p)
{
	const char *next = json_skip_space(p + 1);

	fputc(*p, printer->out);
	if (*next == '}' || *next == ']') {
		fputc(*next, printer->out);
		return next + 1;
	}
	printer->depth++;
	new_line(printer);
	return next;
}

static const char *print_close(struct json_printer *printer, const char *p)
{
	printer->depth--;
	new_line(printer);
	fputc(*p, printer->out);
	return p + 1;
}

void print_json(FILE *out, const char *line, bool indent)
{
	struct json_printer printer = {.out = out, .indent = indent};
	const char *p = json_find(line, "data");

	do {
		p = json_skip_space(p);
		switch (*p) {
		case '\0': break;
		case '"': p = print_string(&printer, p); break;
		case '{':
		case '[': p = print_open(&printer, p); break;
		case '}':
		case ']': p = print_close(&printer, p); break;
		case ',':
			fputc(*p++, out);
			new_line(&printer);
			break;
		case ':':
			fputs(indent ? ": " : ":", out);
			p++;
			break;
		default: fputc(*p++, out);
		}
	} while (*p && printer.depth > 0);
	fputc('\n', out);
}
