/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_MOMENT_H
#define KSPLIT_EXPORT_METRICS_MOMENT_H

#include "export/metrics_source.h"

/* Everything that a metrics_source tells, read at one moment. */
struct metrics_moment {
	struct aggregate_snapshot aggregate;
	struct stats_sum stats;
	struct control_summary summary;
	struct observer_status observer;
	struct control_certs certs; /* the CA's and services' own, none forged */
	bool has_otlp; /* metrics are exported by OTLP, too: */
	struct otlp_stats otlp;
};

/* 0 or -ENOMEM (nothing to free). The texts of `summary` stay the source's. */
int metrics_moment_read(const struct metrics_source *source, struct metrics_moment *out);
void metrics_moment_free(struct metrics_moment *moment);

#endif
