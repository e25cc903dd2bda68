// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/content_name.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VALUE_MAX 100
#define PATTERN_MAX 500

static const char *const known = "TDiscpor%";

/* "." and ".." lead elsewhere, and so may an escape with a dot beside it: no part begins with one. */
static bool has_dot_part(const char *pattern)
{
	for (const char *at = strchr(pattern, '/'); at; at = strchr(at + 1, '/'))
		if (at[1] == '.')
			return true;
	return false;
}

const char *content_name_check(const char *pattern)
{
	bool has_number = false;

	if (pattern[0] != '/' || pattern[strlen(pattern) - 1] == '/')
		return "an absolute path of files";
	if (strlen(pattern) > PATTERN_MAX)
		return "a shorter path";
	if (has_dot_part(pattern))
		return "a path without parts that begin with a dot";
	for (const char *at = strchr(pattern, '%'); at; at = strchr(at + 2, '%')) {
		if (!at[1] || !strchr(known, at[1]))
			return "%T, %D, %i, %s, %c, %p, %o, %r or %% where there is a percent sign";
		has_number |= at[1] == 'i';
	}
	return has_number ? NULL : "%i in it, so that each connection has files of its own";
}

size_t content_name_fixed(const char *pattern)
{
	size_t len = strcspn(pattern, "%");

	while (len > 0 && pattern[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

static void print_address(const union conn_address *address, char *out, size_t out_len)
{
	const void *bytes = &address->in.sin_addr;
	int family = address->sa.sa_family;

	if (family == AF_INET6) {
		bytes = &address->in6.sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
			bytes = address->in6.sin6_addr.s6_addr + 12;
			family = AF_INET;
		}
	}
	if ((family != AF_INET && family != AF_INET6) ||
	    !inet_ntop(family, bytes, out, (socklen_t)out_len))
		snprintf(out, out_len, "none");
}

static unsigned int port_of(const union conn_address *address)
{
	/* At the same place in both (RFC 3493 3.3). */
	return ntohs(address->in.sin_port);
}

static void print_time(int64_t ms, bool date_alone, char *out, size_t out_len)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (!gmtime_r(&seconds, &parts))
		snprintf(out, out_len, "none");
	else if (date_alone)
		strftime(out, out_len, "%Y%m%d", &parts);
	else
		strftime(out, out_len, "%Y%m%dT%H%M%SZ", &parts);
}

static void make_harmless(char *text)
{
	if (*text == '.')
		*text = '_';
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(".-_", *text))
			*text = '_';
}

static void print_value(char escape, const struct tap_about *about, char *out, size_t out_len)
{
	switch (escape) {
	case 'T': print_time(about->start_ms, false, out, out_len); break;
	case 'D': print_time(about->start_ms, true, out, out_len); break;
	case 'i': snprintf(out, out_len, "%" PRIu64, about->id); break;
	case 's': snprintf(out, out_len, "%.*s", VALUE_MAX, about->sni[0] ? about->sni : "none"); break;
	case 'c': print_address(&about->client, out, out_len); break;
	case 'p': snprintf(out, out_len, "%u", port_of(&about->client)); break;
	case 'o': print_address(&about->origin, out, out_len); break;
	default: snprintf(out, out_len, "%u", port_of(&about->origin)); break;
	}
	make_harmless(out);
}

int content_name_expand(const char *pattern, const struct tap_about *about, char *out,
			size_t out_len)
{
	char value[VALUE_MAX + 1];
	size_t used = 0;

	for (; *pattern; pattern++) {
		int n;

		if (*pattern != '%' || pattern[1] == '%') {
			pattern += *pattern == '%';
			n = snprintf(out + used, out_len - used, "%c", *pattern);
		} else {
			print_value(*++pattern, about, value, sizeof(value));
			n = snprintf(out + used, out_len - used, "%s", value);
		}
		if (n < 0 || (size_t)n >= out_len - used)
			return -ENAMETOOLONG;
		used += (size_t)n;
	}
	return 0;
}
