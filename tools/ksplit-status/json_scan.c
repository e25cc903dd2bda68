// SPDX-License-Identifier: GPL-2.0-or-later
#include "json_scan.h"

#include <stdbool.h>
#include <string.h>

const char *json_skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

const char *json_skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

const char *json_skip_value(const char *p)
{
	int depth = 0;

	if (*p != '{' && *p != '[' && *p != '"')
		return p + strcspn(p, ",]} \t\r\n");
	do {
		if (*p == '"') {
			p = json_skip_string(p);
			continue;
		}
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		p++;
	} while (*p && depth > 0);
	return p;
}

static bool is_name(const char *p, const char *name)
{
	const size_t len = strlen(name);

	return strncmp(p + 1, name, len) == 0 && p[1 + len] == '"';
}

const char *json_find(const char *p, const char *name)
{
	const char *member;

	p = json_skip_space(p);
	if (*p != '{')
		return p + strlen(p);
	do {
		member = json_skip_space(p + 1); /* behind the brace or a comma */
		if (*member != '"')
			break;
		p = json_skip_space(json_skip_string(member));
		p = json_skip_space(*p ? p + 1 : p);
		if (is_name(member, name))
			return p;
		p = json_skip_space(json_skip_value(p));
	} while (*p == ',');
	return p + strlen(p);
}
