// SPDX-License-Identifier: GPL-2.0-or-later
#include "command.h"

#include <errno.h>
#include <string.h>

#include <ksplit/control.h>

#include "control_client.h"
#include "format.h"
#include "print.h"

static const struct command commands[] = {
	{KSPLIT_COMMAND_SUMMARY, print_summary},
	{KSPLIT_COMMAND_CONNECTIONS, print_connections},
	{KSPLIT_COMMAND_KERNEL, print_kernel},
};

static const char *const later_commands[] = {"endpoints", "requests", "certs"};

const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

bool command_is_later(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(later_commands) / sizeof(later_commands[0]); i++) {
		if (strcmp(later_commands[i], name) == 0)
			return true;
	}
	return false;
}

int command_run(const struct command *command, const char *path, bool json, FILE *out, FILE *err)
{
	struct control_answer answer;
	char error[512], text[600];
	int rc;

	rc = control_client_ask(path, command->name, &answer, error, sizeof(error));
	if (rc == -EINTR)
		return rc;
	if (rc) {
		fprintf(err, "ksplit-status: %s\n", text_safe(error, text, sizeof(text)));
		return STATUS_UNREACHABLE;
	}
	/* Only the summary has the member, so only it can tell. */
	rc = *json_text(answer.data, "degraded") ? STATUS_DEGRADED : STATUS_UP;
	if (json)
		print_json(out, answer.line);
	else
		command->print(out, answer.data);
	control_answer_free(&answer);
	return rc;
}
