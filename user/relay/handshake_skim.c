// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay/handshake_skim.h"
#include "tls/protocol.h"

#include <errno.h>
#include <string.h>

enum {
	HS_HELLO_REQUEST = 0,
	HS_CLIENT_HELLO = 1,
	HS_NEW_SESSION_TICKET = 4,
	HS_CERTIFICATE_REQUEST = 13,
	HS_KEY_UPDATE = 24,
};

/* A whole header is there: may this message come from this side, and how long is it? */
static int message_begin(const struct handshake_skim *skim, uint16_t version, bool from_server)
{
	bool tls13 = version == VERSION_TLS13;

	switch (skim->header[0]) {
	case HS_NEW_SESSION_TICKET:
	case HS_CERTIFICATE_REQUEST: return tls13 && from_server ? 0 : -EPROTO;
	case HS_KEY_UPDATE: return tls13 && skim->left == 1 ? 0 : -EPROTO;
	case HS_HELLO_REQUEST: return !tls13 && from_server && skim->left == 0 ? 0 : -EPROTO;
	case HS_CLIENT_HELLO: return !tls13 && !from_server ? 0 : -EPROTO;
	default: return -EPROTO;
	}
}

static int message_end(struct handshake_skim *skim, uint8_t last_byte, size_t bytes_after,
		       struct handshake_news *news)
{
	skim->header_len = 0;
	switch (skim->header[0]) {
	case HS_NEW_SESSION_TICKET: news->tickets++; return 0;
	case HS_CERTIFICATE_REQUEST: news->certificate_request = true; return 0;
	case HS_KEY_UPDATE:
		/* Nothing may follow in a record that ends a key's life (RFC 8446 5.1). */
		if (last_byte > 1 || bytes_after)
			return -EPROTO;
		news->key_update = true;
		news->key_update_requested = last_byte == 1;
		return 0;
	default: news->renegotiation = true; return 0;
	}
}

int handshake_skim_feed(struct handshake_skim *skim, uint16_t version, bool from_server,
			const uint8_t *bytes, size_t len, struct handshake_news *news)
{
	size_t at = 0;

	memset(news, 0, sizeof(*news));
	while (at < len) {
		uint32_t take;
		int err;

		if (skim->header_len < 4) {
			skim->header[skim->header_len++] = bytes[at++];
			if (skim->header_len < 4)
				continue;
			skim->left = (uint32_t)skim->header[1] << 16 |
				     (uint32_t)skim->header[2] << 8 | skim->header[3];
			err = message_begin(skim, version, from_server);
			if (err)
				return err;
		}
		take = skim->left < len - at ? skim->left : (uint32_t)(len - at);
		at += take;
		skim->left -= take;
		if (skim->left)
			break;
		err = message_end(skim, at ? bytes[at - 1] : 0, len - at, news);
		if (err)
			return err;
	}
	return 0;
}
