/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_PROMETHEUS_TEXT_H
#define KSPLIT_EXPORT_PROMETHEUS_TEXT_H

#include <stddef.h>

#include "export/control.h"
#include "observe/aggregate.h"
#include "observe/observer.h"
#include "observe/stats.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* One moment of everything that is told; nothing is owned. */
struct prometheus_input {
	const struct aggregate_snapshot *aggregate;
	const struct stats_sum *stats;
	const struct control_summary *summary;
	const struct observer_status *observer;
};

/*
 * All metrics in Prometheus's text format 0.0.4. Names, labels and units follow Prometheus's naming
 * practice and OpenTelemetry's semantic conventions as its Prometheus exporters write them (dots
 * become underscores, the unit is part of the name); docs/metrics.md has the table. The text is
 * *len bytes and a NUL, freed by the caller with free(3). NULL: out of memory.
 */
char *prometheus_text(const struct prometheus_input *input, size_t *len);

#endif
