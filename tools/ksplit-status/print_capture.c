// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"

#define LABEL 14

static void print_line(FILE *out, const char *label, const char *sentence)
{
	char text[500];

	if (!*sentence)
		return;
	fprintf(out, "%-*s", LABEL, label);
	format_wrapped(out, LABEL, text_safe(sentence, text, sizeof(text)));
}

/* "on since 2026-01-31T12:00:00.123Z by start" */
static void print_state(FILE *out, const cJSON *data)
{
	char state[40], since[40], by[120], line[240];

	snprintf(line, sizeof(line), "%s%s%s%s%s",
		 text_safe(json_text(data, "state"), state, sizeof(state)),
		 *json_text(data, "since") ? " since " : "",
		 text_safe(json_text(data, "since"), since, sizeof(since)),
		 *json_text(data, "by") ? ", by " : "",
		 text_safe(json_text(data, "by"), by, sizeof(by)));
	print_line(out, "Capture", line);
}

static void print_keeper(FILE *out, const cJSON *data)
{
	char line[160];

	if (json_number(data, "keeper") <= 0)
		return;
	snprintf(line, sizeof(line), "process %.0f%s", json_number(data, "keeper"),
		 strcmp(json_text(data, "state"), "on") != 0 ? ""
		 : json_true(data, "owner")
			 ? ", owner of the table: the kernel withdraws it when the process dies"
			 : ", which alone withdraws the table: this kernel knows no owner");
	print_line(out, "Keeper", line);
}

static void add_count(struct format_pairs *pairs, const cJSON *data, const char *member,
		      const char *name)
{
	char value[FORMAT_NUMBER];

	format_pairs_add(pairs, name,
			 format_count(json_number(data, member), value, sizeof(value)));
}

void print_capture(FILE *out, const cJSON *data)
{
	const cJSON *withdrawals = json_member(data, "withdrawals");
	struct format_pairs pairs;

	print_state(out, data);
	print_line(out, "  why", json_text(data, "why"));
	if (strcmp(json_text(data, "state"), "not_configured") == 0)
		return;
	print_keeper(out, data);
	format_pairs_start(&pairs, out, "Loaded");
	add_count(&pairs, data, "loads", "times");
	add_count(&pairs, data, "self_tests_failed", "self-tests failed");
	format_pairs_end(&pairs);
	format_pairs_start(&pairs, out, "Withdrawn");
	add_count(&pairs, withdrawals, "command", "by command");
	add_count(&pairs, withdrawals, "watchdog", "by watchdog");
	add_count(&pairs, withdrawals, "keeper", "keeper gone");
	format_pairs_end(&pairs);
}
