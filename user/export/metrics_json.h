/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_JSON_H
#define KSPLIT_EXPORT_METRICS_JSON_H

#include "export/metrics_moment.h"

#define METRICS_JSON_SERIES_MAX 1000 /* the heaviest; "series_total" tells how many there are */

/*
 * What the web page shows, one JSON object (docs/metrics.md): the daemon, the sampler, endpoints,
 * series, and the latencies of all requests together as buckets [from_us, to_us, count] that only
 * ever grow, so that a reader can tell the quantiles of the time between two calls. Freed by the
 * caller with free(3). NULL: out of memory.
 */
char *metrics_json(const struct metrics_moment *moment);

#endif
