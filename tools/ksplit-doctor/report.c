// SPDX-License-Identifier: GPL-2.0-or-later
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <ksplit/version.h>

#include "format.h"

#define NAME_COLUMN 11
#define TEXT_COLUMN 26

static const char *const verdicts[] = {"ok", "warn", "fail", "not tried"};
static const char *const verdict_keys[] = {"ok", "warn", "fail", "not_tried"};

int report_begin(struct report *report, enum report_form form)
{
	memset(report, 0, sizeof(*report));
	report->form = form;
	if (form != REPORT_JSON)
		return 0;
	report->findings = cJSON_CreateArray();
	return report->findings ? 0 : -ENOMEM;
}

/* "lost  what" below a finding. */
static void print_more(const char *label, const char *what)
{
	printf("%*s%s: ", TEXT_COLUMN, "", label);
	format_wrapped(stdout, TEXT_COLUMN + strlen(label) + 2, what);
}

static void print_text(struct report *report, const struct check *check,
		       const struct finding *finding)
{
	char text[FINDING_TEXT + FINDING_SUBJECT + 8];
	bool bad = finding->verdict == VERDICT_WARN || finding->verdict == VERDICT_FAIL;

	if (report->form == REPORT_QUIET && !bad)
		return;
	if (report->form == REPORT_TEXT && (!report->area || strcmp(report->area, check->area))) {
		printf("%s%s\n", report->area ? "\n" : "", check->area);
		report->area = check->area;
	}
	snprintf(text, sizeof(text), "%s%s%s", finding->subject, *finding->subject ? ": " : "",
		 finding->text);
	printf("%-*s%-*s", NAME_COLUMN, verdicts[finding->verdict], TEXT_COLUMN - NAME_COLUMN,
	       check->name);
	format_wrapped(stdout, TEXT_COLUMN, text);
	if (bad && check->lost)
		print_more("lost", check->lost);
	if (bad && *finding->mend)
		print_more("mend", finding->mend);
	fflush(stdout);
}

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text && *text)
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

static void add_json(struct report *report, const struct check *check,
		     const struct finding *finding)
{
	bool bad = finding->verdict == VERDICT_WARN || finding->verdict == VERDICT_FAIL;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "check", check->name);
	cJSON_AddStringToObject(object, "area", check->area);
	add_text(object, "subject", finding->subject);
	cJSON_AddStringToObject(object, "verdict", verdict_keys[finding->verdict]);
	if (finding->works == WORKS_UNKNOWN)
		cJSON_AddNullToObject(object, "works");
	else
		cJSON_AddBoolToObject(object, "works", finding->works == WORKS_YES);
	add_text(object, "text", finding->text);
	add_text(object, "lost", bad ? check->lost : NULL);
	add_text(object, "mend", finding->mend);
	cJSON_AddItemToArray(report->findings, object);
}

void report_add(void *context, const struct check *check, const struct finding *finding)
{
	struct finding safe = *finding;
	struct report *report = context;

	/* Names of processes, tables and files are others': neither a terminal nor JSON takes all
	 * bytes. */
	text_safe(finding->subject, safe.subject, sizeof(safe.subject));
	text_safe(finding->text, safe.text, sizeof(safe.text));
	text_safe(finding->mend, safe.mend, sizeof(safe.mend));
	report->counts[finding->verdict]++;
	if (report->form == REPORT_JSON)
		add_json(report, check, &safe);
	else
		print_text(report, check, &safe);
}

static int exit_code(const struct report *report)
{
	if (report->counts[VERDICT_FAIL])
		return 2;
	return report->counts[VERDICT_WARN] ? 1 : 0;
}

static void print_summary(const struct report *report)
{
	static const char *const said[] = {
		"Nothing that was tried is wrong.",
		"ksplit works here, without what is marked warn.",
		"ksplit will not work here, or must not, until what is marked fail is mended.",
	};

	printf("\n%s\n%u ok, %u warn, %u fail, %u not tried\n", said[exit_code(report)],
	       report->counts[VERDICT_OK], report->counts[VERDICT_WARN],
	       report->counts[VERDICT_FAIL], report->counts[VERDICT_NOT_TRIED]);
}

static void print_json(struct report *report)
{
	cJSON *root = cJSON_CreateObject(), *summary = cJSON_CreateObject();
	struct utsname name;
	char *text;

	cJSON_AddNumberToObject(root, "version", 1);
	cJSON_AddStringToObject(root, "ksplit", KSPLIT_VERSION);
	cJSON_AddStringToObject(root, "kernel", uname(&name) ? "" : name.release);
	for (size_t i = 0; i < 4; i++)
		cJSON_AddNumberToObject(summary, verdict_keys[i], report->counts[i]);
	cJSON_AddItemToObject(root, "summary", summary);
	cJSON_AddNumberToObject(root, "exit_code", exit_code(report));
	cJSON_AddItemToObject(root, "findings", report->findings);
	text = cJSON_Print(root);
	puts(text ? text : "{}");
	cJSON_free(text);
	cJSON_Delete(root);
	report->findings = NULL;
}

int report_end(struct report *report)
{
	int code = exit_code(report);

	if (report->form == REPORT_JSON)
		print_json(report);
	else if (report->form == REPORT_TEXT)
		print_summary(report);
	return code;
}
