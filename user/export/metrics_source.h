/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_SOURCE_H
#define KSPLIT_EXPORT_METRICS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "export/control.h"
#include "export/otlp_stats.h"
#include "observe/aggregate.h"
#include "observe/observer.h"
#include "observe/stats.h"

/*
 * Where exporters (Prometheus, OTLP, the web page) read from; filled by core. Each call may come
 * from any thread.
 */
struct metrics_source {
	void *ctx;
	void (*read_stats)(void *ctx, struct stats_sum *out);
	void (*read_summary)(void *ctx, struct control_summary *out);
	/* 0 or -ENOMEM; freed with aggregate_snapshot_free. */
	int (*read_aggregate)(void *ctx, struct aggregate_snapshot *out);
	void (*read_observer)(void *ctx, struct observer_status *out);
	/*
	 * The CA and services' identities: 0 or -ENOMEM; freed with control_certs_free. NULL: there
	 * are none.
	 */
	int (*read_certs)(void *ctx, struct control_certs *out);
	/* What became of OTLP exports; false, or NULL: nothing is exported so. */
	bool (*read_otlp)(void *ctx, struct otlp_stats *out);
};

#endif
