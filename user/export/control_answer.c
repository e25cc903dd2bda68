// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/control.h"

#include <ksplit/control.h>
#include <ksplit/text.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "export/answer.h"
#include "export/json_add.h"

int64_t answer_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct command {
	const char *name;
	int (*answer)(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
	/* instead, of commands that have members of their own */
	int (*answer_request)(const struct control_source *source, const cJSON *request,
			      cJSON *data, char error[ANSWER_ERROR]);
} commands[] = {
	{.name = KSPLIT_COMMAND_SUMMARY, .answer = answer_summary},
	{.name = KSPLIT_COMMAND_CONNECTIONS, .answer = answer_connections},
	{.name = KSPLIT_COMMAND_KERNEL, .answer = answer_kernel},
	{.name = KSPLIT_COMMAND_ENDPOINTS, .answer = answer_endpoints},
	{.name = KSPLIT_COMMAND_REQUESTS, .answer = answer_requests},
	{.name = KSPLIT_COMMAND_PASSES, .answer = answer_passes},
	{.name = KSPLIT_COMMAND_CERTS, .answer = answer_certs},
	{.name = KSPLIT_COMMAND_CAPTURE, .answer_request = answer_capture},
	{.name = KSPLIT_COMMAND_UPGRADE, .answer = answer_upgrade},
	{.name = KSPLIT_COMMAND_RELOAD, .answer = answer_reload},
	{.name = KSPLIT_COMMAND_TAPS, .answer_request = answer_taps},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

/* One JSON value and nothing behind it. NULL: not that. */
static cJSON *parse_line(const char *line, size_t len)
{
	const char *end = NULL;
	cJSON *request = cJSON_ParseWithLengthOpts(line, len, &end, 0);
	size_t rest = request ? len - (size_t)(end - line) : 0;

	while (rest && strchr(" \t\r", end[0]) && end[0]) {
		end++;
		rest--;
	}
	if (!rest)
		return request;
	cJSON_Delete(request);
	return NULL;
}

/* The command that a request names; NULL with a sentence in `error`. */
static const struct command *read_request(const cJSON *request, char error[ANSWER_ERROR])
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(request, "version");
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(request, "command");
	const struct command *found = NULL;
	char name[64];

	if (!cJSON_IsObject(request)) {
		snprintf(error, ANSWER_ERROR, "a request is one JSON object on one line");
	} else if (!cJSON_IsNumber(version)) {
		snprintf(error, ANSWER_ERROR, "`version` is missing or not a number");
	} else if (version->valuedouble != KSPLIT_CONTROL_VERSION) {
		snprintf(error, ANSWER_ERROR,
			 "version %g is not spoken here; this daemon speaks %d",
			 version->valuedouble, KSPLIT_CONTROL_VERSION);
	} else if (!cJSON_IsString(command)) {
		snprintf(error, ANSWER_ERROR, "`command` is missing or not a string");
	} else {
		found = find_command(command->valuestring);
		ksplit_text_escape(name, sizeof(name), command->valuestring,
				   strlen(command->valuestring));
		if (!found)
			snprintf(error, ANSWER_ERROR,
				 "unknown command `%s`; known: summary, connections, "
				 "kernel, endpoints, requests, passes, certs, capture, upgrade, "
				 "reload, taps",
				 name);
	}
	return found;
}

/* The whole answer; owns `data` from now on (NULL: an error). */
static char *print_answer(cJSON *data, const char *error)
{
	cJSON *answer = cJSON_CreateObject();
	char *text = NULL;
	bool ok = json_add_u64(answer, "version", KSPLIT_CONTROL_VERSION) &&
		  json_add_bool(answer, "ok", data != NULL);

	if (ok && data) {
		ok = json_add_item(answer, "data", data);
	} else {
		cJSON_Delete(data);
		ok = ok && json_add_text(answer, "error", error);
	}
	if (ok)
		text = cJSON_PrintUnformatted(answer);
	cJSON_Delete(answer);
	return text;
}

static int answer_command(const struct control_source *source, const struct command *command,
			  const cJSON *request, cJSON *data, char error[ANSWER_ERROR])
{
	return command->answer_request ? command->answer_request(source, request, data, error)
				       : command->answer(source, data, error);
}

char *control_answer(const struct control_source *source, const char *line, size_t len)
{
	char error[ANSWER_ERROR] = "out of memory";
	cJSON *request = parse_line(line, len);
	const struct command *command = read_request(request, error);
	cJSON *data = command ? cJSON_CreateObject() : NULL;

	if (data && answer_command(source, command, request, data, error) != 0) {
		cJSON_Delete(data);
		data = NULL;
	}
	cJSON_Delete(request);
	return print_answer(data, error);
}
