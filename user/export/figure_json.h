/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_FIGURE_JSON_H
#define KSPLIT_EXPORT_FIGURE_JSON_H

#include <cJSON.h>

#include "observe/aggregate.h"
#include "observe/histogram.h"

/* Figures as members of a cJSON object. All return false when memory ran out. */

/* Three decimals; what is not finite gives null. */
bool figure_json_real(cJSON *to, const char *name, double value);

/*
 * A histogram of microseconds, in milliseconds: "count", "sum", "avg", "min", "max", "std_dev",
 * "p50", "p90", "p99", "p99_9".
 */
bool figure_json_latency(cJSON *to, const char *name, const struct histogram *us);

/* The same in short: "count", "avg", "min", "max", "p50", "p90", "p99". */
bool figure_json_times(cJSON *to, const char *name, const struct histogram *us);

/* "sum", "avg", "min", "max" of `count` values. */
bool figure_json_sum(cJSON *to, const char *name, const struct aggregate_sum *sum, uint64_t count);

#endif
