// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http1_head.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <http_parser.h>

#include "observe/http1_shape.h"

struct parse {
	struct http1_head *head;
	struct http1_text *field; /* where the value of the field at hand goes; NULL: nowhere */
	bool complete;
};

static struct parse *get_parse(const http_parser *parser)
{
	return parser->data;
}

/* One event is of one message: a second one within the same bytes is an error. */
static int on_begin(http_parser *parser)
{
	return get_parse(parser)->complete;
}

/* Bytes that the parser was given at once it also tells of at once, but a line may come in two. */
static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct http1_text *target = &get_parse(parser)->head->target;

	if (!len)
		return 0;
	if (!target->len)
		target->at = at;
	target->len += len;
	return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct parse *parse = get_parse(parser);

	parse->field = NULL;
	if (len == 4 && strncasecmp(at, "host", len) == 0)
		parse->field = &parse->head->host;
	else if (len == 12 && strncasecmp(at, "content-type", len) == 0)
		parse->field = &parse->head->content_type;
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct http1_text *field = get_parse(parser)->field;

	/* The first of several is the one; a folded line's rest (RFC 9112 5.2) is left out. */
	if (field && !field->len)
		*field = (struct http1_text){at, len};
	return 0;
}

/* 1: whatever the fields say, no body will be fed. */
static int on_complete(http_parser *parser)
{
	get_parse(parser)->complete = true;
	return 1;
}

static bool is_known_method(const struct http1_text *method)
{
	for (unsigned int i = 0; i <= HTTP_SOURCE; i++) {
		const char *name = http_method_str((enum http_method)i);

		if (strlen(name) == method->len && memcmp(name, method->at, method->len) == 0)
			return true;
	}
	return false;
}

/* RFC 9110 5.6.2 */
static bool is_token(const struct http1_text *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text->len; i++) {
		char byte = text->at[i];

		if (!(byte >= '0' && byte <= '9') && !(byte >= 'A' && byte <= 'Z') &&
		    !(byte >= 'a' && byte <= 'z') && (!byte || !strchr(others, byte)))
			return false;
	}
	return text->len > 0;
}

static bool feed(http_parser *parser, const char *at, size_t len)
{
	static const http_parser_settings settings = {
		.on_message_begin = on_begin,
		.on_url = on_url,
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_complete,
	};

	return !len || (http_parser_execute(parser, &settings, at, len) == len &&
			HTTP_PARSER_ERRNO(parser) == HPE_OK);
}

/* The parser knows a list of methods; any token may be one (RFC 9110 9.1). */
static bool feed_method(http_parser *parser, struct http1_text *line)
{
	struct http1_text *method = &get_parse(parser)->head->method;
	const char *space = memchr(line->at, ' ', line->len);

	if (!space)
		return false;
	*method = (struct http1_text){line->at, (size_t)(space - line->at)};
	line->len -= method->len;
	line->at = space;
	if (is_known_method(method))
		return feed(parser, method->at, method->len);
	return is_token(method) && feed(parser, "GET", 3);
}

/* `line` is without its end. */
static bool feed_first_line(http_parser *parser, struct http1_text line, bool request, bool cut)
{
	static const char version[] = " HTTP/1.1";

	if (!request)
		return feed(parser, line.at, line.len) && feed(parser, "\r\n", 2);
	if (!feed_method(parser, &line))
		return false;
	if (cut) {
		/* A second space ends the target: then only the version is not there. */
		const char *space = memchr(line.at + 1, ' ', line.len - 1);

		get_parse(parser)->head->target_cut = !space;
		if (space)
			line.len = (size_t)(space - line.at);
	}
	return feed(parser, line.at, line.len) &&
	       (!cut || feed(parser, version, sizeof(version) - 1)) && feed(parser, "\r\n", 2);
}

/* Takes the first line, without its end, off the text. */
static bool split_line(struct http1_text *text, bool cut, struct http1_text *line)
{
	const char *end = memchr(text->at, '\n', text->len);

	if (!end && !cut)
		return false;
	*line = *text;
	*text = (struct http1_text){text->at + text->len, 0};
	if (end) {
		line->len = (size_t)(end - line->at);
		text->len = (size_t)(text->at - (end + 1));
		text->at = end + 1;
	}
	if (line->len && line->at[line->len - 1] == '\r')
		line->len--;
	return line->len > 0;
}

/* The fields, as far as their lines are whole. */
static bool feed_fields(http_parser *parser, const struct http1_text *text)
{
	const char *end = text->len ? memrchr(text->at, '\n', text->len) : NULL;

	if (end && !feed(parser, text->at, (size_t)(end + 1 - text->at)))
		return false;
	return get_parse(parser)->complete || feed(parser, "\r\n", 2);
}

int http1_head_judge(struct http1_head *out, bool request, const char *text, size_t len, bool cut)
{
	struct http1_text rest = {text, len}, line;
	struct parse parse = {.head = out};
	http_parser parser;

	memset(out, 0, sizeof(*out));
	http_parser_init(&parser, request ? HTTP_REQUEST : HTTP_RESPONSE);
	parser.data = &parse;
	parser.allow_chunked_length = 1; /* RFC 9112 6.1 lets a recipient have both */
	if (!split_line(&rest, cut, &line) || !feed_first_line(&parser, line, request, cut) ||
	    !feed_fields(&parser, &rest) || !parse.complete || parser.http_major != 1)
		return -EBADMSG;
	out->version = parser.http_minor ? OBSERVE_HTTP_1_1 : OBSERVE_HTTP_1_0;
	out->status = request ? 0 : (int)parser.status_code;
	return 0;
}

int http1_head_parse(struct http1_head *out, bool request, const char *text, size_t len, bool cut)
{
	if (!cut && http1_shape_read(out, request, text, len))
		return 0;
	return http1_head_judge(out, request, text, len, cut);
}
