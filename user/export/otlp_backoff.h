/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_BACKOFF_H
#define KSPLIT_EXPORT_OTLP_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long a collector is left alone after it has not taken a request (OpenTelemetry protocol
 * specification, "OTLP/HTTP Throttling" and "All Other Responses"): a delay that doubles, half of
 * it by chance, or what the collector says in Retry-After if that is more. One thread.
 */
struct otlp_backoff {
	uint32_t first_ms, delay_ms; /* delay_ms 0: all is well */
	unsigned int seed;
};

/* The first delay is 1 s, or `interval_ms` (more than 0) if that is less. */
void otlp_backoff_set_up(struct otlp_backoff *backoff, uint32_t interval_ms, unsigned int seed);

/* It has failed (again): milliseconds to wait. retry_after_s: 0 or less when it was not said; a
 * collector's word is taken for 10 minutes at most. */
int64_t otlp_backoff_next(struct otlp_backoff *backoff, int64_t retry_after_s);

/* All is well again. */
void otlp_backoff_end(struct otlp_backoff *backoff);

/* The last request failed. */
bool otlp_backoff_is_on(const struct otlp_backoff *backoff);

#endif
