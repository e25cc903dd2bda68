// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/capture_value.h"
#include "core/config_address.h"

#define MAX_MARK     4294967294U /* one more is the mark for method tproxy */
#define MIN_WATCHDOG 500U
#define MAX_WATCHDOG 600000U
#define MAX_TABLE    31U
#define HTTPS        443

#define MATCH(name_, reader_)                                                                      \
	{                                                                                          \
		.name = #name_, .read = capture_value_read_##reader_,                              \
		.offset = offsetof(struct capture_match, name_)                                    \
	}
#define PART(name_, reader_)                                                                       \
	{                                                                                          \
		.name = #name_, .read = capture_value_read_##reader_,                              \
		.offset = offsetof(struct capture_part, match.name_)                               \
	}

/* One address of a listener; which listener it is, and whether there is one, is seen later. */
static int read_listener(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	struct config_listener listener = {.destination = DESTINATION_STATIC};
	struct capture_part *part = out;
	const char *text, *why;
	size_t i;
	int rc;

	rc = config_reader_text(reader, value, key, &text);
	if (rc)
		return rc;
	if (config_address_parse_listen(text, &listener, &why))
		return config_reader_fail(reader, "\"%s\": is \"%.128s\", %s", key, text, why);
	if (!listener.address.in.sin_port)
		return config_reader_fail(
			reader,
			"\"%s\": is \"%.128s\", expected a port other than 0: rules need it", key,
			text);
	for (i = 0; i < part->named_len; i++) {
		if (part->named[i].sa.sa_family == listener.address.sa.sa_family)
			return config_reader_fail(reader,
						  "\"%s\": is \"%.128s\", expected one listener "
						  "for IPv4 and one for IPv6 at most",
						  key, text);
	}
	memcpy(&part->named[part->named_len++], &listener.address, sizeof(listener.address));
	return 0;
}

static int read_listeners(struct config_reader *reader, const cJSON *value, const char *key,
			  void *out)
{
	struct capture_part *part = out;

	part->listener_line = config_reader_line(reader);
	part->named_len = 0;
	if (cJSON_IsArray(value) && value->child)
		return config_reader_list(reader, value, key, CAPTURE_NAMED_MAX, read_listener,
					  part);
	return read_listener(reader, value, key, part);
}

static int read_method(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (strcmp(text, "redirect") != 0 && strcmp(text, "tproxy") != 0)
		return config_reader_fail(
			reader, "\"%s\": is \"%.64s\", expected redirect or tproxy", key, text);
	*(enum capture_method *)out = *text == 't' ? CAPTURE_TPROXY : CAPTURE_REDIRECT;
	return 0;
}

static int read_outgoing_exempt(struct config_reader *reader, const cJSON *value, const char *key,
				void *out)
{
	static const struct config_field fields[] = {
		MATCH(ports, ports), MATCH(networks, networks),
		MATCH(users, users), MATCH(cgroups, cgroups),
		{.name = NULL},
	};

	return config_reader_object(reader, value, key, fields, out);
}

static int read_incoming_exempt(struct config_reader *reader, const cJSON *value, const char *key,
				void *out)
{
	static const struct config_field fields[] = {
		MATCH(ports, ports),
		MATCH(networks, networks),
		MATCH(sources, networks),
		{.name = NULL},
	};

	return config_reader_object(reader, value, key, fields, out);
}

static int read_forwarded_exempt(struct config_reader *reader, const cJSON *value, const char *key,
				 void *out)
{
	static const struct config_field fields[] = {
		MATCH(ports, ports),      MATCH(networks, networks),
		MATCH(sources, networks), MATCH(interfaces, interfaces),
		{.name = NULL},
	};

	return config_reader_object(reader, value, key, fields, out);
}

static int read_hook_exempt(struct config_reader *reader, const cJSON *value, const char *key,
			    void *out)
{
	static const struct config_field fields[] = {
		MATCH(ports, ports),
		MATCH(networks, networks),
		MATCH(cgroups, cgroups),
		{.name = NULL},
	};

	return config_reader_object(reader, value, key, fields, out);
}

static const struct config_field outgoing_fields[] = {
	PART(ports, ports),
	PART(networks, networks),
	PART(users, users),
	PART(cgroups, cgroups),
	{"exempt", read_outgoing_exempt, offsetof(struct capture_part, exempt)},
	{"listener", read_listeners, 0},
	{.name = NULL},
};

static const struct config_field incoming_fields[] = {
	PART(ports, ports),
	PART(networks, networks),
	PART(sources, networks),
	{"exempt", read_incoming_exempt, offsetof(struct capture_part, exempt)},
	{"listener", read_listeners, 0},
	{.name = NULL},
};

