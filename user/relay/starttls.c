// SPDX-License-Identifier: GPL-2.0-or-later
/* Which protocol is it? And who may speak now, whichever it is. */
#include "relay/starttls.h"

#include <string.h>

#include "relay/starttls_inner.h"

#define TLS_HANDSHAKE 22

static const struct starttls_ops *ops_of(const struct starttls *dialogue)
{
	switch (dialogue->protocol) {
	case CONN_UPGRADE_SMTP:
	case CONN_UPGRADE_FTP:
	case CONN_UPGRADE_IMAP:
	case CONN_UPGRADE_POP3:
	case CONN_UPGRADE_NNTP:
	case CONN_UPGRADE_SIEVE: return &starttls_lines;
	case CONN_UPGRADE_XMPP: return &starttls_xmpp;
	case CONN_UPGRADE_CONNECT: return &starttls_connect;
	case CONN_UPGRADE_LDAP: return &starttls_ldap;
	case CONN_UPGRADE_POSTGRESQL: return &starttls_postgresql;
	case CONN_UPGRADE_MYSQL: return &starttls_mysql;
	default: return NULL;
	}
}

enum starttls_verdict starttls_ask(struct starttls *dialogue)
{
	if (dialogue->turn || dialogue->server.len)
		return STARTTLS_PIPELINED;
	dialogue->phase = STARTTLS_ASKED;
	return STARTTLS_GO_ON;
}

enum starttls_verdict starttls_client_units(
	struct starttls *dialogue, const uint8_t *data, size_t len, size_t *take,
	size_t (*next)(struct starttls_unit *unit, const uint8_t *data, size_t len, bool *whole),
	enum starttls_verdict (*read)(struct starttls *dialogue))
{
	enum starttls_verdict verdict = STARTTLS_GO_ON;

	while (*take < len && verdict == STARTTLS_GO_ON && dialogue->phase == STARTTLS_TALK) {
		bool whole = false;
		size_t used = next(&dialogue->client, data + *take, len - *take, &whole);

		*take += used;
		if (!used)
			starttls_demote(dialogue);
		else if (whole)
			verdict = read(dialogue);
		if (whole)
			dialogue->client.len = dialogue->client.left = 0;
		if (dialogue->protocol == CONN_UPGRADE_OTHER)
			*take = len;
	}
	return verdict;
}

/* --- who is it? --- */

#define CONNECT	    "CONNECT "
#define CONNECT_LEN (sizeof(CONNECT) - 1)

#define SSH	"SSH-"
#define SSH_LEN (sizeof(SSH) - 1)

/* A single byte may have to do: these protocols' first bytes are all different. */
static enum conn_upgrade protocol_of_client(const uint8_t *data, size_t len)
{
	switch (data[0]) {
	case 0x00: return CONN_UPGRADE_POSTGRESQL;
	case 0x30: return CONN_UPGRADE_LDAP;
	case '<': return CONN_UPGRADE_XMPP;
	default: break;
	}
	return !memcmp(data, CONNECT, len < CONNECT_LEN ? len : CONNECT_LEN) ? CONN_UPGRADE_CONNECT
									     : CONN_UPGRADE_OTHER;
}

/* A packet of MySQL begins with its length and number, the greeting with version 10. */
#define GREETING_LEN 5

static bool is_mysql(const uint8_t *greeting)
{
	return greeting[2] == 0 && greeting[3] == 0 && greeting[4] == 10;
}

/* Lines of capabilities, in no order: "IMPLEMENTATION" and others in quotes (RFC 5804 1.7). */
static bool is_sieve(const uint8_t *greeting)
{
	for (int i = 1; i < GREETING_LEN; i++)
		if (greeting[i] < 'A' || greeting[i] > 'Z')
			return false;
	return greeting[0] == '"';
}

static enum conn_upgrade protocol_of_greeting(const uint8_t *greeting)
{
	if (!memcmp(greeting, "220", 3))
		return CONN_UPGRADE_SMTP; /* or FTP: commands tell */
	if (!memcmp(greeting, "* OK ", 5))
		return CONN_UPGRADE_IMAP;
	if (!memcmp(greeting, "+OK", 3))
		return CONN_UPGRADE_POP3;
	if (!memcmp(greeting, "200 ", 4) || !memcmp(greeting, "201 ", 4))
		return CONN_UPGRADE_NNTP;
	if (is_sieve(greeting))
		return CONN_UPGRADE_SIEVE;
	if (is_mysql(greeting))
		return CONN_UPGRADE_MYSQL;
	return CONN_UPGRADE_OTHER;
}

