// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_reader.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/config_error.h"
#include "core/json_text.h"

#define KEY_LEN 256

int config_reader_fail(struct config_reader *reader, const char *fmt, ...)
{
	char message[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	config_error_set(reader->error, reader->error_len, "%s:%zu: %s", reader->path,
			 config_reader_line(reader), message);
	return -EINVAL;
}

size_t config_reader_line(const struct config_reader *reader)
{
	return json_text_line_of(reader->text, reader->step, reader->depth);
}

const char *config_reader_type_name(const cJSON *value)
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

static int fail_type(struct config_reader *reader, const cJSON *value, const char *key,
		     const char *expected)
{
	return config_reader_fail(reader, "\"%s\": is %s, expected %s", key,
				  config_reader_type_name(value), expected);
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

int config_reader_members(struct config_reader *reader, const cJSON *object, const char *key,
			  config_reader_fn *read, void *out)
{
	const cJSON *member;
	char name[KEY_LEN];
	int rc;

	/* Files of this program nest less deeply; this keeps `step` within its bounds. */
	if (reader->depth == CONFIG_READER_DEPTH)
		return config_reader_fail(reader, "\"%s\": nested too deeply", key);
	if (!cJSON_IsObject(object))
		return fail_type(reader, object, key, "an object");
	reader->step[reader->depth++] = 0;
	cJSON_ArrayForEach(member, object)
	{
		snprintf(name, sizeof(name), "%s%s%.*s", key, *key ? "." : "", CONFIG_READER_NAME,
			 member->string);
		if (!is_first(object, member))
			return config_reader_fail(reader, "\"%s\": given twice", name);
		rc = read(reader, member, name, out);
		if (rc)
			return rc;
		reader->step[reader->depth - 1]++;
	}
	reader->depth--;
	return 0;
}

/* An object that is read by a table. */
struct table {
	const struct config_field *fields;
	const char *key;
	char *base;
};

static int fail_unknown(struct config_reader *reader, const struct table *table, const char *name,
			const char *key)
{
	struct config_suggestion suggestion = {.word = name};
	const struct config_field *field;

	for (field = table->fields; field->name; field++)
		config_suggestion_offer(&suggestion, field->name, strlen(field->name));
	if (suggestion.name)
		return config_reader_fail(reader, "\"%s\": unknown key, did you mean \"%s%s%s\"?",
					  key, table->key, *table->key ? "." : "", suggestion.name);
	return config_reader_fail(
		reader, "\"%s\": unknown key, see ksplit.json(5) for those that there are", key);
}

static int read_field(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const struct table *table = out;
	const struct config_field *field;

	for (field = table->fields; field->name; field++) {
		if (strcmp(field->name, value->string) == 0)
			return field->read(reader, value, key, table->base + field->offset);
	}
	return fail_unknown(reader, table, value->string, key);
}

int config_reader_object(struct config_reader *reader, const cJSON *object, const char *key,
			 const struct config_field *fields, void *base)
{
	struct table table = {.fields = fields, .key = key, .base = base};

	return config_reader_members(reader, object, key, read_field, &table);
}

int config_reader_list(struct config_reader *reader, const cJSON *list, const char *key, size_t max,
		       config_reader_fn *read, void *out)
{
	const cJSON *element;
	char name[KEY_LEN];
	size_t index = 0;
	int rc;

	if (reader->depth == CONFIG_READER_DEPTH)
		return config_reader_fail(reader, "\"%s\": nested too deeply", key);
	if (!cJSON_IsArray(list))
		return fail_type(reader, list, key, "a list");
	reader->step[reader->depth++] = 0;
	cJSON_ArrayForEach(element, list)
	{
		snprintf(name, sizeof(name), "%.200s[%zu]", key, index);
		reader->step[reader->depth - 1] = index;
		if (index == max)
			return config_reader_fail(reader, "\"%s\": too many, expected at most %zu",
						  name, max);
		rc = read(reader, element, name, out);
		if (rc)
			return rc;
		index++;
	}
	reader->depth--;
	return 0;
}

int config_reader_text(struct config_reader *reader, const cJSON *value, const char *key,
		       const char **out)
{
	if (!cJSON_IsString(value))
		return fail_type(reader, value, key, "text in quotes");
	if (!*value->valuestring)
		return config_reader_fail(reader, "\"%s\": is empty, expected text", key);
	*out = value->valuestring;
	return 0;
}

int config_reader_string(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	char **place = out;
	const char *text = NULL;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	*place = strdup(text);
	return *place ? 0 : config_reader_fail(reader, "\"%s\": out of memory", key);
}

int config_reader_number(struct config_reader *reader, const cJSON *value, const char *key,
			 uint32_t min, uint32_t max, uint32_t *out)
{
	double number = value->valuedouble;

	if (!cJSON_IsNumber(value))
		return config_reader_fail(reader,
					  "\"%s\": is %s, expected a whole number from %u to %u",
					  key, config_reader_type_name(value), min, max);
	if (!(number >= min && number <= max) || floor(number) < number)
		return config_reader_fail(reader,
					  "\"%s\": is %.15g, expected a whole number from %u to %u",
					  key, number, min, max);
	*out = (uint32_t)number;
	return 0;
}

int config_reader_bool(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	if (!cJSON_IsBool(value))
		return fail_type(reader, value, key, "true or false");
	*(bool *)out = cJSON_IsTrue(value);
	return 0;
}