static const struct config_field forwarded_fields[] = {
	PART(ports, ports),
	PART(networks, networks),
	PART(sources, networks),
	PART(interfaces, interfaces),
	{"method", read_method, offsetof(struct capture_part, method)},
	{"exempt", read_forwarded_exempt, offsetof(struct capture_part, exempt)},
	{"listener", read_listeners, 0},
	{.name = NULL},
};

static const struct config_field hook_fields[] = {
	PART(ports, ports),
	PART(networks, networks),
	PART(cgroups, cgroups),
	PART(units, units),
	{"exempt", read_hook_exempt, offsetof(struct capture_part, exempt)},
	{"listener", read_listeners, 0},
	{.name = NULL},
};

static const struct config_field *const part_fields[CAPTURE_KINDS] = {
	[CAPTURE_OUTGOING] = outgoing_fields,
	[CAPTURE_INCOMING] = incoming_fields,
	[CAPTURE_FORWARDED] = forwarded_fields,
	[CAPTURE_HOOK] = hook_fields,
};

static int read_part(struct config_reader *reader, const cJSON *value, const char *key,
		     enum capture_kind kind)
{
	struct capture_part *part = &reader->config->capture.parts[kind];
	int rc;

	part->line = config_reader_line(reader);
	rc = config_reader_object(reader, value, key, part_fields[kind], part);
	if (rc)
		return rc;
	part->given = true;
	if (part->match.ports.len)
		return 0;
	return capture_value_add_port(&part->match.ports, HTTPS);
}

static int read_outgoing(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	(void)out;
	return read_part(reader, value, key, CAPTURE_OUTGOING);
}

static int read_incoming(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	(void)out;
	return read_part(reader, value, key, CAPTURE_INCOMING);
}

static int read_forwarded(struct config_reader *reader, const cJSON *value, const char *key,
			  void *out)
{
	(void)out;
	return read_part(reader, value, key, CAPTURE_FORWARDED);
}

static int read_hook(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const struct capture_match *match = &reader->config->capture.parts[CAPTURE_HOOK].match;
	int rc;

	(void)out;
	rc = read_part(reader, value, key, CAPTURE_HOOK);
	if (rc)
		return rc;
	if (!match->cgroups.len && !match->units.len)
		return config_reader_fail(
			reader, "\"%s\": names nobody, expected \"cgroups\" or \"units\"", key);
	return 0;
}

static int read_mark(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	return config_reader_number(reader, value, key, 1, MAX_MARK, out);
}

static int read_watchdog(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	return config_reader_number(reader, value, key, MIN_WATCHDOG, MAX_WATCHDOG, out);
}

/* Only names of our own: a slip must not add to somebody else's table, or replace it. */
static int read_table(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *text;
	char *copy;
	int rc;

	rc = config_reader_text(reader, value, key, &text);
	if (rc)
		return rc;
	if (strncmp(text, CAPTURE_TABLE, strlen(CAPTURE_TABLE)) != 0 || strlen(text) > MAX_TABLE ||
	    text[strspn(text, letters)])
		return config_reader_fail(reader,
					  "\"%s\": is \"%.64s\", expected " CAPTURE_TABLE
					  ", alone or with a-z, 0-9 and _ behind it, at most %u "
					  "letters",
					  key, text, MAX_TABLE);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*(char **)out);
	*(char **)out = copy;
	return 0;
}

/* TCP is captured on the ports that are listed, QUIC has one. */
static bool captures_https(const struct capture *capture)
{
	const struct capture_ports *ports;

	for (size_t i = 0; i < CAPTURE_KINDS; i++) {
		ports = &capture->parts[i].match.ports;
		for (size_t j = 0; j < ports->len; j++) {
			if (ports->list[j] == HTTPS)
				return true;
		}
	}
	return false;
}

int config_capture_read(struct config_reader *reader, const cJSON *value, const char *key,
			void *out)
{
	static const struct config_field fields[] = {
		{"outgoing", read_outgoing, 0},
		{"incoming", read_incoming, 0},
		{"forwarded", read_forwarded, 0},
		{"hook", read_hook, 0},
		{"refuse_quic", config_reader_bool, offsetof(struct capture, refuse_quic)},
		{"mark", read_mark, offsetof(struct capture, mark)},
		{"watchdog", read_watchdog, offsetof(struct capture, watchdog)},
		{"table", read_table, offsetof(struct capture, table)},
		{.name = NULL},
	};
	struct capture *capture = &reader->config->capture;
	int rc;

	(void)out;
	rc = config_reader_object(reader, value, key, fields, capture);
	if (rc)
		return rc;
	if (capture->refuse_quic && !captures_https(capture))
		return config_reader_fail(reader,
					  "\"%s.refuse_quic\": is true, and no part captures port "
					  "%d, whose clients it is for; expected false",
					  key, HTTPS);
	return 0;
}
