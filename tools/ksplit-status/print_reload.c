// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"
#include "print.h"

void print_reload(FILE *out, const cJSON *data)
{
	const cJSON *kept = json_member(data, "kept"), *key;
	const char *separator = "";
	char text[1100];

	if (!json_true(data, "reloaded")) {
		fprintf(out, "not reloaded, nothing has changed: %s\n",
			text_safe(json_text(data, "why"), text, sizeof(text)));
		return;
	}
	if (json_number(data, "pid") != json_number(data, "old_pid")) {
		fprintf(out,
			"reloaded: process %.0f has taken over from %.0f, which has no right to do "
			"this and ends when its last connection does\n",
			json_number(data, "pid"), json_number(data, "old_pid"));
		return;
	}
	fprintf(out, "reloaded: configuration %.0f\n", json_number(data, "configuration"));
	if (!cJSON_GetArraySize(kept))
		return;
	fputs("takes effect at the next upgrade or restart: ", out);
	cJSON_ArrayForEach(key, kept)
	{
		if (cJSON_IsString(key))
			fprintf(out, "%s%s", separator,
				text_safe(key->valuestring, text, sizeof(text)));
		separator = ", ";
	}
	fputc('\n', out);
}
