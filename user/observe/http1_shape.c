// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http1_shape.h"

#include <stdint.h>
#include <string.h>

#include "observe/byte_words.h"

#define VERSION_LEN 8  /* "HTTP/1.1" */
#define STATUS_LEN  12 /* "HTTP/1.1 200" */
#define DIGITS_MAX  18 /* of a length: far from what overflows */

/* What is not read yet. */
struct rest {
	const char *at, *end;
};

/* A line without its CRLF. */
static bool take_line(struct rest *rest, struct http1_text *line)
{
	const char *end = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));

	if (!end || end == rest->at || end[-1] != '\r')
		return false;
	*line = (struct http1_text){rest->at, (size_t)(end - 1 - rest->at)};
	rest->at = end + 1;
	return true;
}

static bool read_version(struct http1_head *out, const char *at)
{
	if (memcmp(at, "HTTP/1.", VERSION_LEN - 1) != 0)
		return false;
	out->version = at[VERSION_LEN - 1] == '1' ? OBSERVE_HTTP_1_1 : OBSERVE_HTTP_1_0;
	return at[VERSION_LEN - 1] == '0' || at[VERSION_LEN - 1] == '1';
}

static size_t method_len(const char *at)
{
	static const struct {
		char name[8];
		size_t len;
	} methods[] = {{"GET ", 3},  {"POST ", 4},   {"PUT ", 3},
		       {"HEAD ", 4}, {"DELETE ", 6}, {"PATCH ", 5}};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (memcmp(at, methods[i].name, methods[i].len + 1) == 0)
			return methods[i].len;
	return 0;
}

/* Whatever is printable may follow a first slash, as far as http_parser is concerned. */
static bool read_request_line(struct http1_head *out, const struct http1_text *line)
{
	const char *end = line->at + line->len, *target, *target_end;
	size_t method;

	if (line->len < sizeof("PUT / HTTP/1.1") - 1)
		return false;
	method = method_len(line->at);
	target = line->at + method + 1;
	target_end = end - VERSION_LEN - 1;
	if (!method || target >= target_end || *target != '/' || *target_end != ' ' ||
	    !read_version(out, target_end + 1) ||
	    !byte_words_are_inside(target, (size_t)(target_end - target), '!'))
		return false;
	out->method = (struct http1_text){line->at, method};
	out->target = (struct http1_text){target, (size_t)(target_end - target)};
	return true;
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Samplers leave the phrase out. */
static bool read_status_line(struct http1_head *out, const struct http1_text *line)
{
	const char *at = line->at;

	if (line->len < STATUS_LEN || line->len > STATUS_LEN + 1 || !read_version(out, at) ||
	    at[8] != ' ' || at[9] < '1' || at[9] > '9' || !is_digit(at[10]) || !is_digit(at[11]) ||
	    (line->len > STATUS_LEN && at[12] != ' '))
		return false;
	out->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
	return true;
}

/* Bits of the fields that were there. */
enum field { HOST = 1, TYPE = 2, LENGTH = 4, CODING = 8 };

static bool name_is(const struct http1_text *line, const char *name, size_t len)
{
	uint64_t differs = 0;

	if (line->len < len)
		return false;
	for (size_t i = 0; i < len; i += 8) {
		size_t at = len - i < 8 ? len - 8 : i;

		differs |= byte_words_lower(byte_words_load(line->at + at)) ^
			   byte_words_load(name + at);
	}
	return !differs;
}

/* Which one is it? *len: of its name with the colon. */
static unsigned int find_field(const struct http1_text *line, size_t *len)
{
	static const char type[] = "content-type:", length[] = "content-length:",
			  coding[] = "transfer-encoding:";

	if (line->len >= 5 && (line->at[0] | 0x20) == 'h' && (line->at[1] | 0x20) == 'o' &&
	    (line->at[2] | 0x20) == 's' && (line->at[3] | 0x20) == 't' && line->at[4] == ':') {
		*len = 5;
		return HOST;
	}
	*len = sizeof(type) - 1;
	if (name_is(line, type, *len))
		return TYPE;
	*len = sizeof(length) - 1;
	if (name_is(line, length, *len))
		return LENGTH;
	*len = sizeof(coding) - 1;
	return name_is(line, coding, *len) ? CODING : 0;
}

static bool is_length(const struct http1_text *value)
{
	for (size_t i = 0; i < value->len; i++)
		if (!is_digit(value->at[i]))
			return false;
	return value->len <= DIGITS_MAX;
}

static bool read_field(struct http1_head *out, const struct http1_text *line, unsigned int *seen)
{
	struct http1_text value = *line;
	size_t name;
	unsigned int field = find_field(line, &name);

	if (!field || *seen & field)
		return false;
	*seen |= field;
	value.at += name;
	value.len -= name;
	if (value.len && *value.at == ' ') {
		value.at++;
		value.len--;
	}
	/* No value, and one that begins with more blanks, is http_parser's. */
	if (!value.len || *value.at == ' ')
		return false;
	switch (field) {
	case HOST: out->host = value; break;
	case TYPE: out->content_type = value; break;
	case LENGTH: return !(*seen & CODING) && is_length(&value);
	default: return !(*seen & LENGTH) && value.len == 7 && memcmp(value.at, "chunked", 7) == 0;
	}
	return byte_words_are_inside(value.at, value.len, ' ');
}

bool http1_shape_read(struct http1_head *out, bool request, const char *text, size_t len)
{
	struct rest rest = {text, text + len};
	struct http1_text line;
	unsigned int seen = 0;

	memset(out, 0, sizeof(*out));
	if (!take_line(&rest, &line) ||
	    !(request ? read_request_line(out, &line) : read_status_line(out, &line)))
		return false;
	while (take_line(&rest, &line)) {
		if (!line.len)
			return rest.at == rest.end;
		if (!read_field(out, &line, &seen))
			return false;
	}
	return false;
}
