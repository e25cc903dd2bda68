// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/proxy_header.h"

#include <string.h>

#define SIGNATURE	"\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN	12
#define VERSION_COMMAND 0x21 /* version 2, PROXY */
#define FIXED_LEN	16   /* signature, version and command, family, length */

enum tlv {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21,
	TLV_SSL_CIPHER = 0x23,
};

enum { SSL_CLIENT_SPEAKS_TLS = 0x01 };

/* What is written so far. */
struct writer {
	uint8_t *buf;
	size_t len;
};

static void put(struct writer *to, const void *bytes, size_t len)
{
	memcpy(to->buf + to->len, bytes, len);
	to->len += len;
}

static void put_u8(struct writer *to, unsigned int value)
{
	to->buf[to->len++] = (uint8_t)value;
}

static void set_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Room for the whole of it is sure: every value is at most 255 bytes long. */
static void put_tlv(struct writer *to, enum tlv type, const void *value, size_t len)
{
	if (len > 255)
		return;
	put_u8(to, type);
	put_u8(to, 0);
	put_u8(to, (unsigned int)len);
	put(to, value, len);
}

/* Section 2.2.6: flags, the result of the client's verification (0: verified), TLVs within. */
static void put_ssl(struct writer *to, const struct proxy_header *header)
{
	static const uint8_t not_verified[4] = {0, 0, 0, 1};
	size_t start = to->len;

	put_u8(to, TLV_SSL);
	to->len += 2; /* its length, when it is known */
	put_u8(to, SSL_CLIENT_SPEAKS_TLS);
	put(to, not_verified, sizeof(not_verified));
	put_tlv(to, TLV_SSL_VERSION, header->tls_version, strlen(header->tls_version));
	if (header->cipher)
		put_tlv(to, TLV_SSL_CIPHER, header->cipher, strlen(header->cipher));
	set_u16(to->buf + start + 1, to->len - start - 3);
}

/* The IPv4 address of an address that is one, in whichever form; NULL: IPv6. */
static const void *ipv4_of(const union conn_address *address)
{
	if (address->sa.sa_family == AF_INET)
		return &address->in.sin_addr;
	if (IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return &address->in6.sin6_addr.s6_addr[12];
	return NULL;
}

static const in_port_t *port_of(const union conn_address *address)
{
	return address->sa.sa_family == AF_INET ? &address->in.sin_port : &address->in6.sin6_port;
}

static bool is_ip(const union conn_address *address)
{
	return address->sa.sa_family == AF_INET || address->sa.sa_family == AF_INET6;
}

/* Family and addresses (section 2.2); ports are in network order on either side. */
static bool put_addresses(struct writer *to, const union conn_address *source,
			  const union conn_address *destination)
{
	const void *from, *at;

	if (!is_ip(source) || !is_ip(destination))
		return false;
	from = ipv4_of(source);
	at = ipv4_of(destination);
	if (!from != !at)
		return false;
	put_u8(to, from ? 0x11 : 0x21); /* TCP over IPv4, over IPv6 */
	to->len += 2;			/* the length of all that follows */
	put(to, from ? from : &source->in6.sin6_addr, from ? 4 : 16);
	put(to, at ? at : &destination->in6.sin6_addr, at ? 4 : 16);
	put(to, port_of(source), 2);
	put(to, port_of(destination), 2);
	return true;
}

size_t proxy_header_make(const struct proxy_header *header, uint8_t out[PROXY_HEADER_MAX])
{
	struct writer to = {.buf = out};

	put(&to, SIGNATURE, SIGNATURE_LEN);
	put_u8(&to, VERSION_COMMAND);
	if (!put_addresses(&to, header->source, header->destination))
		return 0;
	if (header->authority[0])
		put_tlv(&to, TLV_AUTHORITY, header->authority, strlen(header->authority));
	if (header->alpn_len)
		put_tlv(&to, TLV_ALPN, header->alpn, header->alpn_len);
	if (header->tls_version)
		put_ssl(&to, header);
	set_u16(out + FIXED_LEN - 2, to.len - FIXED_LEN);
	return to.len;
}
