// SPDX-License-Identifier: GPL-2.0-or-later
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/control.h>

#include "control_client.h"
#include "format.h"
#include "print.h"

static const struct command commands[] = {
	{.name = KSPLIT_COMMAND_SUMMARY, .print = print_summary},
	{.name = KSPLIT_COMMAND_CONNECTIONS, .print = print_connections},
	{.name = KSPLIT_COMMAND_KERNEL, .print = print_kernel},
	{.name = KSPLIT_COMMAND_ENDPOINTS,
	 .rows = "endpoints",
	 .keys = print_endpoints_keys,
	 .print_rows = print_endpoints},
	{.name = KSPLIT_COMMAND_REQUESTS,
	 .rows = "series",
	 .keys = print_requests_keys,
	 .print_rows = print_requests},
	{.name = KSPLIT_COMMAND_PASSES,
	 .rows = "passes",
	 .keys = print_passes_keys,
	 .print_rows = print_passes},
	{.name = KSPLIT_COMMAND_CERTS,
	 .rows = "certs",
	 .keys = print_certs_keys,
	 .print_rows = print_certs},
	{.name = KSPLIT_COMMAND_CAPTURE, .print = print_capture, .acts = true},
	{.name = KSPLIT_COMMAND_TAPS, .print = print_taps, .acts = true, .taps = true},
	{.name = KSPLIT_COMMAND_UPGRADE, .print = print_upgrade, .once = true},
	{.name = KSPLIT_COMMAND_RELOAD, .print = print_reload, .once = true},
};

const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Rows in the order that is asked for; JSON as it came, but for that. 0 or -ENOMEM. */
static int print_sorted(const struct command *command, const struct control_answer *answer,
			const struct view *wanted, FILE *out)
{
	struct view view = *wanted;
	struct rows rows;
	char *line = NULL;
	int rc;

	if (!view.sort)
		view.sort = command->keys;
	rc = rows_sort(&rows, json_member(answer->data, command->rows), view.sort, view.top);
	if (rc)
		return rc;
	if (view.form == VIEW_TEXT) {
		command->print_rows(out, answer->data, &view, &rows);
	} else {
		line = rows_reorder(&rows, answer->line, command->rows);
		print_json(out, line ? line : answer->line, view.form == VIEW_JSON);
	}
	free(line);
	rows_free(&rows);
	return 0;
}

/* Rules or the hook: not as they should be, or not as was just asked for? */
static bool is_off_course(const struct view *view, const char *state)
{
	if (strcmp(state, "not_configured") == 0)
		return false;
	if (view->action && strcmp(view->action, KSPLIT_ACTION_STATUS) != 0)
		return strcmp(view->action, state) != 0;
	return strcmp(state, "failed") == 0 || strcmp(state, "withdrawn") == 0;
}

static bool is_degraded(const struct command *command, const struct view *view, const cJSON *data)
{
	const cJSON *hook = json_member(data, "hook");

	if (command->once)
		return *json_text(data, "why");
	if (command->taps) /* one that could not be switched is an answer of its own */
		return false;
	/* Only the summary has the member, so only it can tell. */
	if (!command->acts)
		return *json_text(data, "degraded");
	return is_off_course(view, json_text(data, "state")) ||
	       (cJSON_IsObject(hook) && is_off_course(view, json_text(hook, "state")));
}

int command_run(const struct command *command, const char *path, const struct view *view, FILE *out,
		FILE *err)
{
	const struct control_question question = {command->name, view->action, view->tap};
	struct control_answer answer;
	char error[512], text[600];
	int rc;

	rc = control_client_ask(path, &question, &answer, error, sizeof(error));
	if (rc == -EINTR)
		return rc;
	if (rc) {
		fprintf(err, "ksplit-status: %s\n", text_safe(error, text, sizeof(text)));
		return STATUS_UNREACHABLE;
	}
	rc = is_degraded(command, view, answer.data) ? STATUS_DEGRADED : STATUS_UP;
	if (command->rows && print_sorted(command, &answer, view, out)) {
		fputs("ksplit-status: out of memory\n", err);
		rc = STATUS_UNREACHABLE;
	} else if (!command->rows && view->form == VIEW_TEXT) {
		command->print(out, answer.data);
	} else if (!command->rows) {
		print_json(out, answer.line, view->form == VIEW_JSON);
	}
	control_answer_free(&answer);
	return rc;
}
