/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_PRINT_H
#define KSPLIT_STATUS_PRINT_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "rows.h"
#include "view.h"

/*
 * What each command shows, for a person and 80 columns, from the "data" of an answer (members:
 * docs/control-protocol.md). Members that are missing are left out, unknown ones ignored.
 */
void print_summary(FILE *out, const cJSON *data);
void print_connections(FILE *out, const cJSON *data);
void print_kernel(FILE *out, const cJSON *data);
void print_capture(FILE *out, const cJSON *data);
void print_taps(FILE *out, const cJSON *data);
void print_upgrade(FILE *out, const cJSON *data);
void print_reload(FILE *out, const cJSON *data);

/* Tables: what of "data" is not a row, and the rows as they are to be shown. */
void print_endpoints(FILE *out, const cJSON *data, const struct view *view,
		     const struct rows *rows);
void print_requests(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows);
void print_passes(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows);
void print_certs(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows);

/* What they can be sorted by; the first is the usual one. */
extern const struct row_key print_endpoints_keys[], print_requests_keys[], print_passes_keys[],
	print_certs_keys[];

/*
 * The "data" of a whole answer, indented or on one line. Numbers and texts stay as the daemon wrote
 * them, so that nothing is rounded; only what a terminal would obey is written as \uXXXX. `line` is
 * valid JSON.
 */
void print_json(FILE *out, const char *line, bool indent);

#endif
