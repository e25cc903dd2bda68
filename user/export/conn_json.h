/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_CONN_JSON_H
#define KSPLIT_EXPORT_CONN_JSON_H

#include <cJSON.h>

#include "observe/conn_info.h"

/*
 * A connection as JSON, the same names in the access log (docs/access-log.md) and on the control
 * socket (docs/control-protocol.md). Caller owns the result (cJSON_Delete); NULL: out of memory.
 */

/* An ended connection: with "type", "duration_ms" and "reason". */
cJSON *conn_json_ended(const struct conn_info *info);

/* An open one: with "state" and "age_ms", counted to `now_ms` (wall clock, ms since the epoch). */
cJSON *conn_json_open(const struct conn_info *info, int64_t now_ms);

/*
 * Members that other objects have too: "192.0.2.1:443" (null: not known), and a cipher suite by
 * IANA's name or its number, "0x1304" (null: 0). false: out of memory.
 */
bool conn_json_add_address(cJSON *to, const char *name, const union conn_address *address);
bool conn_json_add_suite(cJSON *to, const char *name, uint16_t suite);

#endif