/*
 * The greeting's first bytes are gathered where the protocol's own server side begins, too. How
 * many of `len` were needed.
 */
static size_t read_greeting(struct starttls *dialogue, const uint8_t *data, size_t len)
{
	struct starttls_unit *unit = &dialogue->server;
	size_t used = 0;

	while (used < len && unit->len < GREETING_LEN)
		starttls_unit_add(unit, data[used++]);
	if (unit->len < GREETING_LEN)
		return used;
	dialogue->protocol = protocol_of_greeting(unit->bytes);
	dialogue->phase = STARTTLS_TALK;
	return used;
}

/* --- the two directions --- */

static void client_spoke(struct starttls *dialogue)
{
	dialogue->server_last = false;
}

void starttls_client_plain(struct starttls *dialogue)
{
	client_spoke(dialogue);
}

enum starttls_verdict starttls_client(struct starttls *dialogue, const uint8_t *data, size_t len,
				      size_t *take)
{
	enum starttls_verdict verdict;

	*take = 0;
	if (dialogue->phase == STARTTLS_AGREED)
		return STARTTLS_HELLO;
	if (dialogue->phase == STARTTLS_ASKED)
		return STARTTLS_PIPELINED;
	if (dialogue->phase == STARTTLS_BEGIN) {
		if (len >= SSH_LEN && !memcmp(data, SSH, SSH_LEN))
			return STARTTLS_OVER;
		dialogue->protocol = dialogue->server.len ? CONN_UPGRADE_OTHER
							  : protocol_of_client(data, len);
		dialogue->phase = STARTTLS_TALK;
	}
	if (dialogue->protocol == CONN_UPGRADE_OTHER) {
		*take = len;
		if (dialogue->server_last && data[0] == TLS_HANDSHAKE)
			return STARTTLS_MAYBE;
		client_spoke(dialogue);
		return STARTTLS_GO_ON;
	}
	verdict = ops_of(dialogue)->client(dialogue, data, len, take);
	client_spoke(dialogue);
	return verdict;
}

enum starttls_verdict starttls_server(struct starttls *dialogue, const uint8_t *data, size_t len)
{
	size_t used = 0;

	if (!len)
		return STARTTLS_GO_ON;
	/* Before the client's hello there is nothing to say, and nobody knows who has said it. */
	if (dialogue->phase == STARTTLS_AGREED)
		return STARTTLS_PIPELINED;
	dialogue->server_last = true;
	dialogue->turn = 0;
	if (dialogue->phase == STARTTLS_BEGIN) {
		used = read_greeting(dialogue, data, len);
		if (dialogue->phase == STARTTLS_BEGIN)
			return STARTTLS_GO_ON;
		if (!memcmp(dialogue->server.bytes, SSH, SSH_LEN))
			return STARTTLS_OVER;
		/* "+OK" alone is a whole line. */
		if (dialogue->protocol == CONN_UPGRADE_MYSQL ||
		    dialogue->server.bytes[GREETING_LEN - 1] == '\n')
			dialogue->server.len = 0;
	}
	if (dialogue->protocol == CONN_UPGRADE_OTHER)
		return STARTTLS_GO_ON;
	return ops_of(dialogue)->server(dialogue, data + used, len - used);
}

/* --- HTTP --- */

static const char *const methods[] = {
	"GET ",	    "POST ",  "HEAD ",	 "PUT ",   "DELETE ", "OPTIONS ", "PATCH ",
	"TRACE ",   "COPY ",  "MOVE ",	 "LOCK ",  "UNLOCK ", "MKCOL ",	  "PROPFIND ",
	"PROPPATCH ", "REPORT ", "SEARCH ", "PURGE ", "PRI * HTTP/2.0\r\n",
};

/* A method that nobody knows, and a version at the end of the line. */
static bool is_request_line(const uint8_t *data, size_t len)
{
	static const char version[] = " HTTP/1.";
	const size_t tail = sizeof(version) - 1 + 2; /* digit, CR */
	const uint8_t *end = memchr(data, '\n', len);
	size_t method = 0;

	if (!end || (size_t)(end - data) < tail)
		return false;
	while (data[method] >= 'A' && data[method] <= 'Z')
		method++;
	return method && data[method] == ' ' && !memcmp(end - tail, version, sizeof(version) - 1);
}

bool starttls_is_http(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t most = strlen(methods[i]);

		if (!memcmp(data, methods[i], len < most ? len : most))
			return true;
	}
	if (len >= CONNECT_LEN && !memcmp(data, CONNECT, CONNECT_LEN))
		return false;
	return is_request_line(data, len);
}
