/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_STATS_H
#define KSPLIT_EXPORT_OTLP_STATS_H

#include <stdint.h>

/* What became of OTLP's exports since the start. */
struct otlp_stats {
	uint64_t exported; /* taken by the collector */
	uint64_t failed;   /* refused by it for good */
	uint64_t retried;  /* requests sent again */
	uint64_t dropped;  /* from the queue for want of room, or not sent when the daemon ended */
	uint64_t unmade;   /* not made: no memory */
	uint64_t rejected_points; /* of partialSuccess answers */
	uint64_t queued;          /* waiting now */
	int64_t last_error_ms;    /* wall clock */
	char last_error[256];     /* "" none yet; printable, no user info or query of the URL */
	char endpoint[256];       /* where to, cut; printable, no user info or query */
};

#endif
