/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_PRINT_H
#define KSPLIT_STATUS_PRINT_H

#include <cJSON.h>
#include <stdio.h>

/*
 * What each command shows, for a person and 80 columns, from the "data" of an answer (members:
 * docs/control-protocol.md). Members that are missing are left out, unknown ones ignored.
 */
void print_summary(FILE *out, const cJSON *data);
void print_connections(FILE *out, const cJSON *data);
void print_kernel(FILE *out, const cJSON *data);

/*
 * The "data" of a whole answer, indented. Numbers and texts stay as the daemon wrote them, so that
 * nothing is rounded; only what a terminal would obey is written as \uXXXX. `line` is valid JSON.
 */
void print_json(FILE *out, const char *line);

#endif
