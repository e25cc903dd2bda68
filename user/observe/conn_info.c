// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/conn_info.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *conn_state_name(enum conn_state state)
{
	switch (state) {
	case CONN_PEEK: return "peek";
	case CONN_RESOLVE: return "resolve";
	case CONN_CONNECT: return "connect";
	case CONN_PLAIN: return "plain";
	case CONN_UPSTREAM_HANDSHAKE: return "upstream_handshake";
	case CONN_LEAF: return "leaf";
	case CONN_CLIENT_HANDSHAKE: return "client_handshake";
	case CONN_RELAY: return "relay";
	case CONN_CLOSING: return "closing";
	case CONN_STATES: break;
	}
	return "unknown";
}

const char *conn_upgrade_name(enum conn_upgrade upgrade)
{
	static const char *const names[CONN_UPGRADES] = {
		"none",	 "smtp",    "imap", "pop3", "ftp",   "ldap",  "postgresql",
		"mysql", "connect", "xmpp", "nntp", "sieve", "other",
	};

	return (unsigned int)upgrade < CONN_UPGRADES ? names[upgrade] : "unknown";
}

const char *conn_relay_name(enum conn_relay relay)
{
	switch (relay) {
	case CONN_RELAY_NONE: return "none";
	case CONN_RELAY_SPLICE: return "splice";
	case CONN_RELAY_COPY: return "copy";
	case CONN_RELAY_USER: return "user";
	case CONN_RELAY_RAW: return "raw";
	}
	return "unknown";
}

const char *conn_verify_name(enum conn_verify verify)
{
	switch (verify) {
	case CONN_VERIFY_NONE: return "none";
	case CONN_VERIFY_MIMIC: return "mimic";
	case CONN_VERIFY_REQUIRE: return "require";
	case CONN_VERIFY_OFF: return "off";
	}
	return "unknown";
}

const char *conn_version_name(uint16_t version)
{
	switch (version) {
	case 0: return "none";
	case 0x0303: return "TLSv1.2";
	case 0x0304: return "TLSv1.3";
	default: return "unknown";
	}
}

struct suite {
	uint16_t code;
	const char *name;
};

/* IANA's names; ascending codes, so that a reader finds one. */
static const struct suite suites[] = {
	{0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"},
	{0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"},
	{0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"},
	{0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"},
	{0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"},
	{0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"},
	{0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"},
	{0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"},
	{0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"},
	{0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0x1301, "TLS_AES_128_GCM_SHA256"},
	{0x1302, "TLS_AES_256_GCM_SHA384"},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
	{0x1304, "TLS_AES_128_CCM_SHA256"},
	{0x1305, "TLS_AES_128_CCM_8_SHA256"},
	{0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
	{0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
	{0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
	{0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"},
	{0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"},
	{0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"},
	{0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"},
	{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
	{0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
	{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
};

const char *conn_suite_name(uint16_t suite)
{
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].code == suite)
			return suites[i].name;
	return NULL;
}

static void print_in(const void *address, in_port_t port, char *buf, size_t len)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, address, text, sizeof(text));
	snprintf(buf, len, "%s:%u", text, ntohs(port));
}

static void print_in6(const struct sockaddr_in6 *in6, char *buf, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	/* Only a link-local address has a zone (RFC 4007 11); its number says enough here. */
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) && in6->sin6_scope_id)
		snprintf(buf, len, "[%s%%%u]:%u", text, in6->sin6_scope_id, ntohs(in6->sin6_port));
	else
		snprintf(buf, len, "[%s]:%u", text, ntohs(in6->sin6_port));
}

const char *conn_address_print(const union conn_address *address, char *buf, size_t len)
{
	const struct sockaddr_in6 *in6 = &address->in6;

	if (len > 0)
		buf[0] = '\0';
	if (address->sa.sa_family == AF_INET)
		print_in(&address->in.sin_addr, address->in.sin_port, buf, len);
	else if (address->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		print_in(&in6->sin6_addr.s6_addr[12], in6->sin6_port, buf, len);
	else if (address->sa.sa_family == AF_INET6)
		print_in6(in6, buf, len);
	return buf;
}
