/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_WATCH_H
#define KSPLIT_STATUS_WATCH_H

#include <stdbool.h>

#include "command.h"

/*
 * Run the command again every `seconds` until SIGINT, SIGTERM or SIGHUP. On a terminal the picture
 * is redrawn in place, cut to its size, and the screen comes back at the end; elsewhere, and on a
 * terminal that cannot (TERM=dumb), answers follow each other with an empty line between. JSON is
 * one line an answer. A daemon that is away is shown as such and asked again. Returns what the last
 * answer would have exited with.
 */
int watch_run(const struct command *command, const char *path, const struct view *view,
	      unsigned int seconds);

#endif
