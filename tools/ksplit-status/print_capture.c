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

/* "on since 2026-01-31T12:00:00.123Z, by start" */
static void print_state(FILE *out, const char *label, const cJSON *data)
{
	char state[40], since[40], by[120], line[240];

	snprintf(line, sizeof(line), "%s%s%s%s%s",
		 text_safe(json_text(data, "state"), state, sizeof(state)),
		 *json_text(data, "since") ? " since " : "",
		 text_safe(json_text(data, "since"), since, sizeof(since)),
		 *json_text(data, "by") ? ", by " : "",
		 text_safe(json_text(data, "by"), by, sizeof(by)));
	print_line(out, label, line);
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

static void print_counts(FILE *out, const char *loaded, const cJSON *data, bool has_keeper)
{
	const cJSON *withdrawals = json_member(data, "withdrawals");
	struct format_pairs pairs;

	format_pairs_start(&pairs, out, loaded);
	add_count(&pairs, data, "loads", "times");
	add_count(&pairs, data, "self_tests_failed", "self-tests failed");
	format_pairs_end(&pairs);
	format_pairs_start(&pairs, out, "Withdrawn");
	add_count(&pairs, withdrawals, "command", "by command");
	add_count(&pairs, withdrawals, "watchdog", "by watchdog");
	if (has_keeper)
		add_count(&pairs, withdrawals, "keeper", "keeper gone");
	format_pairs_end(&pairs);
}

static void print_rules(FILE *out, const cJSON *data)
{
	print_state(out, "Capture", data);
	print_line(out, "  why", json_text(data, "why"));
	if (strcmp(json_text(data, "state"), "not_configured") == 0)
		return;
	print_keeper(out, data);
	print_counts(out, "Loaded", data, true);
}

static void print_connect_hook(FILE *out, const cJSON *hook)
{
	char line[100];

	print_state(out, "Connect hook", hook);
	print_line(out, "  why", json_text(hook, "why"));
	snprintf(line, sizeof(line), "%.0f of %.0f cgroups and units",
		 json_number(hook, "attached"), json_number(hook, "wanted"));
	print_line(out, "Attached to", line);
	print_counts(out, "Switched on", hook, false);
}

void print_capture(FILE *out, const cJSON *data)
{
	const cJSON *hook = json_member(data, "hook");
	const bool has_hook = cJSON_IsObject(hook);

	/* Who captures by hook alone is told of the hook alone. */
	if (!has_hook || strcmp(json_text(data, "state"), "not_configured") != 0) {
		print_rules(out, data);
		if (has_hook)
			fputc('\n', out);
	}
	if (has_hook)
		print_connect_hook(out, hook);
}
