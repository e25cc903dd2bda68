/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_ACCESS_LOG_H
#define KSPLIT_EXPORT_ACCESS_LOG_H

#include <stdbool.h>

#include "observe/conn_info.h"

/*
 * The access log: one JSON object a line. Workers hand lines to a bounded queue, a thread of the log's own writes them, so that a slow disk never
 * holds up a connection; what does not fit is dropped and counted.
 */
struct access_log;

/* Open for append, 0640 ("-": stdout) and start the writer. Caller owns *out. 0 or -errno. */
int access_log_open(const char *path, struct access_log **out);

/* Write out what is queued, end the writer, close. NULL allowed. */
void access_log_close(struct access_log *log);

/* Queue the line of an ended connection; thread-safe. false: dropped (queue full, no memory). */
bool access_log_connection(struct access_log *log, const struct conn_info *info);

/* Open the path again (log rotation). 0 or -errno (the old file stays in use). */
int access_log_reopen(struct access_log *log);

#endif
