/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_PROXY_HEADER_H
#define KSPLIT_CORE_PROXY_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"

/* The longest header that proxy_header_make writes. */
#define PROXY_HEADER_MAX 1024

/* What a service is told of a client. */
struct proxy_header {
	const union conn_address *source;      /* the client's address */
	const union conn_address *destination; /* the one that it called */
	const char *authority;		       /* the name that it asked for; "" none */
	const uint8_t *alpn;		       /* the protocol agreed on with it */
	size_t alpn_len;		       /* 0: none, or not known yet */
	const char *tls_version; /* "TLSv1.3"; NULL: nothing is said of its TLS */
	const char *cipher;	 /* IANA name; NULL: not told */
};

/*
 * A header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, section 2.2): command
 * PROXY over TCP, the addresses, and the TLVs AUTHORITY, ALPN and SSL (client not verified: it
 * shows no certificate). An IPv4 address in IPv6 form is told as IPv4. Returns the length; 0 when
 * an address is of another family than the other or than IPv4 and IPv6.
 */
size_t proxy_header_make(const struct proxy_header *header, uint8_t out[PROXY_HEADER_MAX]);

#endif
