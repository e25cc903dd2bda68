/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_SERIES_JSON_H
#define KSPLIT_EXPORT_SERIES_JSON_H

#include <cJSON.h>

#include "observe/aggregate.h"

/*
 * One series of requests and one origin as JSON (docs/control-protocol.md has the members). Of
 * "other" the attributes are null. Caller owns the result (cJSON_Delete); NULL: out of memory.
 */
cJSON *series_json(const struct series *series);
cJSON *series_json_endpoint(const struct endpoint *endpoint);

/* "1.0", "1.1", "2"; NULL for what is none of these. */
const char *series_json_http_version(enum observe_http_version version);

/* "outgoing", "incoming". */
const char *series_json_direction(enum observe_direction direction);

#endif
