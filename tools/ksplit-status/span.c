// SPDX-License-Identifier: GPL-2.0-or-later
#include "span.h"

#include "control_client.h"
#include "format.h"

const char *span_print(const cJSON *row, const char *member, char *buf, size_t len)
{
	const cJSON *span = json_member(row, member);

	if (!cJSON_IsNumber(span))
		return "-";
	/* Whole seconds: nobody reads these to the millisecond. */
	return format_duration((double)((long long)(span->valuedouble / 1000)) * 1000, buf, len);
}

double span_smallest(const cJSON *row, const char *member)
{
	const cJSON *span = json_member(row, member);

	return cJSON_IsNumber(span) ? -span->valuedouble : -1e300;
}
