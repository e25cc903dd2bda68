/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_COMMAND_H
#define KSPLIT_STATUS_COMMAND_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "view.h"

/* Exit codes: a promise to scripts, see ksplit-status(1). */
enum status_exit { STATUS_UP = 0, STATUS_DEGRADED = 1, STATUS_UNREACHABLE = 2, STATUS_USAGE = 64 };

/* One thing that can be asked. */
struct command {
	const char *name; /* on the command line and in the protocol */
	void (*print)(FILE *out, const cJSON *data);
	bool acts; /* takes on or off behind its name */
	bool taps; /* ... and the name of a tap behind that */
	bool once; /* does something, and that once: not watched */
	/* Instead, of those that are tables: the array in the answer, what it can be sorted by. */
	const char *rows;
	const struct row_key *keys;
	void (*print_rows)(FILE *out, const cJSON *data, const struct view *view,
			   const struct rows *rows);
};

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

/*
 * Ask the daemon at `path` and print the answer to `out`, or one line to `err` when there is none.
 * Returns what the process would exit with, or -EINTR when a signal came first.
 */
int command_run(const struct command *command, const char *path, const struct view *view, FILE *out,
		FILE *err);

#endif
