/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_STARTTLS_H
#define KSPLIT_RELAY_STARTTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"

/*
 * Follows a dialogue in plain to the point where both sides have agreed to TLS. Bytes are shown to
 * it in the order in which they are relayed, cut anywhere; it keeps a line or packet head of each
 * direction at most, allocates nothing, and never asks for a byte to be changed or held back but
 * the client's TLS bytes. Whatever does not go by the book ends the watch: then the bytes go on as
 * they are.
 */
enum starttls_verdict {
	STARTTLS_GO_ON,	    /* these bytes are plain */
	STARTTLS_HELLO,	    /* agreed: what the client sends now is a ClientHello, or nobody knows */
	STARTTLS_MAYBE,	    /* unknown protocol: TLS if it is a whole ClientHello and no more */
	STARTTLS_PIPELINED, /* bytes where one side had to wait (CVE-2011-0411): no upgrade any more */
	STARTTLS_OVER,	    /* this dialogue will not turn to TLS */
};

enum starttls_phase {
	STARTTLS_BEGIN,
	STARTTLS_TALK,
	STARTTLS_ASKED,	 /* the client has asked for TLS and waits */
	STARTTLS_AGREED, /* the client's ClientHello is next */
};

/* A line, or the head of a packet, on its way. */
#define STARTTLS_UNIT 96
struct starttls_unit {
	uint8_t bytes[STARTTLS_UNIT]; /* what is beyond is stepped over */
	uint32_t len;		      /* of the unit so far, beyond `bytes` too */
	uint32_t left; /* packets: bytes to its end, once that is known; tags: see there */
};

struct starttls {
	enum conn_upgrade protocol; /* NONE: not known yet */
	enum starttls_phase phase;
	bool server_last;  /* the server spoke last */
	uint32_t turn;	   /* units that the client has sent since */
	bool in_head;	   /* CONNECT: inside a request's head; XMPP: inside the stream */
	bool answered;	   /* CONNECT: first line of the answer was read ... */
	bool accepted;	   /* ... and says yes */
	bool encryption;   /* PostgreSQL: it was GSS encryption that was asked for */
	uint32_t id;	   /* LDAP: the request's message ID */
	uint8_t tag[32];   /* IMAP */
	size_t tag_len;
	struct starttls_unit client, server;
};

/* Zeroed is a dialogue in which nobody has spoken; wipe it afterwards. */

/*
 * The client's unread bytes, at least one. STARTTLS_GO_ON: the first *take of them (1 ... len) are
 * noted and are to be relayed. Otherwise nothing is to be relayed; after STARTTLS_MAYBE that was no
 * ClientHello call starttls_client_plain.
 */
enum starttls_verdict starttls_client(struct starttls *dialogue, const uint8_t *data, size_t len,
				      size_t *take);
void starttls_client_plain(struct starttls *dialogue);

/* What the server has sent; it is to be relayed in any case. GO_ON, OVER or PIPELINED. */
enum starttls_verdict starttls_server(struct starttls *dialogue, const uint8_t *data, size_t len);

/*
 * Do a client's first bytes begin a request of HTTP/1 (RFC 9112 3) but CONNECT, or an HTTP/2
 * connection (RFC 9113 3.4)? Also when they are only the beginning of such a beginning.
 */
bool starttls_is_http(const uint8_t *data, size_t len);

#endif
