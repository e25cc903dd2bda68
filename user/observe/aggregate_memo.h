/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_AGGREGATE_MEMO_H
#define KSPLIT_OBSERVE_AGGREGATE_MEMO_H

#include <stdbool.h>

#include "observe/aggregate.h"

/* Private to the aggregate: what it remembers of a connection's last request. */

/* Is the request of the remembered series? Not for a memo without one. */
bool aggregate_memo_fits(const struct aggregate_memo *memo, const struct observe_request *request);

/* Remember what tells the request's series; what is too long is not remembered: no series then. */
void aggregate_memo_set(struct aggregate_memo *memo, const struct observe_request *request);

#endif
