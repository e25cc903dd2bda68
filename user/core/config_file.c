// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config.h"

#include <cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/config_address.h"
#include "core/config_error.h"
#include "core/config_json.h"
#include "core/config_setting.h"
#include "core/json_text.h"

#define DEPTH_MAX 4

/* One file on its way into a struct config. */
struct reader {
	struct config *config;
	const char *path;
	const char *text;       /* comments blanked */
	size_t step[DEPTH_MAX]; /* where we are, see json_text_line_of */
	size_t depth;
	char *error;
	size_t error_len;
};

/* Sections that a coming version reads. */
static const char *const later_keys[] = {"capture", "pass", "identities", "user", NULL};

static int fail(struct reader *reader, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "FILE:LINE: message" with the line of what is being read; -EINVAL. */
static int fail(struct reader *reader, const char *fmt, ...)
{
	size_t line = json_text_line_of(reader->text, reader->step, reader->depth);
	char message[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	config_error_set(reader->error, reader->error_len, "%s:%zu: %s", reader->path, line,
			 message);
	return -EINVAL;
}

static const char *type_name(const cJSON *value)
{
	if (cJSON_IsString(value))
		return "a string";
	if (cJSON_IsNumber(value))
		return "a number";
	if (cJSON_IsBool(value))
		return cJSON_IsTrue(value) ? "true" : "false";
	if (cJSON_IsObject(value))
		return "an object";
	return cJSON_IsArray(value) ? "a list" : "null";
}

/* "a.b" of section "a" and name "b"; "" is the outermost section. */
static void key_join(char *key, size_t len, const char *section, const char *name)
{
	snprintf(key, len, "%s%s%.100s", section, *section ? "." : "", name);
}

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

static int fail_unknown(struct reader *reader, const char *section, const char *name)
{
	struct config_suggestion suggestion = {.word = name};
	const struct config_setting *s;
	const char *rest;
	char key[256];

	key_join(key, sizeof(key), section, name);
	for (s = config_settings; s->key; s++) {
		rest = key_inside(s->key, section);
		if (rest)
			config_suggestion_offer(&suggestion, rest, strcspn(rest, "."));
	}
	if (!*section)
		config_suggestion_offer(&suggestion, "listeners", strlen("listeners"));
	if (suggestion.name)
		return fail(reader, "\"%s\": unknown key, did you mean \"%s%s%.*s\"?", key, section,
			    *section ? "." : "", (int)suggestion.name_len, suggestion.name);
	rest = find_elsewhere(name);
	if (rest)
		return fail(reader, "\"%s\": unknown key, did you mean \"%s\"?", key, rest);
	return fail(reader, "\"%s\": unknown key, see ksplit.json(5) for those that there are",
		    key);
}

/* Is this member's name new in its object? */
static bool is_first(const cJSON *object, const cJSON *member)
{
	const cJSON *other;

	for (other = object->child; other != member; other = other->next) {
		if (strcmp(other->string, member->string) == 0)
			return false;
	}
	return true;
}

static int read_setting(struct reader *reader, const struct config_setting *setting,
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
		return fail(reader, "\"%s\": is %s, expected %s", setting->key, type_name(value),
			    config_setting_expected(setting, expected, sizeof(expected)));
	if (rc == 0)
		return 0;
	fail(reader, "\"%s\": %s", setting->key, why);
	return rc;
}

/* "listen" or "to" of a listener. */
static int read_listener_member(struct reader *reader, const cJSON *member, const char *key,
				struct config_listener *listener)
{
	const char *why;
	int rc;

	if (strcmp(member->string, "listen") != 0 && strcmp(member->string, "to") != 0)
		return fail(reader, "\"%s\": unknown key, a listener has \"listen\" and \"to\"",
			    key);
	if (!cJSON_IsString(member))
		return fail(reader, "\"%s\": is %s, expected text in quotes", key,
			    type_name(member));
	if (strcmp(member->string, "listen") == 0)
		rc = config_address_parse_listen(member->valuestring, listener, &why);
	else
		rc = config_address_parse_destination(member->valuestring, listener, &why);
	if (rc)
		return fail(reader, "\"%s\": is \"%.256s\", %s", key, member->valuestring, why);
	return 0;
}

static int read_listener(struct reader *reader, const cJSON *object, size_t index)
{
	struct config_listener listener = {.destination = DESTINATION_STATIC};
	const cJSON *member;
	char key[160];
	int rc = 0;

	if (!cJSON_IsObject(object))
		return fail(reader, "\"listeners[%zu]\": is %s, expected an object", index,
			    type_name(object));
	reader->step[reader->depth++] = 0;
	cJSON_ArrayForEach(member, object) {
		snprintf(key, sizeof(key), "listeners[%zu].%.100s", index, member->string);
		if (!is_first(object, member))
			rc = fail(reader, "\"%s\": given twice", key);
		else
			rc = read_listener_member(reader, member, key, &listener);
		if (rc)
			return rc;
		reader->step[reader->depth - 1]++;
	}
	reader->depth--;
	if (!listener.address.sa.sa_family)
		return fail(reader, "\"listeners[%zu].listen\": missing, expected \"ADDR:PORT\"",
			    index);
	if (listener.destination == DESTINATION_STATIC && !listener.host[0])
		return fail(reader,
			    "\"listeners[%zu].to\": missing, expected \"original\", \"tproxy\", "
			    "\"sni:PORT\" or \"HOST:PORT\"",
			    index);
	reader->config->listeners[reader->config->listeners_len++] = listener;
	return 0;
}

static int read_listeners(struct reader *reader, const cJSON *list)
{
	const cJSON *element;
	size_t index = 0;
	int rc;

	if (!cJSON_IsArray(list))
		return fail(reader, "\"listeners\": is %s, expected a list of objects",
			    type_name(list));
	reader->config->listeners_len = 0;
	reader->depth++;
	cJSON_ArrayForEach(element, list) {
		reader->step[reader->depth - 1] = index;
		if (index == CONFIG_MAX_LISTENERS)
			return fail(reader, "\"listeners[%zu]\": too many, expected at most %d",
				    index, CONFIG_MAX_LISTENERS);
		rc = read_listener(reader, element, index++);
		if (rc)
			return rc;
	}
	reader->depth--;
	return 0;
}

/* Sections of later versions are refused, never ignored. */
static bool is_later(const char *key)
{
	size_t i;

	for (i = 0; later_keys[i]; i++) {
		if (strcmp(key, later_keys[i]) == 0)
			return true;
	}
	return false;
}

static int read_section(struct reader *reader, const cJSON *object, const char *section);

static int read_member(struct reader *reader, const cJSON *member, const char *section)
{
	const struct config_setting *setting;
	char key[256];

	key_join(key, sizeof(key), section, member->string);
	if (is_later(key))
		return fail(reader, "\"%s\": not supported yet by this version; remove it", key);
	if (strcmp(key, "listeners") == 0)
		return read_listeners(reader, member);
	/* A dot in the file is a part of the name and names no section. */
	setting = strchr(member->string, '.') ? NULL : config_setting_find_key(key);
	if (setting)
		return read_setting(reader, setting, member);
	if (!*member->string || strchr(member->string, '.') || !is_section(key))
		return fail_unknown(reader, section, member->string);
	if (!cJSON_IsObject(member))
		return fail(reader, "\"%s\": is %s, expected an object", key, type_name(member));
	return read_section(reader, member, key);
}

static int read_section(struct reader *reader, const cJSON *object, const char *section)
{
	const cJSON *member;
	char key[256];
	int rc;

	reader->step[reader->depth++] = 0;
	cJSON_ArrayForEach(member, object) {
		if (!is_first(object, member)) {
			key_join(key, sizeof(key), section, member->string);
			return fail(reader, "\"%s\": given twice", key);
		}
		rc = read_member(reader, member, section);
		if (rc)
			return rc;
		reader->step[reader->depth - 1]++;
	}
	reader->depth--;
	return 0;
}

int config_read_file(struct config *config, const char *path, char *error, size_t error_len)
{
	struct reader reader = {
		.config = config, .path = path, .error = error, .error_len = error_len};
	struct config_json json;
	int rc;

	rc = config_json_load(path, &json, error, error_len);
	if (rc)
		return rc;
	reader.text = json.text;
	if (cJSON_IsObject(json.root))
		rc = read_section(&reader, json.root, "");
	else
		rc = fail(&reader, "is %s, expected an object: { ... }", type_name(json.root));
	config_json_free(&json);
	return rc;
}
