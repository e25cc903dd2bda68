// SPDX-License-Identifier: GPL-2.0-or-later
/* The section "listeners" of the configuration file. */
#include "core/config_listener.h"

#include <errno.h>
#include <string.h>

#include "core/config_address.h"

/* A listener on its way, and what was said that only listeners for incoming calls can have. */
struct reading {
	struct config_listener listener;
	const char *incoming_key; /* static; NULL: nothing */
	bool alpn_given, starttls_wanted;
};

/* `out` is the whole of it for every member: config_field's offsets are 0. */
static int read_address(struct config_reader *reader, const cJSON *value, const char *key,
			void *out,
			int (*parse)(const char *text, struct config_listener *listener,
				     const char **why))
{
	struct reading *reading = out;
	const char *why;

	if (!cJSON_IsString(value))
		return config_reader_fail(reader, "\"%s\": is %s, expected text in quotes", key,
					  config_reader_type_name(value));
	if (parse(value->valuestring, &reading->listener, &why))
		return config_reader_fail(reader, "\"%s\": is \"%.256s\", %s", key,
					  value->valuestring, why);
	return 0;
}

static int read_listen(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	return read_address(reader, value, key, out, config_address_parse_listen);
}

static int read_to(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	return read_address(reader, value, key, out, config_address_parse_destination);
}

/* One of some words: its place in the list, which ends with NULL. -EINVAL told. */
static int read_word(struct config_reader *reader, const cJSON *value, const char *key,
		     const char *const *words, const char *expected)
{
	const char *text = NULL;
	int rc = config_reader_text(reader, value, key, &text);

	for (int i = 0; !rc && words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return rc ? rc
		  : config_reader_fail(reader, "\"%s\": is \"%.64s\", expected %s", key, text,
				       expected);
}

static int read_direction(struct config_reader *reader, const cJSON *value, const char *key,
			  void *out)
{
	static const char *const words[] = {"outgoing", "incoming", NULL};
	struct reading *reading = out;
	int word = read_word(reader, value, key, words, "outgoing or incoming");

	if (word < 0)
		return word;
	reading->listener.incoming = word == 1;
	return 0;
}

static int read_starttls(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	static const char *const words[] = {"auto", "off", NULL};
	struct reading *reading = out;
	int word = read_word(reader, value, key, words, "auto or off");

	if (word < 0)
		return word;
	reading->listener.starttls_off = word == 1;
	reading->starttls_wanted = word == 0;
	return 0;
}

static int read_client_address(struct config_reader *reader, const cJSON *value, const char *key,
			       void *out)
{
	static const char *const words[] = {"none", "proxy_v2", "transparent", NULL};
	struct reading *reading = out;
	int word = read_word(reader, value, key, words, "none, proxy_v2 or transparent");

	if (word < 0)
		return word;
	reading->listener.client_address = (enum config_client_address)word;
	reading->incoming_key = "client_address";
	return 0;
}

static int read_upstream_tls(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	struct reading *reading = out;
	bool tls = true;
	int rc = config_reader_bool(reader, value, key, &tls);

	reading->listener.plain_upstream = !tls;
	reading->incoming_key = "upstream_tls";
	return rc;
}

/* A protocol name goes into the list as RFC 7301 section 3.1 has it: length, bytes. */
static int read_protocol(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	struct config_listener *listener = out;
	const char *name;
	size_t len;
	int rc = config_reader_text(reader, value, key, &name);

	if (rc)
		return rc;
	len = strlen(name);
	if (listener->alpn_len + 1 + len > sizeof(listener->alpn))
		return config_reader_fail(reader,
					  "\"%s\": too long, expected names of %zu bytes together",
					  key, sizeof(listener->alpn));
	listener->alpn[listener->alpn_len++] = (uint8_t)len;
	memcpy(listener->alpn + listener->alpn_len, name, len);
	listener->alpn_len += len;
	return 0;
}

static int read_alpn(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct reading *reading = out;

	reading->incoming_key = "alpn";
	reading->alpn_given = true;
	return config_reader_list(reader, value, key, 16, read_protocol, &reading->listener);
}

static const struct config_field fields[] = {
	{.name = "listen", .read = read_listen},
	{.name = "to", .read = read_to},
	{.name = "direction", .read = read_direction},
	{.name = "starttls", .read = read_starttls},
	{.name = "upstream_tls", .read = read_upstream_tls},
	{.name = "client_address", .read = read_client_address},
	{.name = "alpn", .read = read_alpn},
	{.name = NULL},
};

/* Do its members go together? */
static int check(struct config_reader *reader, const struct reading *reading, const char *key)
{
	const struct config_listener *listener = &reading->listener;

	if (!listener->address.sa.sa_family)
		return config_reader_fail(reader, "\"%s.listen\": missing, expected \"ADDR:PORT\"",
					  key);
	if (listener->destination == DESTINATION_STATIC && !listener->host[0])
		return config_reader_fail(
			reader,
			"\"%s.to\": missing, expected \"original\", \"tproxy\", \"sni:PORT\" or "
			"\"HOST:PORT\"",
			key);
	if (!listener->incoming && reading->incoming_key)
		return config_reader_fail(
			reader,
			"\"%s.%s\": is for incoming calls; expected \"direction\": "
			"\"incoming\" beside it",
			key, reading->incoming_key);
	if (listener->incoming && listener->destination == DESTINATION_SNI)
		return config_reader_fail(
			reader,
			"\"%s.to\": is the SNI, by which any client could reach any host; expected "
			"\"original\", \"tproxy\" or \"HOST:PORT\" for incoming calls",
			key);
	if (reading->alpn_given && !listener->plain_upstream)
		return config_reader_fail(reader,
					  "\"%s.alpn\": is for a service in plain TCP; one that "
					  "speaks TLS chooses by itself",
					  key);
	if (reading->starttls_wanted && listener->plain_upstream)
		return config_reader_fail(
			reader,
			"\"%s.starttls\": is agreed on with a service that speaks TLS; expected "
			"\"off\" beside \"upstream_tls\": false",
			key);
	return 0;
}

static int read_listener(struct config_reader *reader, const cJSON *object, const char *key,
			 void *out)
{
	static const uint8_t http1[] = "\x08http/1.1";
	struct reading reading = {.listener = {.destination = DESTINATION_STATIC}};
	struct config *config = out;
	int rc = config_reader_object(reader, object, key, fields, &reading);

	if (!rc)
		rc = check(reader, &reading, key);
	if (rc)
		return rc;
	if (reading.listener.plain_upstream && !reading.alpn_given) {
		memcpy(reading.listener.alpn, http1, sizeof(http1) - 1);
		reading.listener.alpn_len = sizeof(http1) - 1;
	}
	config->listeners[config->listeners_len++] = reading.listener;
	return 0;
}

int config_listener_read_all(struct config_reader *reader, const cJSON *list, const char *key,
			     void *out)
{
	if (!cJSON_IsArray(list))
		return config_reader_fail(reader, "\"%s\": is %s, expected a list of objects", key,
					  config_reader_type_name(list));
	reader->config->listeners_len = 0;
	return config_reader_list(reader, list, key, CONFIG_MAX_LISTENERS, read_listener, out);
}
