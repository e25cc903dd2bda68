/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_PROMETHEUS_FAMILIES_H
#define KSPLIT_EXPORT_PROMETHEUS_FAMILIES_H

#include <stdio.h>

#include "export/prometheus_text.h"

/* The parts of prometheus_text(); write errors stay in the stream. */

/* Counters and states of the whole daemon. */
void prometheus_families_daemon(FILE *out, const struct metrics_moment *moment);

/* Per certificate of our own. 0 or -ENOMEM. */
int prometheus_families_certs(FILE *out, const struct control_certs *certs);

/* Per origin; per series of requests. 0 or -ENOMEM. */
int prometheus_families_endpoints(FILE *out, const struct aggregate_snapshot *aggregate);
int prometheus_families_series(FILE *out, const struct aggregate_snapshot *aggregate);

#endif
