// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/client_hello.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tls/client_hello_scan.h"

#define VERSION_MAJOR        3
#define RANDOM_LEN           32
#define SESSION_ID_MAX       32
#define HOST_NAME_MAX_LEN    253 /* RFC 1035 2.3.4, as text and without the root's dot */
#define HOST_LABEL_MAX_LEN   63

enum {
	EXT_SERVER_NAME = 0,
	EXT_STATUS_REQUEST = 5,
	EXT_GROUPS = 10,
	EXT_SIGNATURES = 13,
	EXT_ALPN = 16,
	EXT_PRE_SHARED_KEY = 41,
	EXT_EARLY_DATA = 42,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_POST_HANDSHAKE_AUTH = 49,
	EXT_CERT_SIGNATURES = 50,
	EXT_ECH = 0xfe0d,
};

/*
 * A vector of the hello. Its bytes may lie in several records, so it is read through here and
 * never by pointer. A value: a copy reads on from the same place. Whoever makes one has made sure
 * that all records of the hello are there.
 */
struct reader {
	const uint8_t *pos;
	size_t in_record; /* bytes of the current record from pos on */
	size_t left;      /* bytes of this vector */
};

static size_t read_be16(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

/* Take n bytes of the vector into dst (NULL: skip them). False when it has fewer. */
static bool reader_take(struct reader *reader, uint8_t *dst, size_t n)
{
	if (n > reader->left)
		return false;
	reader->left -= n;
	while (n > 0) {
		size_t run;

		if (reader->in_record == 0) {
			reader->in_record = read_be16(reader->pos + 3);
			reader->pos += RECORD_HEADER_LEN;
		}
		run = n < reader->in_record ? n : reader->in_record;
		if (dst) {
			memcpy(dst, reader->pos, run);
			dst += run;
		}
		reader->pos += run;
		reader->in_record -= run;
		n -= run;
	}
	return true;
}

static bool reader_u8(struct reader *reader, uint8_t *value)
{
	return reader_take(reader, value, 1);
}

static bool reader_u16(struct reader *reader, uint16_t *value)
{
	uint8_t bytes[2];

	if (!reader_take(reader, bytes, sizeof(bytes)))
		return false;
	*value = (uint16_t)read_be16(bytes);
	return true;
}

/* Take a vector with `prefix` (1 or 2) bytes of length before it and min..max bytes inside. */
static bool reader_vector(struct reader *reader, size_t prefix, size_t min, size_t max,
			  struct reader *out)
{
	uint8_t bytes[2] = {0, 0};
	size_t len;

	if (!reader_take(reader, bytes + 2 - prefix, prefix))
		return false;
	len = read_be16(bytes);
	if (len < min || len > max || len > reader->left)
		return false;
	*out = *reader;
	out->left = len;
	return reader_take(reader, NULL, len);
}

/* RFC 8701 2: 0x0A0A, 0x1A1A ... 0xFAFA. */
static bool is_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746), TLS_FALLBACK_SCSV (RFC 7507): signals. */
static bool is_signal(uint16_t value)
{
	return value == 0x00ff || value == 0x5600;
}

static int read_codes(struct reader *list, uint16_t *codes, size_t max, size_t *len)
{
	uint16_t code;

	if (list->left % 2)
		return -EBADMSG;
	while (reader_u16(list, &code)) {
		if (is_grease(code) || is_signal(code))
			continue;
		if (*len == max)
			return -EMSGSIZE;
		codes[(*len)++] = code;
	}
	return 0;
}

/* An extension that is a list of codes (RFC 8446 4.2.3, 4.2.7). */
static int read_code_list(struct reader *ext, struct client_hello_codes *out)
{
	struct reader list;

	if (!reader_vector(ext, 2, 2, UINT16_MAX - 1, &list) || ext->left > 0)
		return -EBADMSG;
	out->there = true;
	return read_codes(&list, out->at, CLIENT_HELLO_MAX_CODES, &out->len);
}

/* Letters, digits, hyphens and (seen in the field, e.g. in container names) underscores. */
static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_host_name(const char *name)
{
	size_t label = 0;
	size_t i;

	for (i = 0; name[i]; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!is_host_char(name[i]) || ++label > HOST_LABEL_MAX_LEN) {
			return false;
		}
	}
	return label > 0 && i <= HOST_NAME_MAX_LEN;
}

static bool is_ip_address(const char *name)
{
	uint8_t address[16];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Lower case, without the trailing dot. ASCII whatever the locale: tolower() would not do. */
static void normalise_host_name(char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] - 'A' + 'a');
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
}

static int read_server_name(struct reader *ext, struct client_hello *out)
{
	struct reader list, name;
	char text[sizeof(out->sni)] = "";
	size_t len;
	uint8_t type;

	if (!reader_vector(ext, 2, 1, UINT16_MAX, &list) || ext->left > 0)
		return -EBADMSG;
	/* host_name is the only type there is, and a type may not come twice. */
	if (!reader_u8(&list, &type) || type != 0 ||
	    !reader_vector(&list, 2, 1, sizeof(text) - 1, &name) || list.left > 0)
		return -EBADMSG;
	len = name.left;
	reader_take(&name, (uint8_t *)text, len);
	if (memchr(text, '\0', len))
		return -EBADMSG;
	if (is_ip_address(text))
		return 0;
	normalise_host_name(text, len);
	if (!is_host_name(text))
		return -EBADMSG;
	memcpy(out->sni, text, sizeof(text));
	out->has_sni = true;
	return 0;
}

