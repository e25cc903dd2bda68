// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protocols of packets: LDAP (RFC 4511 4.14), PostgreSQL (its manual, "Message Flow", SSL Session
 * Encryption), MySQL (its manual, "Connection Phase", SSLRequest).
 */
#include <string.h>

#include "relay/starttls_inner.h"

/* --- LDAP --- */

enum {
	BER_SEQUENCE = 0x30,
	BER_INTEGER = 0x02,
	BER_ENUMERATED = 0x0a,
	LDAP_BIND_REQUEST = 0x60,
	LDAP_EXTENDED_REQUEST = 0x77,
	LDAP_EXTENDED_RESPONSE = 0x78,
	LDAP_REQUEST_NAME = 0x80,
};

static const char start_tls[] = "1.3.6.1.4.1.1466.20037";

struct ber {
	const uint8_t *data;
	size_t len;
};

/*
 * The header of an element (X.690 8.1; definite lengths of up to four bytes, RFC 4511 5.1): its
 * own length, 0: more bytes are needed, -1: it is none.
 */
static int ber_header(const uint8_t *data, size_t len, size_t *content)
{
	size_t bytes;

	if (len < 2)
		return 0;
	if (data[1] < 0x80) {
		*content = data[1];
		return 2;
	}
	bytes = data[1] & 0x7fU;
	if (bytes == 0 || bytes > 4)
		return -1;
	if (len < 2 + bytes)
		return 0;
	*content = 0;
	for (size_t i = 0; i < bytes; i++)
		*content = *content << 8 | data[2 + i];
	return (int)(2 + bytes);
}

/* Take the next element out of `from`; its tag, or -1. */
static int ber_next(struct ber *from, struct ber *out)
{
	size_t content = 0;
	int header = ber_header(from->data, from->len, &content);
	int tag;

	if (header <= 0 || content > from->len - (size_t)header)
		return -1;
	tag = from->data[0];
	*out = (struct ber){from->data + header, content};
	from->data += (size_t)header + content;
	from->len -= (size_t)header + content;
	return tag;
}

/* The message's ID and operation (RFC 4511 4.1.1); the operation's tag or -1. */
static int read_message(const struct starttls_unit *unit, uint32_t *id, struct ber *operation)
{
	struct ber all = {unit->bytes, unit->len}, message, number;

	if (unit->len > STARTTLS_UNIT || ber_next(&all, &message) != BER_SEQUENCE ||
	    ber_next(&message, &number) != BER_INTEGER || number.len < 1 || number.len > 4)
		return -1;
	*id = 0;
	for (size_t i = 0; i < number.len; i++)
		*id = *id << 8 | number.data[i];
	return ber_next(&message, operation);
}

/* Its operation stands behind two headers and a number of four bytes at most. */
static int operation_of_long(const struct starttls_unit *unit)
{
	size_t content, number;
	int at = ber_header(unit->bytes, STARTTLS_UNIT, &content);
	int more = at > 0 ? ber_header(unit->bytes + at, 16, &number) : -1;

	return more > 0 && number <= 4 ? unit->bytes[(size_t)at + (size_t)more + number] : -1;
}

/*
 * Note bytes up to the end of a message: how many. *whole: it is there. `left` is known from the
 * header on; a broken header gives 0.
 */
static size_t read_ber(struct starttls_unit *unit, const uint8_t *data, size_t len, bool *whole)
{
	size_t used = 0;

	*whole = false;
	while (used < len && !*whole) {
		size_t content = 0;
		int header;

		starttls_unit_add(unit, data[used++]);
		if (unit->left) {
			*whole = --unit->left == 0;
			continue;
		}
		if (unit->bytes[0] != BER_SEQUENCE)
			return 0;
		header = ber_header(unit->bytes, unit->len, &content);
		if (header < 0 || (header && (!content || content > INT32_MAX)))
			return 0;
		if (header)
			unit->left = (uint32_t)content;
	}
	return used;
}

static enum starttls_verdict ldap_request(struct starttls *dialogue)
{
	const struct starttls_unit *unit = &dialogue->client;
	struct ber operation, name;
	int tag = read_message(unit, &dialogue->id, &operation);

	if (unit->len > STARTTLS_UNIT)
		tag = operation_of_long(unit);
	if (tag == LDAP_BIND_REQUEST)
		return STARTTLS_OVER;
	if (tag != LDAP_EXTENDED_REQUEST || unit->len > STARTTLS_UNIT)
		return STARTTLS_GO_ON;
	if (ber_next(&operation, &name) != LDAP_REQUEST_NAME ||
	    name.len != sizeof(start_tls) - 1 || memcmp(name.data, start_tls, name.len))
		return STARTTLS_GO_ON;
	return starttls_ask(dialogue);
}

static enum starttls_verdict ldap_message(struct starttls *dialogue)
{
	enum starttls_verdict verdict = ldap_request(dialogue);

	dialogue->turn++;
	return verdict;
}

