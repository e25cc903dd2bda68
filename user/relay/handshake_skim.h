/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_HANDSHAKE_SKIM_H
#define KSPLIT_RELAY_HANDSHAKE_SKIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Handshake messages that arrive after the handshake, read from kernel TLS (RFC 8446 4.6, RFC 5246
 * 7.4.1). They concern one side of the proxy only and are never forwarded. A message may be split
 * over records.
 */
struct handshake_skim {
	uint8_t header[4];
	uint8_t header_len; /* bytes of the header that are there; 4: in the body */
	uint32_t left;	    /* bytes of the body to come */
};

/* What a record told; all false or zero: nothing to do. */
struct handshake_news {
	uint32_t tickets;	   /* NewSessionTicket messages that ended in this record */
	bool key_update;	   /* the peer's next record has new keys */
	bool key_update_requested; /* ... and it wants ours replaced as well */
	bool certificate_request;  /* TLS 1.3: the server wants to know who the client is */
	bool renegotiation;	   /* TLS 1.2: wants one; answer no_renegotiation */
};

/*
 * Read one record's content. `version` is 0x0303 or 0x0304, `from_server` says who sent it.
 * 0 (`news` filled), or -EPROTO: a message that has no place after the handshake, or malformed.
 */
int handshake_skim_feed(struct handshake_skim *skim, uint16_t version, bool from_server,
			const uint8_t *bytes, size_t len, struct handshake_news *news);

#endif
