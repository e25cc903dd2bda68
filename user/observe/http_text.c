// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/http_text.h"

#include <stdlib.h>
#include <string.h>

#include "observe/byte_words.h"
#include "observe/request.h"

static bool is_visible(unsigned char byte)
{
	return byte > 0x20 && byte < 0x7f;
}

static char to_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

void http_text_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static bool is_delimiter(char byte)
{
	return byte == '/' || byte == '?' || byte == '#';
}

/* What follows the scheme's colon in an absolute URI ("//authority/path"), or NULL. */
static const char *find_authority(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && text[i] != ':' && !is_delimiter(text[i]))
		i++;
	return i && len - i >= 3 && memcmp(text + i, "://", 3) == 0 ? text + i + 3 : NULL;
}

struct path_writer {
	char out[OBSERVE_PATH_MAX];
	size_t len;
	bool cut;
};

static void write_byte(struct path_writer *writer, unsigned char byte)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t size = is_visible(byte) ? 1 : 3;

	if (writer->cut || size >= sizeof(writer->out) - writer->len) {
		writer->cut = true;
		return;
	}
	if (size == 1) {
		writer->out[writer->len++] = (char)byte;
		return;
	}
	writer->out[writer->len++] = '%';
	writer->out[writer->len++] = hex[byte >> 4];
	writer->out[writer->len++] = hex[byte & 15];
}

static void write_path(struct path_writer *writer, const char *text, size_t len)
{
	bool query = false, value = false;

	for (size_t i = 0; i < len && text[i] != '#'; i++) {
		if (query && text[i] == '&')
			value = false;
		else if (query && text[i] == '=')
			value = true;
		if (!value)
			write_byte(writer, (unsigned char)text[i]);
		if (text[i] == '?')
			query = true;
	}
}

char *http_text_path(const char *text, size_t len, bool *cut)
{
	struct path_writer writer;
	const char *end = text + len;
	char *path;

	writer.len = 0;
	writer.cut = false;
	if (len && text[0] != '/' && !(len == 1 && text[0] == '*')) {
		/* Scheme and authority go; what is no URI at all may hold anything. */
		text = find_authority(text, len);
		while (text && text < end && !is_delimiter(*text))
			text++;
		if (text && (text == end || *text != '/'))
			write_byte(&writer, '/'); /* RFC 9110 4.2.3 */
		len = text ? (size_t)(end - text) : 0;
	}
	write_path(&writer, text, len);
	*cut = *cut || writer.cut;
	path = writer.len ? strndup(writer.out, writer.len) : NULL;
	explicit_bzero(writer.out, writer.len);
	return path;
}

/* Copy a plain text whole words at a time; false: it is none, or there is no room. */
static inline bool copy_words(char *out, size_t size, const char *text, size_t len, bool path)
{
	uint64_t bad = 0;

	if (len / 8 * 8 + 8 > size)
		return false;
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = len - i >= 8 ? byte_words_load(text + i)
					     : byte_words_load_end(text + i, len - i);

		/* A query without values has nothing that is left out: "/a?b&c". */
		bad |= byte_words_outside(word, '!') | byte_words_with(word, path ? '=' : '@');
		if (path)
			bad |= byte_words_with(word, '#');
		else
			word = byte_words_lower(word);
		memcpy(out + i, &word, sizeof(word));
	}
	out[len] = '\0';
	return !bad;
}

size_t http_text_short_path(char *out, size_t size, const char *text, size_t len)
{
	return len && *text == '/' && copy_words(out, size, text, len, true) ? len : 0;
}

size_t http_text_short_name(char *out, size_t size, const char *text, size_t len)
{
	return copy_words(out, size, text, len, false) ? len : 0;
}

void http_text_mask_path(char *text, size_t len)
{
	bool query = false, value = false, fragment = false;
	const char *authority = find_authority(text, len);
	size_t i = 0;

	if (!authority && len > 1 && text[0] != '/')
		memset(text, '_', len);
	if (authority) {
		for (i = (size_t)(authority - text); i < len && !is_delimiter(text[i]); i++)
			text[i] = '_';
	}
	for (; i < len; i++) {
		if (text[i] == '#')
			fragment = true;
		else if (query && text[i] == '&')
			value = false;
		else if (query && text[i] == '=')
			value = true;
		if ((fragment && text[i] != '#') || (value && text[i] != '='))
			text[i] = '_';
		if (text[i] == '?')
			query = true;
	}
}

void http_text_mask_host(char *text, size_t len)
{
	const char *at = memrchr(text, '@', len);

	if (at)
		memset(text, '_', (size_t)(at - text));
}

static char *copy_lower(const char *text, size_t len, size_t max)
{
	char *out;

	if (len > max - 1)
		len = max - 1;
	out = len ? malloc(len + 1) : NULL;
	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++)
		out[i] = is_visible((unsigned char)text[i]) ? to_lower(text[i]) : '_';
	out[len] = '\0';
	return out;
}

char *http_text_host(const char *text, size_t len)
{
	const char *at = memrchr(text, '@', len);

	if (at) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	return copy_lower(text, len, OBSERVE_HOST_MAX);
}

char *http_text_type(const char *text, size_t len)
{
	const char *end = memchr(text, ';', len);

	if (end)
		len = (size_t)(end - text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	while (len && (*text == ' ' || *text == '\t')) {
		text++;
		len--;
	}
	return copy_lower(text, len, OBSERVE_TYPE_MAX);
}

void http_text_method(char *out, const char *text, size_t len)
{
	if (len > OBSERVE_METHOD_MAX - 1)
		len = OBSERVE_METHOD_MAX - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = is_visible((unsigned char)text[i]) ? text[i] : '_';
	out[len] = '\0';
}
