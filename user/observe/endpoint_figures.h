/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_ENDPOINT_FIGURES_H
#define KSPLIT_OBSERVE_ENDPOINT_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#include "observe/aggregate.h"
#include "observe/aggregate_clock.h"
#include "observe/rate.h"

/* What is counted for an endpoint: what exports see, and the rate behind its
 * connections_per_second. */
struct endpoint_figures {
	struct endpoint endpoint;
	struct rate rate;
};

/* Take all memory that merging may need. 0 or -ENOMEM. */
int endpoint_figures_reserve(struct endpoint_figures *figures);
void endpoint_figures_free(struct endpoint_figures *figures);

/* Something was seen of it. */
void endpoint_figures_touch(struct endpoint_figures *figures, const struct aggregate_time *now);

/* One more connection, opened or never. */
void endpoint_figures_connect(struct endpoint_figures *figures, bool passed,
			      const struct aggregate_time *now);

/* What an ended connection leaves: times, bytes, relays. `open` and `failed` are the caller's. */
void endpoint_figures_end(struct endpoint_figures *figures, const struct conn_info *info,
			  const struct aggregate_tcp *tcp, bool opened);

/* `into` has its memory reserved, so that this cannot fail. */
void endpoint_figures_merge(struct endpoint_figures *into, const struct endpoint_figures *from,
			    const struct aggregate_time *now);

/* Deep copy. 0 or -ENOMEM (nothing is owned then). */
int endpoint_figures_copy(struct endpoint *to, const struct endpoint_figures *from,
			  const struct aggregate_time *now);

/* Give the histograms of a copy back. */
void endpoint_figures_free_copy(struct endpoint *endpoint);

/* Bytes behind the histograms. */
size_t endpoint_figures_memory(const struct endpoint_figures *figures);

#endif
