/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_PROMETHEUS_TEXT_H
#define KSPLIT_EXPORT_PROMETHEUS_TEXT_H

#include <stddef.h>

#include "export/metrics_moment.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * All metrics in Prometheus's text format 0.0.4. Names, labels and units follow Prometheus's naming
 * practice and OpenTelemetry's semantic conventions as its Prometheus exporters write them (dots
 * become underscores, the unit is part of the name); docs/metrics.md has the table. The text is
 * *len bytes and a NUL, freed by the caller with free(3). NULL: out of memory.
 */
char *prometheus_text(const struct metrics_moment *moment, size_t *len);

#endif
