// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http1_shape.h"

#include <stdint.h>
#include <string.h>

#include "observe/byte_words.h"

#define LINE_LEAST  14 /* "HTTP/1.1 200" with its CRLF; no request line is shorter than 16 */
#define VERSION_LEN 8  /* "HTTP/1.1" */
#define DIGITS_MAX  18 /* of a length: far from what overflows */

/* What is not read yet. */
struct rest {
	const char *at, *end;
};

static size_t left(const struct rest *rest)
{
	return (size_t)(rest->end - rest->at);
}

/* Read a line's end, which has to be here. */
static inline bool take_line_end(struct rest *rest)
{
	if (left(rest) < 2 || rest->at[0] != '\r' || rest->at[1] != '\n')
		return false;
	rest->at += 2;
	return true;
}

static inline bool take_version(struct http1_head *out, struct rest *rest)
{
	const char *at = rest->at;

	uint64_t differs;

	if (left(rest) < VERSION_LEN)
		return false;
	rest->at += VERSION_LEN;
	/* The last digit is the highest byte. */
	differs = byte_words_load(at) ^ byte_words_load("HTTP/1.0");
	out->version = differs ? OBSERVE_HTTP_1_1 : OBSERVE_HTTP_1_0;
	return !differs || differs == 1ULL << 56;
}

static size_t method_len(const char *at)
{
	static const struct {
		char name[8];
		size_t len;
	} methods[] = {{"GET ", 3},  {"POST ", 4},   {"PUT ", 3},
		       {"HEAD ", 4}, {"DELETE ", 6}, {"PATCH ", 5}};
	uint64_t word = byte_words_load(at);

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		/* The method and its space are the lowest bytes of the word. */
		unsigned int others = 8 * (7 - (unsigned int)methods[i].len);

		if ((word ^ byte_words_load(methods[i].name)) << others == 0)
			return methods[i].len;
	}
	return 0;
}

/* Whatever is printable may follow a first slash, as far as http_parser is concerned. */
static bool take_request_line(struct http1_head *out, struct rest *rest)
{
	const char *target;
	size_t method = method_len(rest->at);

	if (!method)
		return false;
	out->method = (struct http1_text){rest->at, method};
	target = rest->at + method + 1;
	rest->at = byte_words_find_outside(target, rest->end, '!');
	out->target = (struct http1_text){target, (size_t)(rest->at - target)};
	if (!out->target.len || *target != '/' || !left(rest) || *rest->at++ != ' ')
		return false;
	return take_version(out, rest) && take_line_end(rest);
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Samplers leave the phrase out. */
static bool take_status_line(struct http1_head *out, struct rest *rest)
{
	const char *at = rest->at + VERSION_LEN;

	if (!take_version(out, rest) || at[0] != ' ' || at[1] < '1' || at[1] > '9' ||
	    !is_digit(at[2]) || !is_digit(at[3]))
		return false;
	out->status = (at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0');
	rest->at = at[4] == ' ' ? at + 5 : at + 4;
	return take_line_end(rest);
}

/* Bits of the fields that were there. */
enum field { HOST = 1, TYPE = 2, LENGTH = 4, CODING = 8 };

/* The lower-case word at `at` is this one, which has eight characters. */
static bool is_word(const char *at, const char *word)
{
	return byte_words_lower(byte_words_load(at)) == byte_words_load(word);
}

/* Read a field's name and colon, and the space that mostly follows. */
static unsigned int take_name(struct rest *rest)
{
	const char *at = rest->at;
	unsigned int field = 0;
	size_t len = 0;

	if (left(rest) < 8)
		return 0;
	/* Its five bytes are the lowest of the word. */
	if ((byte_words_lower(byte_words_load(at)) ^ byte_words_load("host:   ")) << 24 == 0) {
		field = HOST;
		len = 5;
	} else if (left(rest) >= 18 && is_word(at, "content-")) {
		if (is_word(at + 5, "nt-type:")) {
			field = TYPE;
			len = 13;
		} else if (is_word(at + 7, "-length:")) {
			field = LENGTH;
			len = 15;
		}
	} else if (left(rest) >= 18 && is_word(at, "transfer") && is_word(at + 8, "-encodin") &&
		   is_word(at + 10, "ncoding:")) {
		field = CODING;
		len = 18;
	}
	if (!field)
		return 0;
	rest->at += len;
	if (left(rest) && *rest->at == ' ')
		rest->at++;
	return field;
}

static const char *skip_digits(const struct rest *rest)
{
	const char *at = rest->at;

	while (at < rest->end && at - rest->at < DIGITS_MAX && is_digit(*at))
		at++;
	return at;
}

static bool take_value(struct http1_head *out, struct rest *rest, unsigned int field)
{
	const char *begin = rest->at;
	struct http1_text *text = field == HOST ? &out->host : &out->content_type;

	switch (field) {
	case HOST:
	case TYPE:
		rest->at = byte_words_find_outside(begin, rest->end, ' ');
		*text = (struct http1_text){begin, (size_t)(rest->at - begin)};
		break;
	case LENGTH: rest->at = skip_digits(rest); break;
	default:
		if (left(rest) < 7 || memcmp(begin, "chunked", 7) != 0)
			return false;
		rest->at += 7;
	}
	/* No value, and one that begins with more blanks, is http_parser's. */
	return rest->at > begin && *begin != ' ' && take_line_end(rest);
}

bool http1_shape_read(struct http1_head *out, bool request, const char *text, size_t len)
{
	struct rest rest = {text, text + len};
	unsigned int field, seen = 0;

	*out = (struct http1_head){.status = 0};
	if (len < LINE_LEAST ||
	    !(request ? take_request_line(out, &rest) : take_status_line(out, &rest)))
		return false;
	while ((field = take_name(&rest))) {
		if (seen & field)
			return false;
		seen |= field;
		if (!take_value(out, &rest, field))
			return false;
	}
	return (seen & (LENGTH | CODING)) != (LENGTH | CODING) && take_line_end(&rest) &&
	       !left(&rest);
}
