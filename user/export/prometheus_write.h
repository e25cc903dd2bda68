/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_PROMETHEUS_WRITE_H
#define KSPLIT_EXPORT_PROMETHEUS_WRITE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "observe/histogram.h"

/*
 * The lines of Prometheus's text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Errors stay in the stream, for
 * ferror(3) at the end. `labels` is what prometheus_write_label wrote, without braces; "" is none.
 */

/* HELP and TYPE; all samples of a family follow it and none comes elsewhere. */
void prometheus_write_family(FILE *out, const char *name, const char *type, const char *help);

/*
 * name="value" with a comma before it unless it is the first in `out`, a stream of labels alone;
 * nothing for an empty value, which means the same to Prometheus. `value` is at most `max` bytes,
 * shorter if a NUL comes first; what is not printable UTF-8 becomes \xNN (ksplit_text_escape).
 */
void prometheus_write_label(FILE *out, const char *name, const char *value, size_t max);

void prometheus_write_count(FILE *out, const char *name, const char *labels, uint64_t value);

/* A family of one sample without labels. */
void prometheus_write_single(FILE *out, const char *name, const char *type, const char *help,
			     uint64_t value);

/* Upper bounds of buckets: microseconds, and the same as `le` has it, in seconds. */
struct prometheus_bound {
	uint64_t us;
	const char *le;
};
struct prometheus_bounds {
	const struct prometheus_bound *list;
	size_t len;
};

/* http.server.request.duration's advice (OpenTelemetry semantic conventions, HTTP metrics). */
extern const struct prometheus_bounds prometheus_bounds_http;
/* What happens in the network and in handshakes: 100 us to 10 s. */
extern const struct prometheus_bounds prometheus_bounds_network;
/* How long connections live: 10 ms to a day. */
extern const struct prometheus_bounds prometheus_bounds_lifetime;

/* A histogram of microseconds as one of seconds: _bucket, _sum and _count. */
void prometheus_write_histogram(FILE *out, const char *name, const char *labels,
				const struct histogram *h, const struct prometheus_bounds *bounds);

#endif