static enum starttls_verdict ldap_client(struct starttls *dialogue, const uint8_t *data, size_t len,
					 size_t *take)
{
	return starttls_client_units(dialogue, data, len, take, read_ber, ldap_message);
}

/* The answer to our question: 1 yes, 0 it is another's, -1 no. */
static int ldap_answer(const struct starttls *dialogue)
{
	struct ber operation, code;
	uint32_t id;
	int tag = read_message(&dialogue->server, &id, &operation);

	if (tag >= 0 && id != dialogue->id)
		return 0;
	if (tag != LDAP_EXTENDED_RESPONSE || ber_next(&operation, &code) != BER_ENUMERATED)
		return -1;
	return code.len == 1 && code.data[0] == 0 ? 1 : -1;
}

static enum starttls_verdict ldap_server(struct starttls *dialogue, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		bool whole;
		size_t used = read_ber(&dialogue->server, data + at, len - at, &whole);
		int said;

		if (!used && dialogue->phase == STARTTLS_ASKED)
			return STARTTLS_OVER;
		if (!used) {
			starttls_demote(dialogue);
			return STARTTLS_GO_ON;
		}
		at += used;
		if (!whole)
			break;
		said = dialogue->phase == STARTTLS_ASKED ? ldap_answer(dialogue) : 0;
		if (said > 0)
			return starttls_agree(dialogue, len - at);
		if (said < 0)
			dialogue->phase = STARTTLS_TALK;
		dialogue->server.len = dialogue->server.left = 0;
	}
	return STARTTLS_GO_ON;
}

const struct starttls_ops starttls_ldap = {.client = ldap_client, .server = ldap_server};

/* --- PostgreSQL --- */

#define POSTGRES_REQUEST 8
static const uint8_t ssl_request[POSTGRES_REQUEST] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
static const uint8_t gss_request[POSTGRES_REQUEST] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30};

static enum starttls_verdict postgresql_client(struct starttls *dialogue, const uint8_t *data,
					       size_t len, size_t *take)
{
	struct starttls_unit *unit = &dialogue->client;
	bool is_ssl;

	while (*take < len && unit->len < POSTGRES_REQUEST)
		starttls_unit_add(unit, data[(*take)++]);
	is_ssl = !memcmp(unit->bytes, ssl_request, unit->len);
	/* A StartupMessage, then: in plain, if it is PostgreSQL at all. */
	if (!is_ssl && memcmp(unit->bytes, gss_request, unit->len) != 0) {
		starttls_demote(dialogue);
		*take = len;
		return STARTTLS_GO_ON;
	}
	if (unit->len < POSTGRES_REQUEST)
		return STARTTLS_GO_ON;
	unit->len = 0;
	dialogue->encryption = !is_ssl;
	return starttls_ask(dialogue);
}

/* One byte: S or N; G and N for GSS encryption. More in one go may be anybody's (CVE-2021-23222). */
static enum starttls_verdict postgresql_server(struct starttls *dialogue, const uint8_t *data,
					       size_t len)
{
	if (dialogue->phase != STARTTLS_ASKED)
		return STARTTLS_OVER;
	if (data[0] == 'S' && !dialogue->encryption)
		return starttls_agree(dialogue, len - 1);
	dialogue->phase = STARTTLS_TALK;
	return data[0] == 'N' && len == 1 ? STARTTLS_GO_ON : STARTTLS_OVER;
}

const struct starttls_ops starttls_postgresql = {.client = postgresql_client,
						 .server = postgresql_server};

/* --- MySQL --- */

#define MYSQL_HEADER  4
#define MYSQL_REQUEST 32
#define MYSQL_SSL     0x08 /* CLIENT_SSL, 0x0800: of the second byte */

/* The client's first packet: cut short behind the flags, it announces TLS; whole, it is a login. */
static enum starttls_verdict mysql_client(struct starttls *dialogue, const uint8_t *data,
					  size_t len, size_t *take)
{
	static const uint8_t header[MYSQL_HEADER] = {MYSQL_REQUEST, 0, 0, 1};
	struct starttls_unit *unit = &dialogue->client;

	while (*take < len && unit->len < MYSQL_HEADER + MYSQL_REQUEST)
		starttls_unit_add(unit, data[(*take)++]);
	if (memcmp(unit->bytes, header, unit->len < MYSQL_HEADER ? unit->len : MYSQL_HEADER) != 0)
		return STARTTLS_OVER;
	if (unit->len < MYSQL_HEADER + MYSQL_REQUEST)
		return STARTTLS_GO_ON;
	if (!(unit->bytes[MYSQL_HEADER + 1] & MYSQL_SSL))
		return STARTTLS_OVER;
	/* Nobody answers: the hello may lie right behind. */
	return starttls_agree(dialogue, 0);
}

static enum starttls_verdict mysql_server(struct starttls *dialogue, const uint8_t *data,
					  size_t len)
{
	(void)dialogue;
	(void)data;
	(void)len;
	return STARTTLS_GO_ON;
}

const struct starttls_ops starttls_mysql = {.client = mysql_client, .server = mysql_server};
