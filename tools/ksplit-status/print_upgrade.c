// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"
#include "print.h"

void print_upgrade(FILE *out, const cJSON *data)
{
	char why[700];

	if (json_true(data, "upgraded"))
		fprintf(out,
			"ksplitd has been upgraded: process %.0f has taken over from %.0f, which "
			"ends when its\nlast connection does\n",
			json_number(data, "pid"), json_number(data, "old_pid"));
	else
		fprintf(out, "ksplitd has not been upgraded, process %.0f goes on: %s\n",
			json_number(data, "old_pid"),
			text_safe(json_text(data, "why"), why, sizeof(why)));
}
