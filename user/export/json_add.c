// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/json_add.h"

#include <inttypes.h>
#include <ksplit/text.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"

bool json_add_item(cJSON *to, const char *name, cJSON *value)
{
	if (value && cJSON_AddItemToObject(to, name, value))
		return true;
	cJSON_Delete(value);
	return false;
}

bool json_add_u64(cJSON *to, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_add_item(to, name, cJSON_CreateRaw(text));
}

bool json_add_ms(cJSON *to, const char *name, uint64_t microseconds)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 ".%03u", microseconds / 1000,
		 (unsigned int)(microseconds % 1000));
	return json_add_item(to, name, cJSON_CreateRaw(text));
}

bool json_add_bool(cJSON *to, const char *name, bool value)
{
	return json_add_item(to, name, cJSON_CreateBool(value));
}

bool json_add_text(cJSON *to, const char *name, const char *text)
{
	return json_add_item(to, name, text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

bool json_add_foreign(cJSON *to, const char *name, const char *text, size_t len)
{
	char clean[1025];

	len = strnlen(text, len);
	if (len == 0)
		return json_add_text(to, name, NULL);
	ksplit_text_escape(clean, sizeof(clean), text, len);
	return json_add_text(to, name, clean);
}

bool json_add_hex(cJSON *to, const char *name, const uint8_t *bytes, size_t len)
{
	char text[2 * 64 + 1];

	hex_print(text, bytes, len < 64 ? len : 64);
	return json_add_text(to, name, text);
}

bool json_add_time(cJSON *to, const char *name, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char day[40], text[64];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm))
		return json_add_text(to, name, NULL);
	snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(wall_ms % 1000));
	return json_add_text(to, name, text);
}

bool json_add_moment(cJSON *to, const char *name, int64_t wall_ms)
{
	return wall_ms ? json_add_time(to, name, wall_ms) : json_add_text(to, name, NULL);
}

bool json_add_span(cJSON *to, const char *name, int64_t from_ms, int64_t to_ms)
{
	if (!from_ms || !to_ms)
		return json_add_text(to, name, NULL);
	return json_add_ms(to, name, to_ms > from_ms ? (uint64_t)(to_ms - from_ms) * 1000 : 0);
}
