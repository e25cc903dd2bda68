// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_LISTEN "expected ADDR:PORT, [ADDR6]:PORT or :PORT with a numeric address"
#define EXPECT_TO     "expected original, tproxy, sni:PORT, HOST:PORT or [ADDR6]:PORT"
#define EXPECT_PORT   "expected a port from 1 to 65535 after the colon"

/* The two halves of "HOST:PORT" or "[HOST]:PORT". */
struct address_parts {
	char host[256];
	bool brackets;
	const char *port;
};

static int refuse(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

/* 0 or -EINVAL: no colon, host too long, an IPv6 address without brackets. */
static int split_host_port(const char *text, struct address_parts *parts)
{
	const char *start = text, *end;

	memset(parts, 0, sizeof(*parts));
	parts->brackets = *text == '[';
	if (parts->brackets) {
		start = text + 1;
		end = strchr(start, ']');
		if (!end || end[1] != ':')
			return -EINVAL;
		parts->port = end + 2;
	} else {
		end = strchr(start, ':');
		if (!end || strchr(end + 1, ':'))
			return -EINVAL;
		parts->port = end + 1;
	}
	if ((size_t)(end - start) >= sizeof(parts->host))
		return -EINVAL;
	memcpy(parts->host, start, (size_t)(end - start));
	return 0;
}

static int parse_port(const char *text, uint16_t *port)
{
	size_t len = strspn(text, "0123456789");
	unsigned long value;

	if (len == 0 || len > 5 || text[len])
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value > 65535)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* "fe80::1%eth0" or "fe80::1%2" (RFC 4007 section 11), where a scope is needed and only there. */
static int parse_ipv6(const char *text, struct sockaddr_in6 *in6, const char **why)
{
	char address[INET6_ADDRSTRLEN];
	const char *percent = strchrnul(text, '%');
	const char *scope = *percent ? percent + 1 : NULL;
	char *end;

	if ((size_t)(percent - text) >= sizeof(address))
		return refuse(why, "expected a numeric IPv6 address between the brackets");
	memcpy(address, text, (size_t)(percent - text));
	address[percent - text] = '\0';
	in6->sin6_family = AF_INET6;
	if (inet_pton(AF_INET6, address, &in6->sin6_addr) != 1)
		return refuse(why, "expected a numeric IPv6 address between the brackets");
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return refuse(why, "expected the IPv4 address itself, not its mapped form");
	if (!scope && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		return refuse(why, "expected an interface too, as in [fe80::1%eth0]:443");
	if (!scope)
		return 0;
	if (!IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		return refuse(why, "expected no interface: only link-local addresses have one");
	in6->sin6_scope_id = if_nametoindex(scope);
	if (in6->sin6_scope_id)
		return 0;
	errno = 0;
	in6->sin6_scope_id = (uint32_t)strtoul(scope, &end, 10);
	if (!isdigit((unsigned char)*scope) || *end || errno || !in6->sin6_scope_id)
		return refuse(why, "expected an interface of this host after the percent sign");
	return 0;
}

static bool is_multicast(const struct config_listener *listener)
{
	if (listener->address.sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST(&listener->address.in6.sin6_addr);
	/* 224.0.0.0/4 and everything above it, the broadcast address too: nothing TCP can use. */
	return ntohl(listener->address.in.sin_addr.s_addr) >= 0xe0000000;
}

static int parse_numeric(const struct address_parts *parts, uint16_t port,
			 struct config_listener *listener, const char **why)
{
	int rc;

	memset(&listener->address, 0, sizeof(listener->address));
	if (parts->brackets) {
		listener->address.in6.sin6_port = htons(port);
		rc = parse_ipv6(parts->host, &listener->address.in6, why);
		if (rc)
			return rc;
	} else {
		listener->address.in.sin_family = AF_INET;
		listener->address.in.sin_port = htons(port);
		if (inet_pton(AF_INET, parts->host, &listener->address.in.sin_addr) != 1)
			return refuse(why, EXPECT_LISTEN);
	}
	if (is_multicast(listener))
		return refuse(why, "expected a unicast address");
	return 0;
}

int config_address_parse_listen(const char *text, struct config_listener *listener,
				const char **why)
{
	struct config_listener result = *listener;
	struct address_parts parts;
	uint16_t port;
	int rc;

	if (split_host_port(text, &parts))
		return refuse(why, EXPECT_LISTEN);
	if (parse_port(parts.port, &port))
		return refuse(why, "expected a port from 0 to 65535 after the colon");
	if (!parts.host[0] && !parts.brackets)
		strcpy(parts.host, "0.0.0.0");
	rc = parse_numeric(&parts, port, &result, why);
	if (rc == 0)
		*listener = result;
	return rc;
}

/* Letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all (RFC 1035
 * section 2.3.4). */
static bool is_host_name(const char *name)
{
	size_t len = strlen(name), label = 0, i;

	if (len && name[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (i = 0; i <= len; i++) {
		if (i == len || name[i] == '.') {
			if (label == 0 || label > 63 || name[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' &&
		    !(name[i] == '-' && label > 0))
			return false;
		label++;
	}
	return true;
}

/* Digits behind its last dot: meant as an IPv4 address, since no top-level domain is a number. */
static bool looks_like_ipv4(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot ? dot + 1 : name;

	return *last && last[strspn(last, "0123456789")] == '\0';
}

static int check_static(const struct address_parts *parts, uint16_t port, const char **why)
{
	struct config_listener numeric;
	int rc;

	if (!parts->brackets && !looks_like_ipv4(parts->host)) {
		if (is_host_name(parts->host))
			return 0;
		return refuse(why, "expected a host name of letters, digits, dots and hyphens"
				   " (other scripts as xn--...)");
	}
	rc = parse_numeric(parts, port, &numeric, why);
	if (rc)
		return parts->brackets ? rc : refuse(why, "expected an IPv4 address as 192.0.2.1");
	if (parts->brackets ? IN6_IS_ADDR_UNSPECIFIED(&numeric.address.in6.sin6_addr)
			    : !numeric.address.in.sin_addr.s_addr)
		return refuse(why, "expected an address that can be connected to");
	return 0;
}

static int parse_static(const char *text, struct config_listener *listener, const char **why)
{
	struct address_parts parts;
	uint16_t port;
	int rc;

	if (split_host_port(text, &parts) || (!parts.host[0] && !parts.brackets))
		return refuse(why, EXPECT_TO);
	if (parse_port(parts.port, &port) || port == 0)
		return refuse(why, EXPECT_PORT);
	if (!parts.brackets && strcmp(parts.host, "sni") == 0) {
		listener->destination = DESTINATION_SNI;
		listener->host[0] = '\0';
		listener->port = port;
		return 0;
	}
	rc = check_static(&parts, port, why);
	if (rc)
		return rc;
	listener->destination = DESTINATION_STATIC;
	memcpy(listener->host, parts.host, sizeof(listener->host));
	listener->port = port;
	return 0;
}

int config_address_parse_destination(const char *text, struct config_listener *listener,
				     const char **why)
{
	if (strcmp(text, "original") == 0)
		listener->destination = DESTINATION_ORIGINAL;
	else if (strcmp(text, "tproxy") == 0)
		listener->destination = DESTINATION_TPROXY;
	else
		return parse_static(text, listener, why);
	listener->host[0] = '\0';
	listener->port = 0;
	return 0;
}

int config_parse_listen(const char *text, struct config_listener *listener)
{
	const char *why;

	return config_address_parse_listen(text, listener, &why);
}

int config_parse_destination(const char *text, struct config_listener *listener)
{
	const char *why;

	return config_address_parse_destination(text, listener, &why);
}

const char *config_address_print(const struct config_listener *listener, char *buf, size_t len)
{
	char address[INET6_ADDRSTRLEN], scope[16] = "";
	const struct sockaddr_in6 *in6 = &listener->address.in6;

	if (listener->address.sa.sa_family != AF_INET6) {
		inet_ntop(AF_INET, &listener->address.in.sin_addr, address, sizeof(address));
		snprintf(buf, len, "%s:%u", address, ntohs(listener->address.in.sin_port));
		return buf;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
	if (in6->sin6_scope_id)
		snprintf(scope, sizeof(scope), "%%%u", in6->sin6_scope_id);
	snprintf(buf, len, "[%s%s]:%u", address, scope, ntohs(in6->sin6_port));
	return buf;
}

bool config_address_same(const struct config_listener *a, const struct config_listener *b)
{
	const struct sockaddr_in6 *a6 = &a->address.in6, *b6 = &b->address.in6;

	if (a->address.sa.sa_family != b->address.sa.sa_family)
		return false;
	if (a->address.sa.sa_family == AF_INET6)
		return a6->sin6_port && a6->sin6_port == b6->sin6_port &&
		       a6->sin6_scope_id == b6->sin6_scope_id &&
		       IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
	return a->address.in.sin_port && a->address.in.sin_port == b->address.in.sin_port &&
	       a->address.in.sin_addr.s_addr == b->address.in.sin_addr.s_addr;
}

bool config_address_leads_to(const struct config_listener *from, const struct config_listener *to)
{
	struct config_listener numeric;
	struct address_parts parts = {.brackets = strchr(from->host, ':') != NULL};
	const char *why;

	if (from->destination != DESTINATION_STATIC || !from->host[0])
		return false;
	memcpy(parts.host, from->host, sizeof(parts.host));
	if (parse_numeric(&parts, from->port, &numeric, &why))
		return false;
	return config_address_same(&numeric, to);
}
