// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/series_key.h"

#include <string.h>

#include "observe/byte_words.h"

void series_key_copy_text(char *to, size_t size, const char *from, size_t len, bool lower)
{
	size_t n = 0;

	if (len > size - 1)
		len = size - 1;
	/* Words of printable ASCII hold no NUL. */
	for (; n + 8 <= len && !byte_words_outside(byte_words_load(from + n), ' '); n += 8) {
		uint64_t word = byte_words_load(from + n);

		word = lower ? byte_words_lower(word) : word;
		memcpy(to + n, &word, sizeof(word));
	}
	while (n < len && from[n] != '\0') {
		char c = from[n];

		if (c < ' ' || c > '~')
			c = '?';
		if (lower && c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		to[n++] = c;
	}
	to[n] = '\0';
}

/* "example.com:443", "[::1]:443", "[::1]": without port, brackets, user info and a final dot. */
static void copy_host(char *to, size_t size, const char *host)
{
	size_t len = strlen(host);
	const char *at = memrchr(host, '@', len), *end;

	if (at) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	if (*host == '[') {
		end = memchr(++host, ']', --len);
	} else {
		end = memchr(host, ':', len);
	}
	if (end)
		len = (size_t)(end - host);
	if (len > 0 && host[len - 1] == '.')
		len--;
	series_key_copy_text(to, size, host, len, true);
}

static void fill_server_name(struct series_key *key, const struct observe_conn *conn,
			     const struct observe_request *request)
{
	char address[64];

	copy_host(key->server_name, sizeof(key->server_name), conn->server_name);
	if (!key->server_name[0])
		copy_host(key->server_name, sizeof(key->server_name), request->host);
	if (!key->server_name[0])
		copy_host(key->server_name, sizeof(key->server_name),
			  conn_address_print(&conn->endpoint, address, sizeof(address)));
}

/* RFC 9110 9.3, RFC 5789; WebDAV: RFC 4918 9, RFC 3253 3.6, RFC 4791 5.3.1, RFC 5323 2. */
static const char *known_method(const char *method)
{
	static const char *const methods[] = {
		"GET",   "HEAD",   "POST",     "PUT",        "DELETE", "CONNECT", "OPTIONS",
		"TRACE", "PATCH",  "PROPFIND", "PROPPATCH",  "MKCOL",  "COPY",    "MOVE",
		"LOCK",  "UNLOCK", "REPORT",   "MKCALENDAR", "SEARCH",
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i], method) == 0)
			return methods[i];
	return "_OTHER";
}

void series_key_fill(struct series_key *key, const struct observe_conn *conn,
		     const struct observe_request *request)
{
	*key = (struct series_key){
		.direction = conn->direction,
		.endpoint = conn->endpoint,
		.status = request->status,
		.grpc_status = request->grpc_status,
		.version = request->version,
		.tls_version = conn->tls_version,
		.tls_suite = conn->tls_suite,
	};
	fill_server_name(key, conn, request);
	strcpy(key->method, known_method(request->method));
	if (request->path_cut)
		uri_template_cut(request->path, key->uri);
	else
		uri_template(request->path, key->uri);
	series_key_copy_text(key->command, sizeof(key->command), conn->process.command,
			     sizeof(conn->process.command), false);
	series_key_copy_text(key->unit, sizeof(key->unit), conn->process.unit,
			     sizeof(conn->process.unit), false);
}

/* The numbers of a key, in the order in which they are packed. */
struct numbers {
	int32_t direction, status, grpc_status, version;
	uint16_t tls_version, tls_suite;
};

static uint8_t *pack_string(uint8_t *p, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	memcpy(p, text, len);
	p[len] = '\0';
	return p + len + 1;
}

size_t series_key_pack(const struct series_key *key, uint8_t packed[SERIES_KEY_PACKED_MAX])
{
	struct numbers numbers = {
		.direction = (int32_t)key->direction,
		.status = key->status,
		.grpc_status = key->grpc_status,
		.version = (int32_t)key->version,
		.tls_version = key->tls_version,
		.tls_suite = key->tls_suite,
	};
	uint8_t *p = packed;

	_Static_assert(sizeof(numbers) == 20, "no padding, and room for it");
	memcpy(p, &numbers, sizeof(numbers));
	p += sizeof(numbers);
	address_key_pack(&key->endpoint, p);
	p += ADDRESS_KEY_LEN;
	p = pack_string(p, key->server_name, sizeof(key->server_name));
	p = pack_string(p, key->method, sizeof(key->method));
	p = pack_string(p, key->uri, sizeof(key->uri));
	p = pack_string(p, key->command, sizeof(key->command));
	p = pack_string(p, key->unit, sizeof(key->unit));
	return (size_t)(p - packed);
}

static const uint8_t *unpack_string(const uint8_t *p, char *text)
{
	size_t size = strlen((const char *)p) + 1;

	memcpy(text, p, size);
	return p + size;
}

void series_key_unpack(const uint8_t *packed, struct series_key *key)
{
	const uint8_t *p = packed;
	struct numbers numbers;

	memset(key, 0, sizeof(*key));
	memcpy(&numbers, p, sizeof(numbers));
	p += sizeof(numbers);
	key->direction = (enum observe_direction)numbers.direction;
	key->status = numbers.status;
	key->grpc_status = numbers.grpc_status;
	key->version = (enum observe_http_version)numbers.version;
	key->tls_version = numbers.tls_version;
	key->tls_suite = numbers.tls_suite;
	address_key_unpack(p, &key->endpoint);
	p += ADDRESS_KEY_LEN;
	p = unpack_string(p, key->server_name);
	p = unpack_string(p, key->method);
	p = unpack_string(p, key->uri);
	p = unpack_string(p, key->command);
	unpack_string(p, key->unit);
}
