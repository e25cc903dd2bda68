/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_CLIENT_H
#define KSPLIT_EXPORT_OTLP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "export/metrics_source.h"
#include "export/otlp_stats.h"

/*
 * OTLP/HTTP export of metrics: a thread takes a snapshot every interval and posts it as JSON
 * (OpenTelemetry protocol specification, "OTLP/HTTP"). One event loop: a collector that hangs holds
 * up neither the next snapshot nor anybody else.
 *
 * Answers: 2xx is success, and a partialSuccess in it is counted; 429, 502, 503 and 504, and
 * whatever goes wrong on the way (connect, TLS, timeout, no HTTP), are tried again after a backoff
 * that doubles from 1 s (or the interval, if less) to 60 s, with jitter, or after Retry-After, 10
 * minutes at most; all else, redirects too, is an error that trying again does not mend: that
 * export is dropped. An answer is read up to 64 KiB.
 *
 * Exports that wait are a queue; its oldest are dropped when it has more than `queue` of them, or
 * 64 MiB. Sums are cumulative: what a dropped export counted is in the next one.
 *
 * Proxy variables of the environment are not followed: a daemon's metrics go where its
 * configuration says. Certificates are verified against the system's trust store.
 */
struct otlp;

struct otlp_options {
	const char *endpoint; /* http or https URL; without a path "/v1/metrics" is added */
	uint32_t interval_ms, timeout_ms; /* between exports; of one request */
	uint32_t queue;                   /* exports that wait, at least 1 */
	const _Atomic uint32_t *mark;     /* as for otlp_post_new */
};

/*
 * Check the options and start the thread. `source` is copied, what it points to must live longer.
 * Caller owns *out. 0, -EINVAL (the URL; one sentence is in `error`), -ENOMEM or another negative
 * errno.
 */
int otlp_open(const struct otlp_options *options, const struct metrics_source *source,
	      struct otlp **out, char *error, size_t len);

/* Try to send one last snapshot, end the thread: one second at most. NULL allowed. */
void otlp_close(struct otlp *otlp);

/* A consistent copy of the figures; any thread. */
void otlp_read_stats(struct otlp *otlp, struct otlp_stats *out);

#endif
