// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * XMPP (RFC 6120 5.4): a stream of XML, of which only the tags are looked at. <starttls/> asks,
 * <proceed/> agrees, <failure/> refuses; either may be written as a pair of tags.
 */
#include <string.h>

#include "relay/starttls_inner.h"

static const char tls_namespace[] = "urn:ietf:params:xml:ns:xmpp-tls";

/* After these the session goes on in plain: secrets, or what it is for. */
static const char *const plain_tags[] = {"<auth",     "<authenticate", "<iq",       "<message",
					 "<presence", "<db:result",    "<db:verify"};

/*
 * Note bytes up to the end of a tag; what stands between tags is stepped over. An attribute's value
 * may have a ">" (XML 1.0 2.3): `left` is the quotation mark that it ends with.
 */
static size_t read_tag(struct starttls_unit *unit, const uint8_t *data, size_t len, bool *whole)
{
	size_t used = 0;

	while (used < len && !*whole) {
		uint8_t byte = data[used++];

		if (!unit->len && byte != '<')
			continue;
		starttls_unit_add(unit, byte);
		if (unit->left)
			unit->left = byte == unit->left ? 0 : unit->left;
		else if (byte == '"' || byte == '\'')
			unit->left = byte;
		else
			*whole = byte == '>';
	}
	return used;
}

static bool is_tag(const struct starttls_unit *unit, const char *name)
{
	size_t len = strlen(name), most = starttls_unit_kept(unit);

	return most > len && !memcmp(unit->bytes, name, len) &&
	       memchr(" \t\r\n/>?", unit->bytes[len], 7);
}

/* It has no end tag. */
static bool is_empty(const struct starttls_unit *unit)
{
	return unit->len > 2 && unit->len <= STARTTLS_UNIT && unit->bytes[unit->len - 2] == '/';
}

static bool is_of_tls(const struct starttls_unit *unit)
{
	return memmem(unit->bytes, starttls_unit_kept(unit), tls_namespace,
		      sizeof(tls_namespace) - 1);
}

/* Is the element here, whole? */
static bool is_element(const struct starttls_unit *unit, const char *begin, const char *end)
{
	return (is_tag(unit, begin) && is_of_tls(unit) && is_empty(unit)) || is_tag(unit, end);
}

/* Whatever comes first: a stream of XMPP, or of something else. */
static void begin_stream(struct starttls *dialogue)
{
	if (is_tag(&dialogue->client, "<?xml"))
		return;
	dialogue->turn++;
	dialogue->in_head = is_tag(&dialogue->client, "<stream:stream");
	if (!dialogue->in_head)
		starttls_demote(dialogue);
}

static enum starttls_verdict client_tag(struct starttls *dialogue)
{
	const struct starttls_unit *unit = &dialogue->client;

	if (!dialogue->in_head) {
		begin_stream(dialogue);
		return STARTTLS_GO_ON;
	}
	if (is_element(unit, "<starttls", "</starttls"))
		return starttls_ask(dialogue);
	if (is_tag(unit, "<starttls"))
		return STARTTLS_GO_ON;
	dialogue->turn++;
	for (size_t i = 0; i < sizeof(plain_tags) / sizeof(plain_tags[0]); i++)
		if (is_tag(unit, plain_tags[i]))
			return STARTTLS_OVER;
	return STARTTLS_GO_ON;
}

static enum starttls_verdict xmpp_client(struct starttls *dialogue, const uint8_t *data, size_t len,
					 size_t *take)
{
	return starttls_client_units(dialogue, data, len, take, read_tag, client_tag);
}

static enum starttls_verdict xmpp_server(struct starttls *dialogue, const uint8_t *data, size_t len)
{
	struct starttls_unit *unit = &dialogue->server;
	size_t used = 0;

	while (used < len) {
		bool whole = false;

		used += read_tag(unit, data + used, len - used, &whole);
		if (!whole)
			break;
		if (dialogue->phase == STARTTLS_ASKED && is_element(unit, "<proceed", "</proceed"))
			return starttls_agree(dialogue, len - used);
		if (dialogue->phase == STARTTLS_ASKED && is_tag(unit, "<failure"))
			dialogue->phase = STARTTLS_TALK;
		unit->len = 0;
	}
	return STARTTLS_GO_ON;
}

const struct starttls_ops starttls_xmpp = {.client = xmpp_client, .server = xmpp_server};
