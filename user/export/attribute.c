// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/attribute.h"

#include <stdio.h>
#include <string.h>

#include "observe/http_decoder.h"

static const char *decimal(char text[ATTRIBUTE_NUMBER_MAX], int value)
{
	snprintf(text, ATTRIBUTE_NUMBER_MAX, "%d", value);
	return text;
}

static const char *hexadecimal(char text[ATTRIBUTE_NUMBER_MAX], uint16_t value)
{
	snprintf(text, ATTRIBUTE_NUMBER_MAX, "0x%04x", value);
	return text;
}

void attribute_address(const union conn_address *address, struct attribute_address *out)
{
	char text[64];
	char *host = text, *colon;

	memset(out, 0, sizeof(*out));
	conn_address_print(address, text, sizeof(text));
	colon = strrchr(text, ':');
	if (!colon)
		return;
	*colon = '\0';
	if (*host == '[') {
		host++;
		colon[-1] = '\0';
	}
	snprintf(out->host, sizeof(out->host), "%s", host);
	snprintf(out->port, sizeof(out->port), "%.5s", colon + 1);
}

const char *attribute_direction(enum observe_direction direction)
{
	return direction == OBSERVE_INCOMING ? "incoming" : "outgoing";
}

const char *attribute_scheme(bool plain)
{
	return plain ? "http" : "https";
}

const char *attribute_http_version(enum observe_http_version version)
{
	switch (version) {
	case OBSERVE_HTTP_1_0: return "1.0";
	case OBSERVE_HTTP_1_1: return "1.1";
	case OBSERVE_HTTP_2: return "2";
	}
	return "";
}

const char *attribute_status(int status, char text[ATTRIBUTE_NUMBER_MAX])
{
	return status ? decimal(text, status) : "";
}

const char *attribute_grpc_status(int status, char text[ATTRIBUTE_NUMBER_MAX])
{
	return status >= 0 ? decimal(text, status) : "";
}

const char *attribute_tls_version(uint16_t version, char text[ATTRIBUTE_NUMBER_MAX])
{
	switch (version) {
	case 0: return "";
	case 0x0303: return "1.2";
	case 0x0304: return "1.3";
	default: return hexadecimal(text, version);
	}
}

const char *attribute_tls_cipher(uint16_t suite, char text[ATTRIBUTE_NUMBER_MAX])
{
	const char *name = suite ? conn_suite_name(suite) : "";

	return name ? name : hexadecimal(text, suite);
}

const char *attribute_trouble(unsigned int trouble)
{
	static const char *const names[HTTP_TROUBLES] = {
		[HTTP_TROUBLE_NONE] = "none",         [HTTP_TROUBLE_GAP] = "gap",
		[HTTP_TROUBLE_SAMPLER] = "sampler",   [HTTP_TROUBLE_MALFORMED] = "malformed",
		[HTTP_TROUBLE_TOO_MANY] = "too_many",
	};

	return trouble < HTTP_TROUBLES ? names[trouble] : "unknown";
}
