/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_RATE_H
#define KSPLIT_OBSERVE_RATE_H

#include <stdint.h>

#define RATE_SECONDS 10

/*
 * How often something happened in the last ten seconds: a ring of counters, one a second, and one
 * more for the second that the window is just leaving. Times are milliseconds of a clock that does
 * not go back.
 */
struct rate {
	uint64_t second;                  /* of the newest slot */
	uint32_t slots[RATE_SECONDS + 1]; /* a second's is slots[second % (RATE_SECONDS + 1)] */
};

void rate_add(struct rate *rate, uint64_t now_ms);
void rate_merge(struct rate *into, const struct rate *from, uint64_t now_ms);

/* A second, over the last ten. */
double rate_read(const struct rate *rate, uint64_t now_ms);

#endif
