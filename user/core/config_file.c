// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config.h"

#include <cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/config_capture.h"
#include "core/config_error.h"
#include "core/config_identities.h"
#include "core/config_json.h"
#include "core/config_listener.h"
#include "core/config_pass.h"
#include "core/config_reader.h"
#include "core/config_setting.h"
#include "core/config_taps.h"
#include "core/config_tls.h"
#include "core/config_upstream.h"

/* Sections, and members of the others, that have a reader of their own. */
static const struct config_field sections[] = {
	{.name = "listeners", .read = config_listener_read_all},
	{.name = "capture", .read = config_capture_read},
	{.name = "identities", .read = config_identities_read},
	{.name = "pass", .read = config_pass_read},
	{.name = "tls", .read = config_tls_read},
	{.name = "upstream.rules", .read = config_upstream_read_rules},
	{.name = "taps.sni", .read = config_taps_read_sni},
	{.name = "taps.networks", .read = config_taps_read_networks},
	{.name = "taps.ports", .read = config_taps_read_ports},
	{.name = NULL},
};

/* Does `key` lie in `section`, directly or deeper? Then what follows, else NULL. */
static const char *key_inside(const char *key, const char *section)
{
	size_t len = strlen(section);

	if (len == 0)
		return key;
	return strncmp(key, section, len) == 0 && key[len] == '.' ? key + len + 1 : NULL;
}

static bool is_section(const char *key)
{
	const struct config_setting *s;

	for (s = config_settings; s->key; s++) {
		if (key_inside(s->key, key))
			return true;
	}
	return false;
}

/* A setting of this name in another section: the usual slip. */
static const char *find_elsewhere(const char *name)
{
	const struct config_setting *s;
	const char *dot;

	for (s = config_settings; s->key; s++) {
		dot = strrchr(s->key, '.');
		if (strcmp(dot ? dot + 1 : s->key, name) == 0)
			return s->key;
	}
	return NULL;
}

static int fail_unknown(struct config_reader *reader, const char *key, const char *name)
{
	struct config_suggestion suggestion = {.word = name};
	const struct config_setting *s;
	const struct config_field *own;
	char section[256];
	const char *rest;

	/* Without the name and the dot before it. */
	snprintf(section, sizeof(section), "%.*s",
		 (int)(strlen(key) - strnlen(name, CONFIG_READER_NAME)), key);
	if (*section)
		section[strlen(section) - 1] = '\0';
	for (s = config_settings; s->key; s++) {
		rest = key_inside(s->key, section);
		if (rest)
			config_suggestion_offer(&suggestion, rest, strcspn(rest, "."));
	}
	for (own = sections; own->name; own++) {
		rest = key_inside(own->name, section);
		if (rest)
			config_suggestion_offer(&suggestion, rest, strcspn(rest, "."));
	}
	if (suggestion.name)
		return config_reader_fail(reader, "\"%s\": unknown key, did you mean \"%s%s%.*s\"?",
					  key, section, *section ? "." : "",
					  (int)suggestion.name_len, suggestion.name);
	rest = find_elsewhere(name);
	if (rest)
		return config_reader_fail(reader, "\"%s\": unknown key, did you mean \"%s\"?", key,
					  rest);
	return config_reader_fail(
		reader, "\"%s\": unknown key, see ksplit.json(5) for those that there are", key);
}

static int read_setting(struct config_reader *reader, const struct config_setting *setting,
			const cJSON *value)
{
	char why[320], expected[128];
	int rc;

	if (cJSON_IsString(value) && setting->type != SETTING_NUMBER)
		rc = config_setting_set_text(setting, reader->config, value->valuestring, why,
					     sizeof(why));
	else if (cJSON_IsNumber(value))
		rc = config_setting_set_number(setting, reader->config, value->valuedouble, why,
					       sizeof(why));
	else if (cJSON_IsBool(value))
		rc = config_setting_set_bool(setting, reader->config, cJSON_IsTrue(value), why,
					     sizeof(why));
	else
		return config_reader_fail(
			reader, "\"%s\": is %s, expected %s", setting->key,
			config_reader_type_name(value),
			config_setting_expected(setting, expected, sizeof(expected)));
	if (rc == 0)
		return 0;
	config_reader_fail(reader, "\"%s\": %s", setting->key, why);
	return rc;
}

static const struct config_field *find_section(const char *key)
{
	const struct config_field *section;

	for (section = sections; section->name; section++) {
		if (strcmp(section->name, key) == 0)
			return section;
	}
	return NULL;
}

/* A member of the outermost object, or of a section without a reader of its own. */
static int read_member(struct config_reader *reader, const cJSON *member, const char *key,
		       void *out)
{
	/* A dot in the file is a part of the name and names no section. */
	const bool dotted = strchr(member->string, '.');
	const struct config_field *section = dotted ? NULL : find_section(key);
	const struct config_setting *setting = dotted ? NULL : config_setting_find_key(key);

	if (section)
		return section->read(reader, member, key, out);
	if (setting)
		return read_setting(reader, setting, member);
	if (!*member->string || dotted || !is_section(key))
		return fail_unknown(reader, key, member->string);
	return config_reader_members(reader, member, key, read_member, out);
}

int config_read_file(struct config *config, const char *path, char *error, size_t error_len)
{
	struct config_reader reader = {
		.config = config, .path = path, .error = error, .error_len = error_len};
	struct config_json json;
	int rc;

	rc = config_json_load(path, &json, error, error_len);
	if (rc)
		return rc;
	reader.text = json.text;
	if (cJSON_IsObject(json.root))
		rc = config_reader_members(&reader, json.root, "", read_member, config);
	else
		rc = config_reader_fail(&reader, "is %s, expected an object: { ... }",
					config_reader_type_name(json.root));
	config_json_free(&json);
	return rc;
}
