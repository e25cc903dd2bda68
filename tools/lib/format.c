// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"

#include <inttypes.h>
#include <string.h>

#include <ksplit/text.h>

#define LABEL_COLUMNS 14

const cJSON *json_member(const cJSON *object, const char *name)
{
	return object ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const char *json_text(const cJSON *object, const char *name)
{
	const cJSON *member = json_member(object, name);

	return cJSON_IsString(member) ? member->valuestring : "";
}

double json_number(const cJSON *object, const char *name)
{
	const cJSON *member = json_member(object, name);

	return cJSON_IsNumber(member) ? member->valuedouble : 0;
}

bool json_true(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(json_member(object, name));
}

const char *text_safe(const char *text, char *buf, size_t len)
{
	size_t all = strlen(text), taken;

	if (ksplit_text_escape(buf, len, text, all) == all)
		return buf;
	taken = ksplit_text_escape(buf, len - 3, text, all);
	if (taken < all)
		strcat(buf, "...");
	return buf;
}

const char *format_count(double count, char *buf, size_t len)
{
	char digits[FORMAT_NUMBER];
	size_t n, i, used = 0;

	/* Counters are exact up to 2^53; what is not a counter at all stays as it is. */
	if (!(count >= 0 && count < 1e18)) {
		snprintf(buf, len, "%.6g", count);
		return buf;
	}
	n = (size_t)snprintf(digits, sizeof(digits), "%.0f", count);
	for (i = 0; i < n && used + 2 < len; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

const char *format_bytes(double bytes, char *buf, size_t len)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t unit = 0;

	while (bytes >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	/* Three digits that count. */
	snprintf(buf, len, "%.*f %s",
		 unit == 0 || bytes >= 99.95 ? 0
		 : bytes >= 9.995            ? 1
					     : 2,
		 bytes, units[unit]);
	return buf;
}

const char *format_short(double number, char *buf, size_t len)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P"};
	size_t unit = 0;
	const bool whole = number == (double)(int64_t)number && number < 1000;

	if (!(number >= 0 && number < 1e18)) {
		snprintf(buf, len, "%.3g", number);
		return buf;
	}
	while (number >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		number /= 1000;
		unit++;
	}
	snprintf(buf, len, "%.*f%s", whole || number >= 99.95 ? 0 : 1, number, units[unit]);
	return buf;
}

const char *format_time(double ms, char *buf, size_t len)
{
	if (!(ms >= 0 && ms < 1e15))
		snprintf(buf, len, "?");
	else if (ms < 0.9995)
		snprintf(buf, len, "%.0f us", ms * 1000);
	else if (ms < 999.5)
		snprintf(buf, len, "%.*f ms", ms < 99.95 ? 1 : 0, ms);
	else if (ms < 59995)
		snprintf(buf, len, "%.*f s", ms < 9995 ? 2 : 1, ms / 1000);
	else if (ms < 3599950)
		snprintf(buf, len, "%.*f min", ms < 597000 ? 1 : 0, ms / 60000);
	else
		snprintf(buf, len, "%.1f h", ms / 3600000);
	return buf;
}

const char *format_share(double part, double whole, char *buf, size_t len)
{
	const double percent = whole > 0 ? 100 * part / whole : 0;

	/* Rounding makes neither "none" of a few nor "all" of most. */
	if (!(percent > 0))
		snprintf(buf, len, "-");
	else if (percent < 0.1)
		snprintf(buf, len, "<0.1%%");
	else if (percent > 99.9 && percent < 100)
		snprintf(buf, len, "99.9%%");
	else
		snprintf(buf, len, "%.*f%%", percent < 99.95 ? 1 : 0, percent);
	return buf;
}

const char *format_duration(double ms, char *buf, size_t len)
{
	uint64_t s;

	if (!(ms >= 0 && ms < 1e15)) {
		snprintf(buf, len, "?");
		return buf;
	}
	s = (uint64_t)ms / 1000;
	if (s == 0)
		snprintf(buf, len, "%u ms", (unsigned int)ms);
	else if (s < 60)
		snprintf(buf, len, "%" PRIu64 " s", s);
	else if (s < 3600)
		snprintf(buf, len, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, len, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, len, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
	return buf;
}

void format_wrapped(FILE *out, size_t column, const char *text)
{
	size_t room = column + 20 < FORMAT_COLUMNS ? FORMAT_COLUMNS - 1 - column : 20;
	size_t take;

	while (strlen(text) > room) {
		take = room;
		while (take > 0 && text[take] != ' ')
			take--;
		if (take == 0)
			take = strcspn(text, " ");
		fprintf(out, "%.*s\n", (int)take, text);
		text += take + (text[take] == ' ');
		if (!*text)
			return;
		fprintf(out, "%*s", (int)column, "");
	}
	fprintf(out, "%s\n", text);
}

void format_pairs_start(struct format_pairs *pairs, FILE *out, const char *label)
{
	pairs->out = out;
	pairs->indent = LABEL_COLUMNS;
	pairs->column = LABEL_COLUMNS;
	fprintf(out, "%-*s", LABEL_COLUMNS, label);
}

void format_pairs_add(struct format_pairs *pairs, const char *name, const char *value)
{
	size_t width = strlen(name) + 1 + strlen(value);

	if (pairs->column > pairs->indent && pairs->column + 2 + width >= FORMAT_COLUMNS) {
		fprintf(pairs->out, "\n%*s", (int)pairs->indent, "");
		pairs->column = pairs->indent;
	} else if (pairs->column > pairs->indent) {
		fputs("  ", pairs->out);
		pairs->column += 2;
	}
	fprintf(pairs->out, "%s %s", name, value);
	pairs->column += width;
}

void format_pairs_end(struct format_pairs *pairs)
{
	fputc('\n', pairs->out);
}
