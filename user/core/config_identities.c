// SPDX-License-Identifier: GPL-2.0-or-later
/* The section "identities" of the configuration file: files alone; what is in them is pki's. */
#include "core/config_identities.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_IDENTITIES 256
#define MAX_NAMES      256

/* "www.example.com", "*.example.com": ASCII labels of 1 to 63 (RFC 1035 2.3.4, RFC 9525 6.3). */
static bool is_name(const char *name)
{
	size_t label = 0, len = strlen(name);

	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	if (len > 253)
		return false;
	for (;; name++) {
		if (*name == '.' || !*name) {
			if (label == 0 || label > 63)
				return false;
			if (!*name)
				return true;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
		label++;
	}
}

static int read_name(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct identity_source *source = out;
	const char *text = NULL;
	char *name;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (!is_name(text))
		return config_reader_fail(
			reader,
			"\"%s\": is \"%.256s\", expected a host name or a wildcard "
			"for its first label, \"*.example.com\"",
			key, text);
	name = strdup(text);
	if (!name)
		return config_reader_fail(reader, "\"%s\": out of memory", key);
	for (size_t i = 0; name[i]; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	source->names[source->names_len++] = name;
	return 0;
}

static int read_names(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	/* Its place in the source is the field's, so that the source is found from it. */
	struct identity_source *source =
		(void *)((char *)out - offsetof(struct identity_source, names));

	source->names = calloc(MAX_NAMES, sizeof(*source->names));
	if (!source->names)
		return config_reader_fail(reader, "\"%s\": out of memory", key);
	return config_reader_list(reader, value, key, MAX_NAMES, read_name, source);
}

static const struct config_field fields[] = {
	{"cert", config_reader_string, offsetof(struct identity_source, cert)},
	{"key", config_reader_string, offsetof(struct identity_source, key)},
	{"ocsp", config_reader_string, offsetof(struct identity_source, ocsp)},
	{"names", read_names, offsetof(struct identity_source, names)},
	{"default", config_reader_bool, offsetof(struct identity_source, is_default)},
	{.name = NULL},
};

static int read_identity(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	struct config *config = out;
	/* Counted from the start, so that what a refused one holds is freed with the config. */
	struct identity_source *source = &config->identities[config->identities_len++];
	int rc = config_reader_object(reader, value, key, fields, source);

	if (rc)
		return rc;
	if (!source->cert || !source->key)
		return config_reader_fail(reader, "\"%s.%s\": missing, expected a PEM file", key,
					  source->cert ? "key" : "cert");
	return 0;
}

int config_identities_read(struct config_reader *reader, const cJSON *list, const char *key,
			   void *out)
{
	struct config *config = out;

	config_identities_free(config);
	config->identities = calloc(MAX_IDENTITIES, sizeof(*config->identities));
	if (!config->identities)
		return config_reader_fail(reader, "\"%s\": out of memory", key);
	return config_reader_list(reader, list, key, MAX_IDENTITIES, read_identity, out);
}

void config_identities_free(struct config *config)
{
	for (size_t i = 0; i < config->identities_len; i++) {
		struct identity_source *source = &config->identities[i];

		free(source->cert);
		free(source->key);
		free(source->ocsp);
		for (size_t k = 0; k < source->names_len; k++)
			free(source->names[k]);
		free(source->names);
	}
	free(config->identities);
	config->identities = NULL;
	config->identities_len = 0;
}
