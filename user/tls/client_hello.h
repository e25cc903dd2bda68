/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_CLIENT_HELLO_H
#define KSPLIT_TLS_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_HELLO_MAX_WIRE    (64 * 1024 + 512) /* larger ones are passed through */
#define CLIENT_HELLO_MAX_CIPHERS 128
#define CLIENT_HELLO_MAX_ALPN    512
#define CLIENT_HELLO_MAX_CODES   64

/* A list that an extension has; GREASE is left out. */
struct client_hello_codes {
	bool there; /* else the extension is not */
	uint16_t at[CLIENT_HELLO_MAX_CODES];
	size_t len;
};

/* What a peeked ClientHello says. No pointers into the wire bytes: a copy, safe to keep. */
struct client_hello {
	bool offers_tls12;
	bool offers_tls13;
	bool early_data; /* early_data extension present (RFC 8446 4.2.10) */
	bool ech; /* encrypted_client_hello present (RFC 9849 5); real or GREASE, nobody can tell */
	bool post_handshake_auth; /* it would show a certificate later, too (RFC 8446 4.2.6) */
	bool status_request; /* an OCSP response is asked for (RFC 6066 8) */
	bool has_sni;
	char sni[256]; /* lower case, no trailing dot, NUL-terminated; "" without a host name */
	uint8_t alpn[CLIENT_HELLO_MAX_ALPN];        /* names as SSL_set_alpn_protos takes them */
	size_t alpn_len;                            /* 0: no ALPN extension */
	uint16_t ciphers[CLIENT_HELLO_MAX_CIPHERS]; /* GREASE and SCSVs left out */
	size_t ciphers_len;
	struct client_hello_codes groups;	   /* supported_groups (RFC 8446 4.2.7) */
	struct client_hello_codes signatures;	   /* signature_algorithms (4.2.3) */
	struct client_hello_codes cert_signatures; /* signature_algorithms_cert (4.2.3) */
	size_t wire_len; /* bytes of all records that carry the hello */
};

/*
 * Read a ClientHello from the first bytes of a connection (RFC 8446 4.1.2, 4.2, 5.1; RFC 6066 3;
 * RFC 7301 3.1; RFC 8701 for GREASE). The hello may be split over any number of records. Nothing
 * is allocated and no pointer is kept; bytes after the hello (early data) are not looked at.
 *
 * An IP address in the server name extension is ignored, as if there were no name: RFC 6066
 * forbids it there and servers ignore it too. A trailing dot, which it forbids as well, is cut off.
 *
 * Returns 1 when complete (*out filled), 0 when more bytes are needed (*need is then the smallest
 * total length with which a further call can get on, always > len; never more than the hello's own
 * records have), or, *out untouched or half filled,
 *   -EPROTO    the bytes are not TLS (wrong content type or version, as early as byte 0 tells)
 *   -EBADMSG   TLS, but the hello contradicts itself (lengths, duplicate or malformed extensions,
 *              an SNI that is no name, another handshake message, an empty or overlong record)
 *   -EMSGSIZE  the hello would be longer than CLIENT_HELLO_MAX_WIRE, or one of its lists longer
 *              than struct client_hello holds
 */
int client_hello_parse(const uint8_t *buf, size_t len, struct client_hello *out, size_t *need);

#endif
