// SPDX-License-Identifier: GPL-2.0-or-later
#include "print_pair.h"

void print_count(struct format_pairs *pairs, const char *name, const cJSON *object,
		 const char *member)
{
	char value[FORMAT_NUMBER];

	format_pairs_add(pairs, name,
			 format_count(json_number(object, member), value, sizeof(value)));
}

void print_size(struct format_pairs *pairs, const char *name, const cJSON *object,
		const char *member)
{
	char value[FORMAT_NUMBER];

	format_pairs_add(pairs, name,
			 format_bytes(json_number(object, member), value, sizeof(value)));
}
