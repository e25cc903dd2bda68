/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_STARTTLS_INNER_H
#define KSPLIT_RELAY_STARTTLS_INNER_H

#include "relay/starttls.h"

/* For starttls.c and the recognisers of protocols alone. */

struct starttls_ops {
	/* Not yet asked: note bytes of the client, up to the end of a unit that asks for TLS. */
	enum starttls_verdict (*client)(struct starttls *dialogue, const uint8_t *data, size_t len,
					size_t *take);
	/* In any phase but STARTTLS_AGREED. */
	enum starttls_verdict (*server)(struct starttls *dialogue, const uint8_t *data, size_t len);
};

extern const struct starttls_ops starttls_lines, starttls_connect, starttls_xmpp;
extern const struct starttls_ops starttls_ldap, starttls_postgresql, starttls_mysql;

/* Add a byte to a unit. */
static inline void starttls_unit_add(struct starttls_unit *unit, uint8_t byte)
{
	if (unit->len < STARTTLS_UNIT)
		unit->bytes[unit->len] = byte;
	if (unit->len < UINT32_MAX)
		unit->len++;
}

/* How many of its bytes are there to be looked at. */
static inline size_t starttls_unit_kept(const struct starttls_unit *unit)
{
	return unit->len < STARTTLS_UNIT ? unit->len : STARTTLS_UNIT;
}

/* Its bytes do not fit the protocol that the first ones hinted at: nobody knows what it is. */
static inline void starttls_demote(struct starttls *dialogue)
{
	dialogue->protocol = CONN_UPGRADE_OTHER;
	dialogue->phase = STARTTLS_TALK;
}

/*
 * The client asks for TLS. Only in its turn: with the server's answer to all that it said before,
 * whole, and as the first unit that it sends since.
 */
enum starttls_verdict starttls_ask(struct starttls *dialogue);

/*
 * Show the client's units one by one to `read`, up to the end of one that asks for TLS. `next`
 * notes bytes up to the end of a unit: how many; it sets *whole at the end. 0: they do not fit the
 * protocol.
 */
enum starttls_verdict starttls_client_units(
	struct starttls *dialogue, const uint8_t *data, size_t len, size_t *take,
	size_t (*next)(struct starttls_unit *unit, const uint8_t *data, size_t len, bool *whole),
	enum starttls_verdict (*read)(struct starttls *dialogue));

/* The server has agreed, and `rest` bytes follow: there must be none. */
static inline enum starttls_verdict starttls_agree(struct starttls *dialogue, size_t rest)
{
	dialogue->phase = STARTTLS_AGREED;
	return rest ? STARTTLS_PIPELINED : STARTTLS_GO_ON;
}

#endif