static int read_alpn(struct reader *ext, struct client_hello *out)
{
	struct reader list, copy, name;

	if (!reader_vector(ext, 2, 2, UINT16_MAX, &list) || ext->left > 0)
		return -EBADMSG;
	copy = list;
	while (list.left > 0)
		if (!reader_vector(&list, 1, 1, UINT8_MAX, &name))
			return -EBADMSG;
	if (copy.left > sizeof(out->alpn))
		return -EMSGSIZE;
	out->alpn_len = copy.left;
	reader_take(&copy, out->alpn, copy.left);
	return 0;
}

/* Where this extension is, legacy_version says nothing (RFC 8446 4.2.1). */
static int read_supported_versions(struct reader *ext, struct client_hello *out)
{
	struct reader list;
	uint16_t version;

	if (!reader_vector(ext, 1, 2, 254, &list) || ext->left > 0 || list.left % 2)
		return -EBADMSG;
	out->offers_tls12 = false;
	while (reader_u16(&list, &version)) {
		out->offers_tls12 |= version == 0x0303;
		out->offers_tls13 |= version == 0x0304;
	}
	return 0;
}

/* CertificateStatusType ocsp; of other types nobody knows anything. */
static int read_status_request(struct reader *ext, struct client_hello *out)
{
	uint8_t type;

	if (!reader_u8(ext, &type))
		return -EBADMSG;
	out->status_request = type == 1;
	return 0;
}

static int read_extension(uint16_t type, struct reader *ext, struct client_hello *out)
{
	switch (type) {
	case EXT_SERVER_NAME: return read_server_name(ext, out);
	case EXT_STATUS_REQUEST: return read_status_request(ext, out);
	case EXT_GROUPS: return read_code_list(ext, &out->groups);
	case EXT_SIGNATURES: return read_code_list(ext, &out->signatures);
	case EXT_CERT_SIGNATURES: return read_code_list(ext, &out->cert_signatures);
	case EXT_ALPN: return read_alpn(ext, out);
	case EXT_SUPPORTED_VERSIONS: return read_supported_versions(ext, out);
	case EXT_EARLY_DATA: out->early_data = true; return ext->left == 0 ? 0 : -EBADMSG;
	case EXT_POST_HANDSHAKE_AUTH:
		out->post_handshake_auth = true;
		return ext->left == 0 ? 0 : -EBADMSG;
	/* What it holds is between the client and whoever has the key. */
	case EXT_ECH: out->ech = true; return 0;
	default: return 0;
	}
}

static int read_extensions(struct reader *list, struct client_hello *out)
{
	uint8_t seen[(UINT16_MAX + 1) / 8] = {0};
	struct reader ext;
	uint16_t type;
	int err;

	while (list->left > 0) {
		if (!reader_u16(list, &type) || !reader_vector(list, 2, 0, UINT16_MAX, &ext))
			return -EBADMSG;
		if (seen[type / 8] & (1 << type % 8))
			return -EBADMSG;
		seen[type / 8] |= (uint8_t)(1 << type % 8);
		/* RFC 8446 4.2.11: nothing comes after the pre-shared key. */
		if (type == EXT_PRE_SHARED_KEY && list->left > 0)
			return -EBADMSG;
		err = read_extension(type, &ext, out);
		if (err)
			return err;
	}
	return 0;
}

static int read_body(struct reader *body, struct client_hello *out)
{
	struct reader session_id, ciphers, compression, extensions;
	uint16_t legacy_version;
	int err;

	if (!reader_u16(body, &legacy_version) || !reader_take(body, NULL, RANDOM_LEN) ||
	    !reader_vector(body, 1, 0, SESSION_ID_MAX, &session_id) ||
	    !reader_vector(body, 2, 2, UINT16_MAX, &ciphers) ||
	    !reader_vector(body, 1, 1, UINT8_MAX, &compression))
		return -EBADMSG;
	/* 0x0304 here does not mean TLS 1.3: only the extension does (RFC 8446 4.1.2). */
	out->offers_tls12 = legacy_version >= 0x0303 && legacy_version >> 8 == VERSION_MAJOR;
	err = read_codes(&ciphers, out->ciphers, CLIENT_HELLO_MAX_CIPHERS, &out->ciphers_len);
	if (err || body->left == 0)
		return err;
	if (!reader_vector(body, 2, 0, UINT16_MAX, &extensions) || body->left > 0)
		return -EBADMSG;
	return read_extensions(&extensions, out);
}

int client_hello_parse(const uint8_t *buf, size_t len, struct client_hello *out, size_t *need)
{
	size_t message_len, wire_len;
	struct reader message;
	int err = client_hello_scan(buf, len, &message_len, &wire_len, need);

	if (err <= 0)
		return err;
	memset(out, 0, sizeof(*out));
	out->wire_len = wire_len;
	message = (struct reader){.pos = buf, .left = message_len};
	reader_take(&message, NULL, HANDSHAKE_HEADER_LEN);
	err = read_body(&message, out);
	return err ? err : 1;
}
