/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_ACCESS_RECORD_H
#define KSPLIT_EXPORT_ACCESS_RECORD_H

#include <cJSON.h>
#include <stddef.h>

#include "observe/conn_info.h"
#include "observe/request.h"

/*
 * What waits in the access log's queue: all that a line needs, without room for what is not there.
 * A request's path never gets in: the record has its template (observe/uri_template.h).
 */
#define ACCESS_RECORD_MAX 2048

/* Write a record to `out` (ACCESS_RECORD_MAX bytes); returns its length. */
size_t access_record_connection(const struct conn_info *info, void *out);
size_t access_record_request(const struct observe_conn *conn, const struct observe_request *request,
			     void *out);

/*
 * The line's object (docs/access-log.md) of a record that one of these has made. Caller owns the
 * result (cJSON_Delete); NULL: out of memory.
 */
cJSON *access_record_json(const void *record, size_t len);

#endif
