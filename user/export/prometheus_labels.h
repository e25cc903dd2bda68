/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_PROMETHEUS_LABELS_H
#define KSPLIT_EXPORT_PROMETHEUS_LABELS_H

#include "observe/aggregate.h"

/*
 * Labels of series and endpoints, by OpenTelemetry's names where it has one. Each returned text is
 * freed by the caller with free(3); NULL: out of memory.
 */

/*
 * Of a series: `http` for the families that OpenTelemetry names (the template is "url_template" for
 * outgoing calls and "http_route" for incoming ones), `own` for those of ksplit, which hold both
 * directions (label "direction", the template is "url_template").
 */
struct prometheus_series_labels {
	char *http, *own;
};

/* 0 or -ENOMEM (nothing to free). */
int prometheus_labels_series(const struct series *series, struct prometheus_series_labels *out);
void prometheus_labels_free(struct prometheus_series_labels *labels);

char *prometheus_labels_endpoint(const struct endpoint *endpoint);

/* `labels` and one more. */
char *prometheus_labels_with(const char *labels, const char *name, const char *value);

#endif
