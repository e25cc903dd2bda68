/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SERIES_FIGURES_H
#define KSPLIT_OBSERVE_SERIES_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/aggregate.h"
#include "observe/aggregate_clock.h"
#include "observe/rate.h"

/* What a series counts, without its key; the members are those of struct series. */
struct series_figures {
	uint32_t pid;
	uint64_t count, failures;
	struct rate rate;
	struct aggregate_sum request_bytes, response_bytes;
	struct aggregate_sum request_body, response_body;
	struct histogram first_byte_us, last_byte_us;
	int64_t first_seen_ms, last_seen_ms;
};

/* Did the request fail, as struct series defines it? */
bool series_figures_failed(const struct observe_request *request);

/* Without memory for a histogram's window the histogram lacks the value; all else is counted. */
void series_figures_add(struct series_figures *figures, const struct observe_request *request,
			const struct aggregate_time *now);

/* `into` has all of its histograms' memory (histogram_reserve), so that this cannot fail. */
void series_figures_merge(struct series_figures *into, const struct series_figures *from,
			  const struct aggregate_time *now);

/* A deep copy of everything but key and `other`. 0 or -ENOMEM (nothing is owned then). */
int series_figures_copy(struct series *to, const struct series_figures *from,
			const struct aggregate_time *now);

void series_figures_free(struct series_figures *figures);

/* Bytes behind the histograms. */
size_t series_figures_memory(const struct series_figures *figures);

#endif
