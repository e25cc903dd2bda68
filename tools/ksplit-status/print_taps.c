// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "print_pair.h"

#define LABEL 14

static void print_line(FILE *out, const char *label, const char *text)
{
	char safe[600];

	if (*text)
		fprintf(out, "%-*s%s\n", LABEL, label, text_safe(text, safe, sizeof(safe)));
}

static void print_counts(FILE *out, const cJSON *tap, bool keys)
{
	struct format_pairs pairs;

	format_pairs_start(&pairs, out, "  files");
	print_count(&pairs, "made", tap, "files");
	print_size(&pairs, "written", tap, "written");
	if (keys)
		print_count(&pairs, "lines lost", tap, "dropped");
	else
		print_size(&pairs, "left out", tap, "dropped");
	format_pairs_end(&pairs);
	if (keys)
		return;
	format_pairs_start(&pairs, out, "  connections");
	print_count(&pairs, "seen", tap, "connections");
	print_count(&pairs, "not whole", tap, "truncated");
	format_pairs_end(&pairs);
}

static void print_tap(FILE *out, const char *label, const cJSON *tap, bool keys)
{
	if (!cJSON_IsObject(tap)) {
		print_line(out, label, "not configured");
		return;
	}
	print_line(out, label, json_text(tap, "state"));
	print_line(out, "  path", json_text(tap, "path"));
	print_line(out, "  trouble", json_text(tap, "why"));
	print_counts(out, tap, keys);
}

void print_taps(FILE *out, const cJSON *data)
{
	print_tap(out, "Key log", json_member(data, "keylog"), true);
	print_tap(out, "Content log", json_member(data, "content"), false);
	print_tap(out, "PCAPNG", json_member(data, "pcapng"), false);
}
