// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <ksplit/control.h>

#include "control_client.h"
#include "format.h"
#include "look.h"
#include "program.h"

#define MIB          (1024.0 * 1024.0)
#define UNIT_TEXT    4096
#define DISK_FAIL    (16 * MIB)
#define DISK_WARN    (1024 * MIB)
#define UNIT         "ksplit.service"
#define SYSTEMD_HERE "/run/systemd/system" /* sd_booted(3) */

static void tell_answer(struct look *look, const char *path, const cJSON *data)
{
	const cJSON *degraded = json_member(data, "degraded");
	char why[200], version[32];

	text_safe(json_text(data, "version"), version, sizeof(version));
	if (cJSON_IsString(degraded))
		look_tell(look, VERDICT_WARN, path, "ksplit-status",
			  "ksplitd %s (process %.0f) is degraded: %s", version,
			  json_number(data, "pid"),
			  text_safe(degraded->valuestring, why, sizeof(why)));
	else if (json_true(data, "draining"))
		look_tell(look, VERDICT_WARN, path, NULL,
			  "ksplitd %s (process %.0f) is ending, it waits for its last connections",
			  version, json_number(data, "pid"));
	else
		look_tell(look, VERDICT_OK, path, NULL, "ksplitd %s answers (process %.0f)",
			  version, json_number(data, "pid"));
}

void look_control(struct look *look)
{
	const char *path = look->settings->control;
	struct control_answer answer;
	char error[FINDING_TEXT];
	const struct control_question question = {.command = KSPLIT_COMMAND_SUMMARY};
	struct stat status;
	int rc;

	if (!*path) {
		look_tell(look, VERDICT_OK, NULL, NULL, "none is configured");
		return;
	}
	if (stat(path, &status) && (errno == ENOENT || errno == ENOTDIR)) {
		look_tell(look, VERDICT_NOT_TRIED, path, NULL, "ksplitd does not run");
		return;
	}
	rc = control_client_ask(path, &question, &answer, error, sizeof(error));
	if (rc == 0) {
		tell_answer(look, path, answer.data);
		control_answer_free(&answer);
	} else if (rc == -EACCES) {
		look_tell(look, VERDICT_NOT_TRIED, path, NULL, "needs root, or the socket's group");
	} else if (rc == -ECONNREFUSED) {
		look_tell(look, VERDICT_WARN, path, "start ksplitd: it replaces the socket",
			  "left behind by a ksplitd that has died");
	} else {
		look_tell(look, VERDICT_FAIL, path, "ksplit-status; journalctl -u ksplit",
			  "no sound answer: %s", error);
	}
}

/* The value of a line NAME=VALUE, "" where there is none. */
static void unit_value(const char *text, const char *name, char value[40])
{
	size_t len = strlen(name);

	value[0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0)
			snprintf(value, 40, "%.*s", (int)strcspn(line + len, "\n"), line + len);
	}
}

void look_unit(struct look *look)
{
	static const char *const argv[] = {
		"systemctl",  "show",
		"--no-pager", "--property=LoadState,ActiveState,SubState,Result,UnitFileState",
		UNIT,         NULL};
	char load[40], active[40], result[40], enabled[40], *text;

	if (access(SYSTEMD_HERE, F_OK)) {
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "systemd does not run this host");
		return;
	}
	if (program_read(argv, UNIT_TEXT, &text)) {
		look_tell(look, VERDICT_NOT_TRIED, UNIT, NULL, "systemctl does not tell");
		return;
	}
	unit_value(text, "LoadState=", load);
	unit_value(text, "ActiveState=", active);
	unit_value(text, "Result=", result);
	unit_value(text, "UnitFileState=", enabled);
	free(text);
	if (strcmp(load, "not-found") == 0)
		look_tell(look, VERDICT_NOT_TRIED, UNIT, NULL, "there is no such unit");
	else if (strcmp(active, "failed") == 0)
		look_tell(look, VERDICT_FAIL, UNIT, "journalctl -u " UNIT " -e", "has failed (%s)",
			  result);
	else if (strcmp(active, "active") == 0 && strcmp(enabled, "disabled") == 0)
		look_tell(look, VERDICT_WARN, UNIT, "systemctl enable " UNIT,
			  "active, but will not be after the next boot");
	else
		look_tell(look, VERDICT_OK, UNIT, NULL, "%s, %s", active,
			  *enabled ? enabled : load);
}

void look_disk(struct look *look)
{
	const char *path = look->settings->access_log;
	char copy[SETTINGS_TEXT], mend[FINDING_MEND], word[SETTINGS_TEXT], *folder;
	struct statvfs disk;
	double free_bytes;

	if (!*path || strcmp(path, "-") == 0) {
		look_tell(look, VERDICT_OK, NULL, NULL, "no access log goes to a disk");
		return;
	}
	snprintf(copy, sizeof(copy), "%s", path);
	folder = dirname(copy);
	if (statvfs(folder, &disk)) {
		snprintf(mend, sizeof(mend), "mkdir -p %s", look_quote(folder, word, sizeof(word)));
		look_tell(look, errno == EACCES ? VERDICT_NOT_TRIED : VERDICT_FAIL, path, mend,
			  "its folder: %s", strerror(errno));
		return;
	}
	free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
	if (disk.f_flag & ST_RDONLY)
		look_tell(look, VERDICT_FAIL, path, NULL, "on a disk that is mounted read-only");
	else if (free_bytes < DISK_FAIL)
		look_tell(look, VERDICT_FAIL, path, "make room, or let logrotate(8) do it",
			  "the disk is full: %.0f MiB are left", free_bytes / MIB);
	else if (free_bytes < DISK_WARN)
		look_tell(look, VERDICT_WARN, path, "make room, or let logrotate(8) do it",
			  "%.0f MiB are left on its disk", free_bytes / MIB);
	else
		look_tell(look, VERDICT_OK, path, NULL, "%.1f GiB are left on its disk",
			  free_bytes / MIB / 1024);
}
