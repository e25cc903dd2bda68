/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_CONTROL_H
#define KSPLIT_EXPORT_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/stats.h"

/* Numbers that are not sums over workers. */
struct control_summary {
	const char *version;
	int pid;
	int64_t start_ms;	/* wall clock */
	unsigned int workers;
	bool draining;
	uint64_t open_by_state[CONN_STATES];
	uint64_t open_passed;
	uint64_t max_connections;
	const char *relay, *ktls, *verify; /* as configured */
	struct {
		uint64_t hits, misses, forged, failed, waited, evicted, entries;
	} leaf_cache;
	/* kernel TLS as probed; same indexes as in tls/ktls.h; the names come with it so that nobody needs that header */
	bool ktls_ulp, ktls_rekey;
	int ktls_ulp_errno;
	bool ktls_tx[2][4], ktls_rx[2][4];
	const char *openssl;	/* library version string */
	const char *degraded;	/* NULL, or one sentence: why the daemon is not whole */
};

/* What the control socket asks of the daemon; filled by core. Called on the control thread only. */
struct control_source {
	void *ctx;
	/* The sum of all workers' counters. */
	void (*read_stats)(void *ctx, struct stats_sum *out);
	void (*read_summary)(void *ctx, struct control_summary *out);
	/* Snapshot of open connections: an array that the caller frees with free(3). 0, -ENOMEM, -ETIMEDOUT (a worker hangs). */
	int (*read_connections)(void *ctx, struct conn_info **out, size_t *count);
};

struct control;

/*
 * Bind the socket (0660; a dead daemon's leftover is replaced, a live one is -EADDRINUSE; the folder is made, 0755, when
 * only its last part is missing) and start a thread that serves it: at most 8 clients at once, 5 s for a request. Caller owns *out. 0 or -errno.
 */
int control_open(const char *path, const struct control_source *source, struct control **out);

/* End the thread, remove the socket. NULL allowed. */
void control_close(struct control *control);

/* Answer one request line; the caller frees the result with free(3). Never NULL unless out of memory. For tests too. */
char *control_answer(const struct control_source *source, const char *line, size_t len);

#endif
