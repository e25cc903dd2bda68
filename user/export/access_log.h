/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_ACCESS_LOG_H
#define KSPLIT_EXPORT_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/request.h"

/*
 * The access log: one JSON object a line (docs/access-log.md). Workers hand connections, and the
 * observer requests, to a bounded queue (1 MiB); a thread of the log's own makes lines of them and
 * writes them, so that a slow disk never holds up a connection; what does not fit is dropped and
 * counted. A write that fails (disk full, reader of a pipe gone) loses its lines, is counted and
 * warned about at most once a minute; the next lines are tried again.
 */
struct access_log;

/* Lines since the start. */
struct access_log_stats {
	uint64_t written; /* whole lines handed to the kernel */
	uint64_t dropped; /* no room in the queue */
	uint64_t lost;    /* taken from the queue, then not written: write failed, no memory */
};

/*
 * Open for append, 0640 ("-": stdout; a FIFO must have its reader) and start the writer. Caller
 * owns *out. 0 or -errno.
 */
int access_log_open(const char *path, struct access_log **out);

/* Write out what is queued (2 s at most where the reader of a pipe is slow), end the writer, close.
 * NULL allowed. */
void access_log_close(struct access_log *log);

/* Queue the line of an ended connection; thread-safe, never blocks on I/O. false: dropped (queue
 * full). */
bool access_log_connection(struct access_log *log, const struct conn_info *info);

/*
 * Queue the line of a request that is over; thread-safe, never blocks on I/O. Of the path only its
 * template is kept. false: dropped (queue full).
 */
bool access_log_request(struct access_log *log, const struct observe_conn *conn,
			const struct observe_request *request);

/* Open the path again (log rotation). 0 or -errno (the old file stays in use). Lines queued from
 * now on go to the new file. */
int access_log_reopen(struct access_log *log);

/* A consistent copy of the figures; any thread. */
void access_log_read_stats(struct access_log *log, struct access_log_stats *out);

#endif
