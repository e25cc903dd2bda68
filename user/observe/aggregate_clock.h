/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_AGGREGATE_CLOCK_H
#define KSPLIT_OBSERVE_AGGREGATE_CLOCK_H

#include <stdint.h>

/* Private to the aggregate and its tests. */

struct aggregate;

struct aggregate_time {
	int64_t wall_ms;       /* since the epoch */
	uint64_t monotonic_ms; /* never goes back */
};

/* Take the time from `read` instead of the system. Before anything else is called. */
void aggregate_set_clock(struct aggregate *aggregate,
			 void (*read)(void *ctx, struct aggregate_time *now), void *ctx);

#endif
